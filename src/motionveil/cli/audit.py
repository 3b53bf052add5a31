"""`motionveil audit ENCODER MANIFEST`: what can still be learned from veiled video."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from motionveil.cli.job_options import (
    add_job_arguments,
    engine_of,
    refuse_contradictions,
    show_failures,
    show_progress,
    threads_of,
)
from motionveil.cli.options import command_line
from motionveil.cli.table import in_percent, print_table
from motionveil.cli.trial import add_trial_arguments, data_of, recipe_of, trial_of
from motionveil.data.warnings import warn
from motionveil.errors import MotionveilError

if TYPE_CHECKING:
    from motionveil.audit.attack import Attack
    from motionveil.data.manifest import Manifest
    from motionveil.experiments.auditing.plan import AuditPlan
    from motionveil.findings import (
        AttackFinding,
        Audit,
        FaceFinding,
        Likeness,
        Measured,
        RetrievalFinding,
    )
    from motionveil.training.recipe import Recipe

EPILOG = """\
suites:
  quick  a small version of each kind of attack, with the recipe's networks
  paper  the networks of the paper's figures 5 and 6, with ImageNet and Kinetics weights
  full   every attack at the recipe's own length, and the paper's

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

An attack that is done is not carried out again: a stopped audit goes on when it is started again.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("encoder", metavar="ENCODER", help="what veils, see below")
    add_trial_arguments(parser)
    parser.add_argument("--veiled", type=Path, metavar="DIR", help="attack videos veiled already")
    parser.add_argument(
        "--suite",
        choices=("quick", "paper", "full"),
        default="quick",
        help="which attacks (default: quick)",
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
    from motionveil.capture.process import stopping
    from motionveil.experiments.auditing.run import audit
    from motionveil.findings import FILE_NAME
    from motionveil.report import write_audit
    from motionveil.training.processes import make_fabric

    refuse_contradictions(arguments)
    plan = _plan(arguments)
    engine = engine_of(arguments)
    fabric = make_fabric(plan.device, plan.precision)
    with stopping(Event(), at_once=True), show_progress() as progress:
        found, outcomes = audit(
            plan,
            arguments.out,
            engine,
            fabric,
            command=command_line(),
            threads=threads_of(arguments),
            workers=arguments.workers,
            retry=arguments.retry,
            raw_from=arguments.raw_from,
            progress=progress,
        )
    print_findings(found)
    print(f"wrote {arguments.out / FILE_NAME}")
    print(f"wrote {write_audit(found, arguments.out, show_raw=arguments.show_raw)}")
    return 1 if show_failures(outcomes) else 0


def _plan(arguments: argparse.Namespace) -> AuditPlan:
    from motionveil.audit.suites import SUITES, beside
    from motionveil.experiments.auditing.plan import AuditPlan

    manifest, split, label = data_of(arguments)
    recipe = recipe_of(arguments)
    known = [*SUITES[arguments.suite](recipe), *beside(recipe, manifest, split, label)]
    attacks = {attack.name: attack for attack in _with_faces(known, arguments, recipe)}
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


def _with_faces(
    attacks: Sequence[Attack], arguments: argparse.Namespace, recipe: Recipe
) -> list[Attack]:
    """Return the attacks with those that need files of networks for faces, where there are any.

    Raises:
        MotionveilError: A file is missing or holds another network.
    """
    from motionveil.audit.faces import FaceTools
    from motionveil.audit.suites import faces

    detector, describer = arguments.face_detector, arguments.face_recogniser
    if detector is None:
        if describer is not None:
            raise MotionveilError(f"--face-recogniser {describer}: it needs --face-detector")
        return list(attacks)
    file, other = (str(f.absolute()) if f is not None else "" for f in (detector, describer))
    FaceTools.open(file, other)  # what is wrong with a file is found out before any attack
    looking = [
        attack.model_copy(update={"detector": file}) if attack.kind == "reconstruct" else attack
        for attack in attacks
    ]
    return [*looking, faces(recipe, file, other)]


def _possible(
    attacks: Sequence[Attack], manifest: Manifest, split: str, label: str
) -> tuple[Attack, ...]:
    """Return the attacks that the data allow, and say which they do not.

    Raises:
        MotionveilError: None is left.
    """
    from motionveil.audit.retrieval import people_in_both

    try:
        people_in_both(manifest, split, label)
        return tuple(attacks)
    except MotionveilError as error:
        kept = tuple(a for a in attacks if a.kind not in ("retrieve", "reconstruct"))
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
    """Print a line an attack, those that learned most first; action networks last."""
    raw = {f.name: f for f in found.attacks if f.video == "raw"}
    veiled = [f for f in found.attacks if f.video == "veiled"]
    veiled.sort(key=lambda f: (f.target == "action", -f.judgement.clip.value))
    headings = ("attack", "of", "veiled: clips %", "frames %", "raw: clips %", "floor %", "p")
    print_table((*headings, "bits"), [_cells(f, raw.get(f.name)) for f in veiled])
    further = [*found.beside, *found.crossings]
    if further:
        raw = {f.name: f for f in further if f.video == "raw"}
        rows = [_cells(f, raw.get(f.name)) for f in further if f.video == "veiled"]
        print_table(("further attacks", *headings[1:], "bits"), rows)
    before = {f.name: f for f in found.retrievals if f.video == "raw"}
    searched = [f for f in found.retrievals if f.video == "veiled"]
    if searched:
        rows = [_search_cells(f, before.get(f.name)) for f in searched]
        of_searches = ("finding again", "of", "veiled: first %", "raw: first %", "guessing %")
        print_table((*of_searches, "p", "equal error %"), rows)

    if found.faces:
        of_faces = ("faces", "of frames: veiled %", "original %", "again %", "named veiled %")
        print_table((*of_faces, "original %", "floor %"), [_face_cells(f) for f in found.faces])
    if found.reconstructions:
        of_rebuilt = ("reconstruction of", "PSNR dB", "(blank)", "SSIM", "(blank)", "GMSD")
        rows = [
            _rebuilt_cells(name, likeness)
            for f in found.reconstructions
            for name, likeness in (("known people", f.known), ("people never seen", f.strangers))
        ]
        print_table((*of_rebuilt, "(blank)", "recognised %", "(original)", "floor %"), rows)


def _face_cells(finding: FaceFinding) -> list[str]:
    naming = finding.naming
    return [
        finding.name,
        _percent(finding.veiled),
        _percent(finding.original),
        "" if finding.again is None else _percent(finding.again),
        *(
            ("", "", "")
            if naming is None
            else (_percent(naming.veiled), _percent(naming.original), f"{100 * naming.floor:.1f}")
        ),
    ]


def _rebuilt_cells(name: str, likeness: Likeness) -> list[str]:
    return [
        name,
        f"{likeness.psnr.value:.1f}",
        f"{likeness.blank_psnr:.1f}",
        f"{likeness.ssim.value:.2f}",
        f"{likeness.blank_ssim:.2f}",
        f"{likeness.gmsd.value:.3f}",
        f"{likeness.blank_gmsd:.3f}",
        _percent(likeness.recognised),
        f"{100 * likeness.original_recognised:.1f}",
        f"{100 * likeness.floor:.1f}",
    ]


def _percent(measured: Measured) -> str:
    return in_percent(measured.value, measured.interval)


def _cells(finding: AttackFinding, raw: AttackFinding | None) -> list[str]:
    from motionveil.statistics import p_value

    judged = finding.judgement
    return [
        finding.name,
        finding.label,
        _percent(judged.clip),
        f"{100 * judged.frame.value:.1f}",
        "" if raw is None else f"{100 * raw.judgement.clip.value:.1f}",
        f"{100 * judged.floor:.1f}",
        p_value(judged.p),
        f"{max(0.0, judged.bits.value):.2f} of {judged.entropy:.2f}",
    ]


def _search_cells(finding: RetrievalFinding, raw: RetrievalFinding | None) -> list[str]:
    from motionveil.statistics import p_value

    return [
        finding.name,
        finding.label,
        _percent(finding.rank_1),
        "" if raw is None else f"{100 * raw.rank_1.value:.1f}",
        f"{100 * finding.rank_1.guessed:.1f}",
        p_value(finding.p),
        f"{100 * finding.equal_error.value:.1f}",
    ]
