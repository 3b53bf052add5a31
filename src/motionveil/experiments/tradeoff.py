"""The trade-off between action and privacy of any methods (paper, section 4.3 and figure 3).

For every split and seed each method's encoder is trained and validated like all others. Each row
is stored when it is done, so an interrupted experiment resumes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from matplotlib.figure import Figure
from matplotlib.image import imsave
from numpy.typing import NDArray

from motionveil.atomic_write import atomic_path
from motionveil.audit_results import Finding
from motionveil.datasets.cache import ClipCache
from motionveil.datasets.dataset import batches
from motionveil.datasets.manifest import Manifest
from motionveil.encoders import build_encoder, functional
from motionveil.errors import MotionveilError
from motionveil.evaluation.attack import Attack
from motionveil.evaluation.encode_clips import encode_parts
from motionveil.evaluation.executors import Run, in_this_process
from motionveil.evaluation.plan_audit import attack_row, attackers_of, possible
from motionveil.evaluation.validation import validate_encoder
from motionveil.experiments.train_methods import MethodTrainer, TrainedEncoder
from motionveil.job_store import Job
from motionveil.methods import LEVELS, Choice
from motionveil.methods.bdq import BDQSettings
from motionveil.results import Result, Row, stored_question
from motionveil.spec import EncoderSpec
from motionveil.training.checkpoint import CollapseError
from motionveil.training.distributed import agreed, describe_environment, first_process_first
from motionveil.training.experiment import (
    Experiment,
    decode_clips,
    describe_dataset,
    describe_weights,
)
from motionveil.training.recipe import Recipe

COLUMNS = 6
VEILED = 4
"""Frames in a picture of veiled video."""


@dataclass(frozen=True)
class Plan:
    """What is to be compared.

    Attributes:
        manifest: The data set.
        recipe: The recipe; its own alpha is used where a method is given none.
        choices: The methods, a row each for every split and seed.
        splits: The splits, or folds, to go through.
        seeds: The seeds.
        privacy_label: The label that the adversary tries to learn.
        face_detector: The detector's file, for the method `face-blur`.
        encoder: A trained encoder for the ablation; None to train one.
        recogniser: The method whose action network is left as `out/recogniser/`; None for none.
        attackers: Attacks on each row's veiled video besides the published two, such as
            `motionveil.evaluation.suites.attackers`.
        precision: Of the attackers' networks, as Fabric takes it.

    Raises:
        MotionveilError: Faces are to be blurred, and there is no detector.
    """

    manifest: Manifest
    recipe: Recipe
    choices: Sequence[Choice]
    splits: Sequence[str]
    seeds: Sequence[int]
    privacy_label: str
    face_detector: Path | None = None
    encoder: EncoderSpec | None = None
    recogniser: Choice | None = None
    attackers: Sequence[Attack] = ()
    precision: str = "32-true"

    def __post_init__(self) -> None:
        blurred = [choice for choice in self.choices if choice.method.blurs_faces]
        if blurred and self.face_detector is None:
            raise MotionveilError(
                f"{blurred[0].name} needs a face detector: --face-detector FILE, such as YuNet's"
            )


def measure_tradeoff(
    plan: Plan,
    out: Path,
    fabric: Fabric,
    *,
    kind: str,
    command: str,
    workers: int | None = None,
    run: Run = in_this_process,
    done: Callable[[Row], None] = lambda row: None,
) -> Result:
    """Run a plan and return its result; `out/results.json` is written after every row.

    A training that collapses costs its own row only; the result names it.

    Args:
        out: Folder for runs, rows and the result.
        kind: What the result calls the experiment.
        workers: Videos decoded at once.
        run: Where the attackers of a row run.
        done: Told of each row.

    Raises:
        MotionveilError: Several processes were started and there are attackers, which need one;
            data cannot be read, `out` cannot be written, the face detector cannot be
            used, or no training succeeded.
    """
    began = time.monotonic()
    if plan.attackers and fabric.world_size > 1:
        raise MotionveilError(
            f"attackers run in one process each, not in {fabric.world_size}: give --protocol paper"
            " here, and attack the encoders with motionveil audit"
        )
    bench = _Bench(plan, out, fabric, workers, run)
    result = Result(
        kind=kind,
        command=command,
        dataset=describe_dataset(plan.manifest, plan.splits, plan.privacy_label),
        recipe=plan.recipe.model_dump(mode="json"),
        seed=plan.seeds[0],
        environment=describe_environment(fabric),
        weights=describe_weights(plan.recipe),
        rows=[],
        seconds=0.0,
    )
    result.collapsed = bench.collapsed  # which grows as the rows are made
    for seed in plan.seeds:
        for split in plan.splits:
            for row in bench.rows(seed, split):
                result.rows.append(row)
                # Rows read back count too: what it took, not what this call took.
                result.seconds = max(time.monotonic() - began, sum(r.seconds for r in result.rows))
                if fabric.is_global_zero:
                    result.save(out / "results.json")
                done(row)
    if not result.rows:
        raise MotionveilError("; ".join(f"{k}: {v}" for k, v in result.collapsed.items()))
    if fabric.is_global_zero:
        result.save(out / "results.json")
    return result


@dataclass
class _Bench:
    """Where the rows of a plan are measured."""

    plan: Plan
    out: Path
    fabric: Fabric
    workers: int | None
    run: Run
    cache: ClipCache = field(init=False)
    blurred: ClipCache | None = field(init=False, default=None)
    faces: dict[str, Any] = field(init=False, default_factory=dict)
    collapsed: dict[str, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.cache = decode_clips(self.plan.manifest, self.plan.recipe, self.fabric, self.workers)
        blurred = [choice for choice in self.plan.choices if choice.method.blurs_faces]
        if self.plan.face_detector and blurred:
            self._blur_faces(self.plan.face_detector, self.out / blurred[0].folder)

    def _blur_faces(self, detector: Path, place: Path) -> None:
        """Make a copy of the data whose faces are blurred, and keep what was found in it."""
        # onnxruntime is needed for this only.
        from motionveil.experiments.face_blur import FaceLog, blur_manifest

        with first_process_first(self.fabric):
            manifest = blur_manifest(self.plan.manifest, detector, place, workers=self.workers)
        self.blurred = decode_clips(manifest, self.plan.recipe, self.fabric, self.workers)
        self.faces = FaceLog.read(place).model_dump(mode="json", exclude={"videos"})

    def rows(self, seed: int, split: str) -> Iterator[Row]:
        """Yield the rows of one split and seed, measuring only what is not stored yet."""
        plan, folder = self.plan, self.out / f"seed{seed}-{split}"
        experiment = Experiment(
            self.cache, plan.recipe, split, plan.privacy_label, seed, self.fabric
        )
        trainer = MethodTrainer(experiment, folder, plan.encoder)
        for choice in plan.choices:
            own = experiment
            if choice.alpha is not None:
                changed = plan.recipe.model_copy(update={"alpha": choice.alpha})
                own = replace(experiment, recipe=changed)
            if choice.method.blurs_faces:
                assert self.blurred is not None
                own = replace(experiment, cache=self.blurred)
            place = folder / choice.folder
            measure = partial(self._measure, choice, own, trainer)
            try:
                yield _stored(own, place, measure, self._more(choice))
            except CollapseError as error:
                print(f"{place}: {error}", file=sys.stderr)
                self.collapsed[f"{folder.name}/{choice.folder}"] = str(error)

    def _more(self, choice: Choice) -> dict[str, Any]:
        """Return what a row depends on besides its experiment and name."""
        given, attackers = self.plan.encoder, self.plan.attackers
        more: dict[str, Any] = {}
        if attackers:
            more["attackers"] = [a.model_dump(mode="json") for a in attackers]
        if choice.method.blurs_faces:
            return more | {"faces": self.faces}
        if self._leaves_recogniser(choice):  # a row that is stored has left none
            more |= {"recogniser": True}
        return more | ({"encoder": given.model_dump(mode="json")} if given else {})

    def _leaves_recogniser(self, choice: Choice) -> bool:
        return self.plan.recipe.order == "camera" and choice == self.plan.recogniser

    def _measure(self, choice: Choice, experiment: Experiment, trainer: MethodTrainer) -> Row:
        if choice.method.blurs_faces:
            # A blurrer that finds no face leaves raw video: the row says what was found.
            made = TrainedEncoder(EncoderSpec(method="raw", provenance={"faces": self.faces}))
        else:
            made = trainer.make(choice)
        began = time.monotonic()
        findings = self._attack(choice, experiment, made)
        attacked = time.monotonic() - began
        row = validate_encoder(
            experiment,
            made.spec,
            method=choice.name,
            folder=made.folder,
            alpha=choice.alpha,
            curves=made.curves,
            trained_seconds=made.seconds + attacked,
            recogniser=self.out / "recogniser" if self._leaves_recogniser(choice) else None,
        )
        row.attackers = attackers_of(findings, row.predictions)
        row.picture = self._picture(choice, experiment, made)
        return row

    def _attack(
        self, choice: Choice, experiment: Experiment, made: TrainedEncoder
    ) -> list[Finding]:
        """Attack a method's video; what was done before an interruption is not done again."""
        split, label = experiment.split, experiment.privacy_label
        if not self.plan.attackers:
            return []
        return attack_row(
            experiment,
            made.spec,
            made.folder,
            possible(self.plan.attackers, experiment.cache.manifest, split, label),
            self.out / f"seed{experiment.seed}-{split}" / choice.folder,
            self.fabric,
            precision=self.plan.precision,
            run=self.run,
            workers=self.workers,
            progress=lambda line: print(f"{choice.name}: {line}", file=sys.stderr, flush=True),
        )

    def _picture(self, choice: Choice, experiment: Experiment, made: TrainedEncoder) -> str | None:
        """Draw frames of a held-out clip as they leave the encoder; none of raw video."""
        if choice.name == "raw":
            return None
        name = f"seed{experiment.seed}-{experiment.split}-{choice.folder}.png"
        if self.fabric.is_global_zero:
            save_veiled(self.out / name, experiment, made.spec, made.folder)
        return name


