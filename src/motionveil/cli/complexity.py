"""`motionveil complexity`: what encoders cost (paper, table 1)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motionveil.cli.console import print_table
from motionveil.cli.options import command_line, count_from

if TYPE_CHECKING:
    from motionveil.experiments.complexity import Cost


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "encoders",
        nargs="*",
        metavar="ENCODER",
        help="names, files or run folders; trained methods given by name have fresh weights"
        " (default: one encoder per method)",
    )
    parser.add_argument(
        "--frames", type=count_from(2), default=16, help="frames of the clip (default: 16)"
    )
    parser.add_argument(
        "--size",
        type=count_from(8),
        default=224,
        help="width and height of the clip (default: 224)",
    )
    parser.add_argument(
        "--threads", type=count_from(1), default=1, help="torch threads (default: 1)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as JSON")
    parser.epilog = (
        "FLOPs are counted in two ways: `paper` counts convolutions only, as the paper's table 1\n"
        "does; `all` counts every floating point operation.\n\n"
        "examples:\n  motionveil complexity\n  motionveil complexity runs/ut bdq unet --json c.json"
    )


def run(arguments: argparse.Namespace) -> int:
    """Measure, print the table, write the JSON."""
    from motionveil.atomic_write import write_text_atomically
    from motionveil.experiments.complexity import as_json, measure_costs, usual_encoders
    from motionveil.published import load_publication

    costs = measure_costs(
        arguments.encoders or usual_encoders(),
        frames=arguments.frames,
        size=arguments.size,
        threads=arguments.threads,
    )
    _print(costs)
    published = _published() if (arguments.frames, arguments.size) == (16, 224) else []
    for line in published:
        print(
            f"published: {line['method']}: {line['parameters']:g} parameters, {line['size']},"
            f" {si_prefixed(line['flops'])}FLOPs ({line['source']})"
        )
    if published:
        print(f"published: {load_publication('paper').complexity_note}")
    if arguments.json:
        content = {
            "command": command_line(),
            "clip": [1, 3, arguments.frames, arguments.size, arguments.size],
            "threads": arguments.threads,
            "environment": _environment(),
            "rows": as_json(costs),
            "published": published,
        }
        write_text_atomically(arguments.json, json.dumps(content, indent=1) + "\n")
        print(f"wrote {arguments.json}")
    return 0


def _print(costs: list[Cost]) -> None:
    headings = (
        "method",
        "parameters",
        "stored",
        "FLOPs, paper",
        "FLOPs, all",
        "frames/s",
        "memory",
    )
    rows = [
        (
            cost.method,
            f"{cost.parameters:,}",
            f"{si_prefixed(cost.size)}B",
            si_prefixed(cost.flops["paper"]),
            si_prefixed(cost.flops["all"]),
            f"{cost.frames_per_second:,.0f}",
            "" if cost.memory is None else f"{si_prefixed(cost.memory)}B",
        )
        for cost in costs
    ]
    print_table(headings, rows, width=120, numbers=True)


def si_prefixed(value: float) -> str:
    """Return a number with a decimal prefix and up to four digits, such as `120.4 M`."""
    for exponent, prefix in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if value >= 10**exponent:
            return f"{value / 10**exponent:.4g} {prefix}"
    return f"{value:g} "


def _published() -> list[dict[str, Any]]:
    from motionveil.published import load_publication

    return [line.model_dump(mode="json") for line in load_publication("paper").complexity]


def _environment() -> dict[str, str]:
    from motionveil.training.distributed import describe_environment, make_fabric

    return describe_environment(make_fabric("cpu"))
