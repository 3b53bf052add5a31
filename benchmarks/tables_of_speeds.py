"""Tables of what encoders cost and how fast they are trained, out of what the benchmarks wrote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kept import read_json
from markdown_table import Kind, markdown_table, percent
from motionveil.cli.complexity import si_prefixed

Figures = dict[str, Any]


def cost_table(files: Sequence[Figures]) -> str:
    """Return the table of `motionveil complexity --json`, with the published figures."""
    heads = ["method", "parameters", "stored", "FLOPs, paper", "FLOPs, all"]
    heads += ["frames per second", "memory"]
    rows = []
    for one in (row for file in files for row in file["rows"]):
        rows.append(
            [
                f"`{one['method']}`",
                f"{one['parameters']:,}",
                f"{si_prefixed(one['size'])}B",
                si_prefixed(one["flops"]["paper"]).strip(),
                si_prefixed(one["flops"]["all"]).strip(),
                f"{one['frames_per_second']:,.0f}",
                "" if one["memory"] is None else f"{si_prefixed(one['memory'])}B",
            ]
        )
    for one in files[0]["published"]:
        numbers = [f"{one['parameters']:,.0f}", one["size"], si_prefixed(one["flops"]).strip()]
        rows.append([f"published: {one['method']}", *numbers, "", "", ""])
    return markdown_table(heads, rows)


def encoder_training_table(files: Sequence[Figures]) -> str:
    """Return the table of `benchmarks/encoder_training.py`."""
    heads = ["clip", "encoder", "ms", "times as fast", "saved for backward, MiB"]
    heads += ["share of the first", "peak, MiB"]
    rows = []
    for case in (case for file in files for case in file["cases"]):
        shape = " x ".join(map(str, case["shape"]))
        for place, one in enumerate(case["rows"]):
            rows.append(
                [
                    "" if place else f"{shape} ({case['case']})",
                    one["method"],
                    f"{1000 * one['seconds']:.0f}",
                    f"{one['times_as_fast']:.1f}",
                    f"{one['saved_mib']:.1f}",
                    f"{one['share_of_saved']:.3f}",
                    "" if one["peak_mib"] is None else f"{one['peak_mib']:.0f}",
                ]
            )
    return markdown_table(heads, rows)


PAIRS = (
    ("ours in both", "motionveil", "wasting"),
    ("the released formulation in both", "motionveil, its encoder", "released"),
    ("ours in our step, the released formulation in the other", "motionveil", "released"),
    (
        "the same, networks in torch's own memory format in the other",
        "motionveil",
        "released, NCHW",
    ),
)
"""What each line of the table of steps compares: our step and one with the wasted work."""


def step_table(files: Sequence[Figures]) -> str:
    """Return the table of `benchmarks/adversarial_step.py`."""
    (found,) = files
    seconds = {row["method"]: row["seconds"] for row in found["rows"]}
    rows = []
    for name, ours, other in PAIRS:
        times = seconds[other] / seconds[ours]
        both = [f"{1000 * seconds[method]:.0f}" for method in (ours, other)]
        rows.append([name, *both, f"{times:.2f}"])
    shares = ", ".join(f"{name} {percent(share)}" for name, share in found["shares"].items())
    forward = percent(found["forward_of_action"])
    below = (
        f"Shares of our step, in %: {shares}; T's forward pass {forward} of T's. Operations with"
        f" the wasted work: {found['arithmetic']:.2f} times as many. Largest difference of"
        f" parameters after all runs: {found['largest_difference']:g}."
    )
    heads = ["encoder", "our step, ms", "with the wasted work, ms", "times as fast"]
    return markdown_table(heads, rows, below)


def loader_table(files: Sequence[Figures]) -> str:
    """Return the table of `benchmarks/loader.py`."""
    heads = ["videos, pixels", "cache, ms per clip", "clips/s", "PNG, ms per clip", "cache is"]
    rows = []
    for videos in (videos for file in files for videos in file["videos"]):
        of = {row["method"]: row for row in videos["rows"]}
        cells = [f"{videos['width']} x {videos['height']}"]
        cells += [f"{of['cache']['milliseconds_a_clip']:.1f}"]
        cells += [f"{of['cache']['clips_a_second']:.0f}"]
        for method in ("png", "pyav"):
            cells.append(f"{of[method]['milliseconds_a_clip']:.1f}")
            cells.append(f"{of[method]['cache_is_times_as_fast']:.1f} times as fast")
        rows.append(cells)
    return markdown_table([*heads, "PyAV, ms per clip", "cache is"], rows)


def threads_table(files: Sequence[Figures]) -> str:
    """Return the table of `benchmarks/threads.py`."""
    rows: dict[tuple[int, str], dict[bool, float]] = {}
    for one in (row for file in files for row in file["rows"]):
        rows.setdefault((one["threads"], one["policy"]), {})[one["busy"]] = one["ms"]
    return markdown_table(
        ["threads", "OMP_WAIT_POLICY", "quiet machine, ms", "one busy process per core, ms"],
        (
            [str(threads), policy, f"{ms[False]:.0f}", f"{ms[True]:.0f}"]
            for (threads, policy), ms in rows.items()
        ),
    )


KINDS = {
    "cost": Kind(read_json, cost_table),
    "encoder-training": Kind(read_json, encoder_training_table),
    "step": Kind(read_json, step_table),
    "loader": Kind(read_json, loader_table),
    "threads": Kind(read_json, threads_table),
}
