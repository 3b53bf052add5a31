"""From an encoder, a data set and a suite to the plan of an audit."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from lightning_fabric import Fabric

from motionveil.audit_results import AttributeRecognition, Finding, Recognition, Retrieval
from motionveil.datasets.console import warn
from motionveil.datasets.manifest import Manifest
from motionveil.errors import MotionveilError
from motionveil.evaluation.attack import Attack
from motionveil.evaluation.attacks.faces import Faces
from motionveil.evaluation.audit import AuditPlan, attack_veiled
from motionveil.evaluation.data import people_in_both
from motionveil.evaluation.executors import Executor, in_this_process
from motionveil.evaluation.suites import (
    CLIP,
    COURSE,
    FRAMES,
    RETRIEVAL,
    TRANSFORMER,
    beside,
    read_suite,
)
from motionveil.hub import fetch, is_hub_name
from motionveil.job_store import differences
from motionveil.methods import UNTRAINED, Choice, UnknownMethodError, choose
from motionveil.results import Accuracy, Attacker, ClipPrediction
from motionveil.spec import FILE_NAME, EncoderSpec
from motionveil.statistics import Floats
from motionveil.training.experiment import Experiment
from motionveil.training.recipe import Recipe

NAMES = {
    FRAMES: "per frame",
    CLIP: "whole clip",
    COURSE: "course over time",
    TRANSFORMER: "transformer",
    RETRIEVAL: "re-identification",
}
"""What tables call the attackers of `motionveil.evaluation.suites.attackers`."""

AVERAGED = "frames averaged"


def choose_attacks(
    suite: str,
    only: Sequence[str],
    manifest: Manifest,
    recipe: Recipe,
    *,
    split: str,
    label: str,
    face_detector: Path | None = None,
    face_recogniser: Path | None = None,
) -> tuple[Attack, ...]:
    """Return the attacks of a suite, and those of the data, that the data allow.

    Args:
        only: Of these, the attacks wanted; empty for all.
        face_detector: YuNet's ONNX file, to look for faces too.
        face_recogniser: dlib's network as safetensors, to ask whose they are.

    Raises:
        MotionveilError: There is no such suite or attack, a file of a face network is missing or
            holds another, or the data allow none of the attacks.
    """
    known = [*read_suite(suite, recipe), *beside(recipe, manifest, split, label)]
    known = _with_faces(known, face_detector, face_recogniser)
    attacks = {attack.name: attack for attack in known}
    for name in only:
        if name not in attacks:
            raise MotionveilError(f"--only {name}: the suite {suite} has {', '.join(attacks)}")
    return possible([attacks[name] for name in only or attacks], manifest, split, label)


def _with_faces(
    attacks: Sequence[Attack], detector: Path | None, recogniser: Path | None
) -> list[Attack]:
    """Return the attacks with those that need files of face networks, where there are any."""
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


def possible(
    attacks: Sequence[Attack], manifest: Manifest, split: str, label: str
) -> tuple[Attack, ...]:
    """Return the attacks that the data allow, and say which they do not."""
    if len(manifest.columns_of(label)) > 1:
        left_out = [a.name for a in attacks if not a.takes_attributes]
        attacks = [a for a in attacks if a.takes_attributes]
        if left_out:
            warn(f"{label} is several attributes, and nobody; left out: {', '.join(left_out)}")
        return tuple(attacks)
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


def stored_encoder(
    encoder: str | os.PathLike[str] | EncoderSpec | Callable[..., Any],
    out: Path,
    experiment: Callable[[], Experiment],
) -> str:
    """Return an encoder as every process finds it, written where it is in no file yet.

    Args:
        encoder: A name, a path, a spec, or a function.
        experiment: Gives the experiment, for a method before its training.

    Raises:
        MotionveilError: A spec has weights elsewhere, the function is in no file, or the audit's
            folder holds another encoder.
    """
    if isinstance(encoder, EncoderSpec):
        return _stored(encoder, out / "encoder")
    if callable(encoder):
        return function_name(encoder)
    name = os.fspath(encoder)
    choice = None if Path(name).exists() else _untrained(name)
    if choice is None:
        return anywhere(name)
    return _stored(experiment().untrained(choice), out / choice.folder)


def _untrained(name: str) -> Choice | None:
    """Return the method before its training that a name says; None where it says another thing."""
    if UNTRAINED not in name:
        return None
    try:
        choice = choose(name)
    except UnknownMethodError:  # a function, or an encoder elsewhere
        return None
    return choice if choice.untrained else None


def _stored(spec: EncoderSpec, folder: Path) -> str:
    if spec.weights is not None:
        raise MotionveilError(f"{spec.name}: its weights are in a file: give its folder")
    file = folder.absolute() / FILE_NAME
    if not file.exists():
        spec.save(file)
    elif other := differences(*(s.model_dump(mode="json") for s in (EncoderSpec.read(file), spec))):
        # another audit's, which stays as it is
        raise MotionveilError(
            f"{file}: the folder holds another encoder: {other}; give another --out"
        )
    return str(file.parent)


def anywhere(encoder: str) -> str:
    """Return an encoder so that it means the same in every process and folder.

    Paths become absolute, and a name on the hub gets the commit that it stands for now.
    """
    if is_hub_name(encoder):
        return fetch(encoder, FILE_NAME).pinned
    place, colon, function = encoder.rpartition(":")
    if Path(encoder).exists():
        return str(Path(encoder).absolute())
    if colon and place.endswith(".py"):
        return f"{Path(place).absolute()}:{function}"
    return encoder


def function_name(function: Callable[..., Any]) -> str:
    """Return a function as other processes find it: `module:function` or `file.py:function`.

    Raises:
        MotionveilError: It is none that is defined at the top of a module or script.
    """
    name = getattr(function, "__qualname__", type(function).__qualname__)
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    if not name.isidentifier() or getattr(module, name, None) is not function:
        raise MotionveilError(
            f"{name}: no function at the top of a module, by which other processes could find it;"
            " define it with def in a file, and give that, or its name: file.py:function"
        )
    assert module is not None
    if module.__name__ != "__main__":
        return f"{module.__name__}:{name}"
    if module.__spec__ is not None:  # python -m
        return f"{module.__spec__.name}:{name}"
    file = getattr(module, "__file__", None)
    if file is None:
        raise MotionveilError(f"{name}: typed in, so in no file; define it in one")
    return f"{Path(file).absolute()}:{name}"


def attack_row(
    experiment: Experiment,
    spec: EncoderSpec,
    weights: Path | None,
    attacks: Sequence[Attack],
    folder: Path,
    fabric: Fabric,
    *,
    precision: str = "32-true",
    run: Executor = in_this_process,
    workers: int | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> list[Finding]:
    """Attack what an encoder makes of an experiment's clips, in 8 bits, as it leaves a camera.

    Args:
        weights: Folder of its weights, if it has any.
        folder: Attacks have their folders in `folder/attacks`; what is done is kept.
        precision: Of the networks, as Fabric takes it.
        workers: Videos decoded, or clips veiled, in parallel.
        progress: Called with each attack that has ended.

    Raises:
        MotionveilError: As `motionveil.evaluation.audit.attack_veiled`.
    """
    manifest = experiment.cache.manifest
    assert manifest.file is not None
    if spec.weights is None or weights is None:
        weights = spec.save(folder / "attacked" / "encoder.json").parent
    plan = AuditPlan(
        encoder=str(weights.absolute()),
        manifest=str(manifest.file.absolute()),
        recipe=experiment.recipe,
        label=experiment.privacy_label,
        split=experiment.split,
        seed=experiment.seed,
        device=str(fabric.device),
        precision=precision,
        suite="strongest",
        attacks=tuple(attacks),
    )
    return attack_veiled(plan, folder, fabric, run=run, workers=workers, progress=progress)


def attackers_of(
    findings: Sequence[Finding], predictions: Sequence[ClipPrediction]
) -> list[Attacker]:
    """Return what attacks found, in a row's terms; frames by frame and averaged over a clip.

    Args:
        findings: What recognition and re-identification found; findings of other kinds have no
            accuracy by clip, and are left out.
    """
    found: list[Attacker] = []
    for finding in findings:
        name = NAMES.get(finding.name, finding.name)
        if isinstance(finding, Retrieval):
            hits = {s.clip: np.float64(s.found == s.truth) for s in finding.searches}
            found.append(_attacker(name, hits, finding, predictions))
        elif isinstance(finding, Recognition | AttributeRecognition):
            clips = {
                answer.clip: np.asarray(answer.right, np.float64) for answer in finding.answers
            }
            if finding.by_frame:
                frames = {answer.clip: np.asarray(answer.frames) for answer in finding.answers}
                found.append(_attacker(name, frames, finding, predictions))
                name = AVERAGED if name == NAMES[FRAMES] else f"{name}, averaged"
            found.append(_attacker(name, clips, finding, predictions))
    return found


def _attacker(
    name: str,
    right: Mapping[str, Floats | np.float64],
    finding: Finding,
    predictions: Sequence[ClipPrediction],
) -> Attacker:
    aligned = [right.get(prediction.clip) for prediction in predictions]
    asked = [(s, p.privacy) for s, p in zip(aligned, predictions, strict=True) if s is not None]
    if len(asked) != len(right):
        raise MotionveilError(f"{finding.name}: it was asked about other clips than the row")
    scores, labels = (np.array(values) for values in zip(*asked, strict=True))
    return Attacker(
        name=name,
        accuracy=Accuracy.of(scores, labels),
        right=[None if score is None else score.tolist() for score in aligned],
        trainings=finding.trainings,
    )
