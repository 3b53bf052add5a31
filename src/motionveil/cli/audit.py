"""`motionveil audit ENCODER MANIFEST`: what can still be learned from veiled video."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from motionveil.cli.job_options import add_job_arguments, refuse_contradictions, threads_of
from motionveil.cli.options import command_line
from motionveil.cli.table import print_table
from motionveil.cli.trial import add_trial_arguments, data_of, recipe_of, trial_of
from motionveil.data.warnings import warn
from motionveil.errors import MotionveilError

if TYPE_CHECKING:
    from motionveil.audit_results import Audit, Column
    from motionveil.data.manifest import Manifest
    from motionveil.evaluation.attack import Attack
    from motionveil.evaluation.audit import AuditPlan
    from motionveil.evaluation.executors import Run
    from motionveil.training.recipe import Recipe

EPILOG = """\
suites:
  quick  a small version of each kind of attack, with the recipe's networks
  paper  the networks of the paper's figures 5 and 6, with ImageNet and Kinetics weights
  full   every attack at the recipe's own length, and the paper's
  FILE   your own: a YAML list of attacks and suites; kind: module:Class is a kind of your own

ENCODER is a name, an encoder.json, a run's folder, or a function of your own,
module:function or file.py:function, from and to uint8 frames (T, H, W, 3). bdq-untrained
is BDQ as its training by the recipe would begin. With --veiled it is only what the audit
calls the folder's videos.

examples:
  motionveil audit runs/train actors/manifest.csv --jobs 2
  motionveil audit dvs-0.4 actors/manifest.csv --out runs/audit-dvs --raw-from runs/audit
  motionveil audit mine.py:veil ut/manifest.csv --recipe ut-interaction --only frame clip
  motionveil audit theirs ut/manifest.csv --veiled their/videos
  motionveil audit runs/ut ut/manifest.csv --recipe ut-interaction --face-detector yunet.onnx

Interrupted audits resume: attacks that are done are not carried out again.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("encoder", metavar="ENCODER", help="what veils, see below")
    add_trial_arguments(parser)
    parser.add_argument("--veiled", type=Path, metavar="DIR", help="attack videos veiled already")
    parser.add_argument(
        "--suite",
        default="quick",
        metavar="NAME",
        help="which attacks: quick, paper, full, or a YAML file (default: quick)",
    )
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="of the suite, only these attacks"
    )
    parser.add_argument(
        "--face-detector", type=Path, metavar="FILE", help="look for faces too: YuNet's ONNX file"
    )
    parser.add_argument(
        "--face-recogniser",
        type=Path,
        metavar="FILE",
        help="and whose they are: dlib's network as safetensors",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("runs/audit"), help="folder (default: runs/audit)"
    )
    parser.add_argument(
        "--raw-from",
        type=Path,
        metavar="AUDIT",
        help="do not attack raw video again: take what another audit's folder has of it",
    )
    add_show_raw(parser)
    add_job_arguments(parser, jobs="attacks")
    parser.epilog = EPILOG


def add_show_raw(parser: argparse.ArgumentParser) -> None:
    """Declare `--show-raw`."""
    parser.add_argument(
        "--show-raw",
        action="store_true",
        help="original frames in the report too; veiled only without",
    )


def run(arguments: argparse.Namespace) -> int:
    """Carry out the attacks, print what each found, write the audit."""
    from motionveil.audit_results import FILE_NAME
    from motionveil.capture.process import stopping
    from motionveil.evaluation.audit import audit
    from motionveil.report import write_audit
    from motionveil.training.processes import make_fabric

    refuse_contradictions(arguments)
    plan = _plan(arguments)
    fabric = make_fabric(plan.device, plan.precision)
    with stopping(Event(), at_once=True):
        found = audit(
            plan,
            arguments.out,
            fabric,
            command=command_line(),
            run=_run(arguments),
            workers=arguments.workers,
            retry=arguments.retry,
            raw_from=arguments.raw_from,
            progress=lambda line: print(line, file=sys.stderr, flush=True),
        )
    print_findings(found)
    print(f"wrote {arguments.out / FILE_NAME}")
    print(f"wrote {write_audit(found, arguments.out, show_raw=arguments.show_raw)}")
    for name, reason in found.failed.items():
        print(f"failed: {name}: {reason}", file=sys.stderr)
    if found.failed:
        print("--retry runs what has failed again", file=sys.stderr)
    return 1 if found.failed else 0


def _run(arguments: argparse.Namespace) -> Run:
    """Return where the attacks run."""
    from motionveil.evaluation import executors

    if arguments.engine == "ray":
        return executors.on_ray(arguments.address)
    jobs = arguments.jobs or 1
    if jobs == 1:
        return executors.in_this_process
    return executors.in_processes(jobs, int(threads_of(arguments)))