def _stored(
    experiment: Experiment, folder: Path, measure: Callable[[], Row], more: dict[str, Any]
) -> Row:
    """Return a row from `folder/job.json` if it was measured just so, else measure and store it."""
    question = {
        "manifest": experiment.cache.manifest.hash,
        "recipe": stored_question(experiment.recipe.model_dump(mode="json")),
        "split": experiment.split,
        "privacy_label": experiment.privacy_label,
        "seed": experiment.seed,
        "method": folder.name,
        **more,
    }
    job = Job(folder, question)
    row = job.get(Row.model_validate)
    # A process that looked later might see a row that another has just stored.
    if agreed(experiment.fabric, row is not None):
        if row is None:
            raise MotionveilError(f"{job.file}: all processes must see the same folder")
        print(f"{folder}: measured already", file=sys.stderr)
        return row
    row = measure()
    if experiment.fabric.is_global_zero:
        job.put(row.model_dump(mode="json"))
    return row


def save_strip(path: Path, frames: NDArray[np.uint8], spec: EncoderSpec) -> Path:
    """Draw original, blurred, difference and veiled frames below each other.

    Args:
        frames: uint8 (T, H, W, 3), RGB, T >= 2.
    """
    rows = _stages(frames, spec)
    shown = np.linspace(0, len(frames) - 2, COLUMNS).round().astype(int)
    height, width = frames.shape[1:3]
    figure = Figure(figsize=(COLUMNS * 1.3, len(rows) * 1.3 * height / width), layout="constrained")
    axes = figure.subplots(len(rows), COLUMNS, squeeze=False)
    for line, (name, images) in zip(axes, rows.items(), strict=True):
        line[0].set_ylabel(name, fontsize=8)
        for cell, index in zip(line, shown, strict=True):
            cell.imshow(np.clip(images[index], 0, 1), interpolation="nearest")
            cell.set_xticks([])
            cell.set_yticks([])
    with atomic_path(path) as part:
        figure.savefig(part, dpi=150, format="png", metadata={"Software": None})
    return path


