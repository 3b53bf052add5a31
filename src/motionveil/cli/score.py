"""`motionveil score EVENTS TRUTH`: how well actions were found in long video."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

from motionveil.cli.console import print_table
from motionveil.cli.options import above_zero
from motionveil.errors import MotionveilError
from motionveil.recognition.score import OVERLAPS, Latency, Score, score
from motionveil.recognition.score_files import acted_truth, read_events, read_truth
from motionveil.video import synthetic_source


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "events", metavar="EVENTS", type=Path, help="what `motionveil recognise --json` wrote"
    )
    parser.add_argument(
        "truth",
        metavar="TRUTH",
        help="CSV with the columns from, to (seconds), label and, for several sources, source;"
        " or test:actors, if that was the source",
    )
    parser.add_argument(
        "--rate",
        type=above_zero,
        default=10.0,
        metavar="HZ",
        help="instants per second for the frame-wise accuracy (default: %(default)g)",
    )
    parser.add_argument(
        "--seconds",
        type=above_zero,
        help="length of the source, if there is only one (default: the latest time in either file)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the score as JSON")
    parser.epilog = (
        "examples:\n"
        "  motionveil score events.jsonl truth.csv --json score.json\n"
        "  motionveil recognise test:actors:fast --frames 1800 --json > events.jsonl\n"
        "  motionveil score events.jsonl test:actors"
    )


def run(arguments: argparse.Namespace) -> int:
    """Score the events, print the tables, write the JSON."""
    from motionveil.atomic_write import refuse_overwriting, write_text_atomically

    if arguments.json:
        refuse_overwriting([arguments.json], [arguments.events, arguments.truth])
    told, seconds = read_events(arguments.events)
    made_up = synthetic_source(arguments.truth)
    if made_up is None:
        truth = read_truth(Path(arguments.truth), sorted(seconds))
        for true in truth:
            seconds[true.source] = max(seconds.get(true.source, 0.0), true.end)
    if arguments.seconds is not None:
        seconds = _given(seconds, arguments.seconds)
    if made_up is not None:
        truth = acted_truth(made_up, seconds)
    found = score(told, truth, seconds, rate=arguments.rate)
    _print(found)
    if arguments.json:
        text = json.dumps(dataclasses.asdict(found), indent=1, ensure_ascii=False) + "\n"
        print(f"wrote {write_text_atomically(arguments.json, text)}")
    return 0


def _given(seconds: dict[str, float], given: float) -> dict[str, float]:
    if len(seconds) > 1:
        raise MotionveilError(f"--seconds {given:g}: is for one source, not {len(seconds)}")
    ((source, reached),) = seconds.items() or (("", 0.0),)
    if given < reached:
        raise MotionveilError(f"--seconds {given:g}: there are times up to {reached:g}")
    return {source: given}


def _print(found: Score) -> None:
    rows = [("all", *(_number(found.f1[overlap]) for overlap in OVERLAPS))]
    for label, values in found.f1_by_class.items():
        rows.append((label, *(_number(values[overlap]) for overlap in OVERLAPS)))
    print_table(("class", *(f"F1@{overlap:g}" for overlap in OVERLAPS)), rows)
    print()
    _print_confusion(found)
    lines = [
        (f"frame-wise accuracy at {found.rate:g} Hz", _number(found.frame_accuracy)),
        ("mean average precision at 0.5", _number(found.mean_average_precision)),
        ("latency from the action's start, s", _latency(found.latency_from_start)),
        ("latency from the action's end, s", _latency(found.latency_from_end)),
        ("false alarms per hour", _number(found.false_alarms_per_hour)),
        ("false alarms", str(found.false_alarms)),
        ("true actions", str(found.true_segments)),
        ("actions reported", str(found.told_segments)),
        ("seconds", f"{found.seconds:.1f}"),
        ("seconds without action", f"{found.background_seconds:.1f}"),
    ]
    print_table(("measure", "value"), lines)


def _print_confusion(found: Score) -> None:
    """Print as what the true actions were reported, true labels down."""
    told = sorted({label for row in found.confusion.values() for label in row})
    if not told:
        return
    rows = [
        (label, *(str(row.get(name, 0)) for name in told)) for label, row in found.confusion.items()
    ]
    print_table(("true, reported as", *(name or "nothing" for name in told)), rows)
    print()


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _latency(value: Latency | None) -> str:
    if value is None:
        return "-"
    return f"median {value.median:.2f}, 95 % {value.percentile_95:.2f}"