def _plan(arguments: argparse.Namespace) -> AuditPlan:
    from motionveil.evaluation.audit import AuditPlan
    from motionveil.evaluation.suites import beside, read_suite

    manifest, split, label = data_of(arguments)
    recipe = recipe_of(arguments)
    known = [*read_suite(arguments.suite, recipe), *beside(recipe, manifest, split, label)]
    attacks = {attack.name: attack for attack in _with_faces(known, arguments)}
    for name in arguments.only:
        if name not in attacks:
            raise MotionveilError(
                f"--only {name}: the suite {arguments.suite} has {', '.join(attacks)}"
            )
    wanted = [attacks[name] for name in arguments.only or attacks]
    veiled = arguments.veiled
    if veiled is not None and not veiled.is_dir():
        raise MotionveilError(f"--veiled {veiled}: no such folder")
    return AuditPlan(
        encoder=_encoder(arguments, recipe),
        veiled=None if veiled is None else str(veiled.absolute()),
        manifest=str(Path(arguments.manifest).absolute()),
        recipe=recipe,
        label=label,
        split=split,
        seed=arguments.seed,
        device=arguments.device,
        precision=arguments.precision,
        suite=arguments.suite,
        attacks=_possible(wanted, manifest, split, label),
    )


def _with_faces(attacks: Sequence[Attack], arguments: argparse.Namespace) -> list[Attack]:
    """Return the attacks with those that need files of face networks, where there are any.

    Raises:
        MotionveilError: A file is missing or holds another network.
    """
    from motionveil.evaluation.attacks.faces import Faces

    detector, recogniser = arguments.face_detector, arguments.face_recogniser
    if detector is None:
        if recogniser is not None:
            raise MotionveilError(f"--face-recogniser {recogniser}: it needs --face-detector")
        return list(attacks)
    file, other = (str(f.absolute()) if f is not None else "" for f in (detector, recogniser))
    faces = Faces(name="faces", detector=file, recogniser=other)
    faces.tools()  # a wrong file is refused before any attack
    looking = [
        attack.model_copy(update={"detector": file})
        if "detector" in attack.model_fields
        else attack
        for attack in attacks
    ]
    return [*looking, faces]


def _possible(
    attacks: Sequence[Attack], manifest: Manifest, split: str, label: str
) -> tuple[Attack, ...]:
    """Return the attacks that the data allow, and say which they do not.

    Raises:
        MotionveilError: None is left.
    """
    from motionveil.evaluation.data import people_in_both

    try:
        people_in_both(manifest, split, label)
        return tuple(attacks)
    except MotionveilError as error:
        kept = tuple(a for a in attacks if not a.needs_people)
        for attack in attacks:
            if attack not in kept:
                warn(f"{error}; {attack.name} is left out")
    if not kept:
        raise MotionveilError(f"{manifest.name}: no attack is left")
    return kept


def _encoder(arguments: argparse.Namespace, recipe: Recipe) -> str:
    """Return the encoder so that every process finds it.

    Raises:
        MotionveilError: The audit's folder holds another one before its training.
    """
    from motionveil.methods import UNTRAINED, choose
    from motionveil.spec import EncoderSpec

    if not arguments.encoder.endswith(f"-{UNTRAINED}") or arguments.veiled is not None:
        return _anywhere(arguments.encoder)
    choice = choose(arguments.encoder)
    folder = Path(arguments.out).absolute() / choice.folder
    spec, file = trial_of(arguments, recipe).untrained(choice), folder / "encoder.json"
    if not file.exists():
        spec.save(file)
    elif spec != EncoderSpec.read(file):  # another audit's, which stays as it is
        raise MotionveilError(
            f"{file}: the folder holds another untrained encoder; give another --out"
        )
    return str(folder)


def _anywhere(encoder: str) -> str:
    """Return an encoder so that it means the same in every folder: paths become absolute."""
    place, colon, function = encoder.rpartition(":")
    if Path(encoder).exists():
        return str(Path(encoder).absolute())
    if colon and place.endswith(".py"):
        return f"{Path(place).absolute()}:{function}"
    return encoder


def print_findings(found: Audit) -> None:
    """Print a table for each kind of attack and label: veiled video first, then by the figures."""
    sections: dict[str, list[tuple[str, str, list[Column]]]] = {}
    for finding in found.findings:
        for part, columns in finding.rows():
            name = f"{finding.name}, {part}" if part else finding.name
            sections.setdefault(finding.section, []).append((name, finding.video, columns))
    for section, rows in sections.items():
        rows.sort(key=lambda row: (row[1] != "veiled", -_chief(row[2])))
        headings = (section, "video", *(column.name for column in rows[0][2]))
        print_table(headings, [(name, video, *_cells(columns)) for name, video, columns in rows])


def _chief(columns: Sequence[Column]) -> float:
    value = columns[0].value
    return value if isinstance(value, float) else 0.0


def _cells(columns: Sequence[Column]) -> list[str]:
    """Return the figures, the first with its interval."""
    chief, *others = columns
    interval = f" ({chief.interval_text()})" if chief.interval else ""
    return [chief.text() + interval, *(column.text() for column in others)]