@torch.no_grad()
def save_veiled(
    path: Path, experiment: Experiment, spec: EncoderSpec, folder: Path | None = None
) -> Path:
    """Draw frames of the first held-out clip as networks see them, beside each other.

    Args:
        experiment: The split, and the recipe for the frames' size.
        folder: Where its weights lie, if it has any.
    """
    encoder = build_encoder(spec, folder).eval()
    encoded = encode_parts(experiment, encoder, order=experiment.order_of(encoder))
    batch = next(batches(encoded.validation, 1, epoch=0))
    veiled = encoded.encoder(batch.clips)[0] / LEVELS  # (3, T', H, W)
    shown = np.linspace(0, veiled.shape[1] - 1, VEILED).round().astype(int)
    strip = np.concatenate([veiled[:, index].permute(1, 2, 0).numpy() for index in shown], axis=1)
    with atomic_path(path) as part:
        # An empty text keeps matplotlib's version out: equal frames give equal bytes.
        imsave(part, np.clip(strip, 0, 1), format="png", metadata={"Software": ""})
    return path


def _stages(frames: NDArray[np.uint8], spec: EncoderSpec) -> dict[str, NDArray[np.float32]]:
    """Return what each stage gives for frames 1 ... T - 1, each (T - 1, H, W, 3) in [0, 1]."""
    clip = torch.from_numpy(frames).permute(3, 0, 1, 2)[None].float() / 255  # (1, 3, T, H, W)
    settings = spec.settings
    assert isinstance(settings, BDQSettings)
    assert settings.range is not None
    sigma = torch.tensor(settings.sigma)
    blurred = functional.blur(clip, sigma)
    difference = functional.difference(blurred)
    veiled = functional.quantise(
        functional.normalise(difference, "fixed", settings.range),
        torch.tensor(settings.boundaries),
        settings.hardness,
    )
    stages = {
        "original": clip[:, :, 1:],
        "blurred": blurred[:, :, 1:],
        "difference": (difference + settings.range) / (2 * settings.range),
        "veiled": veiled / LEVELS,
    }
    return {name: stage[0].permute(1, 2, 3, 0).numpy() for name, stage in stages.items()}
