"""`motionveil audit ENCODER MANIFEST`: what can still be learned from veiled video."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from motionveil.cli.console import print_table
from motionveil.cli.options import (
    add_experiment_arguments,
    add_job_arguments,
    command_line,
    experiment_words,
    refuse_contradictions,
)

if TYPE_CHECKING:
    from motionveil.audit_results import Audit, Column
    from motionveil.evaluation.executors import Executor

EPILOG = """\
suites:
  strongest  frames, whole clips, their course over time, a transformer and re-identification,
             each trained until it is saturated at the best of three learning rates, and the action
  quick      a small version of each kind of attack, with the recipe's networks
  paper      networks as in the paper's figures 5 and 6, with the weights of --weights or by name
  full       every attack at the recipe's own length, and the paper's
  FILE       your own: a YAML list of attacks and suites; kind: module:Class is your own kind

ENCODER is a name, an encoder.json, a run folder, or a function of your own,
module:function or file.py:function, from and to uint8 frames (T, H, W, 3). bdq-untrained
is BDQ as initialised for training with the recipe. With --veiled, ENCODER is only the name
under which the audit reports the videos.

examples:
  motionveil audit runs/train actors/manifest.csv --jobs 2
  motionveil audit dvs-0.4 actors/manifest.csv --out runs/audit-dvs --raw-from runs/audit
  motionveil audit mine.py:veil ut/manifest.csv --recipe ut-interaction --only frame clip
  motionveil audit theirs ut/manifest.csv --veiled their/videos
  motionveil audit runs/ut ut/manifest.csv --recipe ut-interaction --face-detector yunet.onnx

Interrupted audits resume: finished attacks are not repeated.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("encoder", metavar="ENCODER", help="encoder; see below")
    add_experiment_arguments(parser)
    parser.add_argument(
        "--veiled", type=Path, metavar="DIR", help="attack these veiled videos instead of encoding"
    )
    parser.add_argument(
        "--suite",
        default="strongest",
        metavar="NAME",
        help="which attacks: strongest, quick, paper, full, or a YAML file (default: strongest)",
    )
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="only these attacks of the suite"
    )
    parser.add_argument(
        "--face-detector", type=Path, metavar="FILE", help="also detect faces: YuNet's ONNX file"
    )
    parser.add_argument(
        "--face-recogniser",
        type=Path,
        metavar="FILE",
        help="also recognise faces: dlib's network as safetensors",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("runs/audit"), help="folder (default: runs/audit)"
    )
    parser.add_argument(
        "--raw-from",
        type=Path,
        metavar="AUDIT",
        help="reuse the findings on raw video of another audit (its folder)",
    )
    add_show_raw(parser)
    add_job_arguments(parser, jobs="attacks")
    parser.epilog = EPILOG


def add_show_raw(parser: argparse.ArgumentParser) -> None:
    """Declare `--show-raw`."""
    parser.add_argument(
        "--show-raw",
        action="store_true",
        help="include original frames in the report (default: veiled frames only)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Carry out the attacks, print what each found, write the audit."""
    from motionveil.api import audit
    from motionveil.audit_results import FILE_NAME
    from motionveil.process_hardening import stopping

    refuse_contradictions(arguments)
    same = ("out", "suite", "only", "veiled", "face_detector", "face_recogniser", "raw_from")
    with stopping(Event(), at_once=True):
        found = audit(
            arguments.encoder,
            **{name: getattr(arguments, name) for name in (*same, "retry", "show_raw")},
            **experiment_words(arguments),
            jobs=arguments.jobs or 1,
            run=_on_ray(arguments),
            progress=lambda line: print(line, file=sys.stderr, flush=True),
            command=command_line(),
        )
    print_findings(found)
    print(f"wrote {arguments.out / FILE_NAME}")
    print(f"wrote {arguments.out / 'audit.html'}")
    for name, reason in found.failed.items():
        print(f"failed: {name}: {reason}", file=sys.stderr)
    if found.failed:
        print("--retry runs what has failed again", file=sys.stderr)
    return 1 if found.failed else 0


def _on_ray(arguments: argparse.Namespace) -> Executor | None:
    """Return what carries out attacks on Ray, where that is wanted."""
    if arguments.engine != "ray":
        return None
    from motionveil.evaluation.executors import on_ray

    return on_ray(arguments.address)


def print_findings(found: Audit) -> None:
    """Print a table for each kind of attack and label: veiled video first, then by the figures."""
    sections: dict[str, list[tuple[str, str, list[Column]]]] = {}
    for finding in found.findings:
        for part, columns in finding.rows():
            name = f"{finding.name}, {part}" if part else finding.name
            sections.setdefault(finding.section, []).append((name, finding.video, columns))
    for section, rows in sections.items():
        rows.sort(key=lambda row: (row[1] != "veiled", -_main(row[2])))
        headings = (section, "video", *(column.name for column in rows[0][2]))
        print_table(headings, [(name, video, *_cells(columns)) for name, video, columns in rows])


def _main(columns: Sequence[Column]) -> float:
    value = columns[0].value
    return value if isinstance(value, float) else 0.0


def _cells(columns: Sequence[Column]) -> list[str]:
    """Return the figures, the first with its interval."""
    main, *others = columns
    interval = f" ({main.interval_text()})" if main.interval else ""
    return [main.text() + interval, *(column.text() for column in others)]
