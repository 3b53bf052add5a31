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

import torch
from lightning_fabric import Fabric

from motionveil.audit_results import Finding
from motionveil.datasets.cache import ClipCache
from motionveil.datasets.manifest import Manifest
from motionveil.errors import MotionveilError
from motionveil.evaluation.attack import Attack
from motionveil.evaluation.encode_clips import working_clips
from motionveil.evaluation.executors import Executor, in_processes, in_this_process
from motionveil.evaluation.plan_audit import attack_row, attackers_of, possible
from motionveil.evaluation.validation import validate_encoder
from motionveil.experiments.frame_strips import save_veiled
from motionveil.experiments.train_methods import MethodTrainer, TrainedEncoder
from motionveil.job_store import Job
from motionveil.methods import Choice
from motionveil.results import Result, Row, stored_question
from motionveil.spec import EncoderSpec
from motionveil.training.checkpoint import CollapseError
from motionveil.training.distributed import (
    agreed,
    describe_environment,
    first_process_first,
    make_fabric,
)
from motionveil.training.experiment import (
    Experiment,
    decode_clips,
    describe_dataset,
    describe_weights,
    geometry_of,
)
from motionveil.training.recipe import Recipe


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
        precision: Of all networks, as Fabric takes it; the fabric's own.

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
    run: Executor = in_this_process,
    parallel_rows: int = 1,
    done: Callable[[Row], None] = lambda row: None,
) -> Result:
    """Run a plan and return its result; `out/results.json` is written after every row.

    A training that collapses costs its own row only; the result names it.

    Args:
        out: Folder for runs, rows and the result.
        kind: What the result calls the experiment.
        workers: Videos decoded in parallel.
        run: Where the attackers of a row run.
        parallel_rows: Rows measured in parallel, each in a process of its own with its share of the
            threads; those that train first, since they take longest.
        done: Called with each row when it is complete.

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
        environment=describe_environment(fabric) | {"precision": plan.precision},
        weights=describe_weights(plan.recipe),
        rows=[],
        seconds=0.0,
    )
    result.collapsed = bench.collapsed  # which grows as the rows are made
    if parallel_rows > 1:
        result.environment["threads"] = str(bench.measure(parallel_rows, done))
        result.environment["parallel rows"] = str(parallel_rows)
    for seed in plan.seeds:
        for split in plan.splits:
            for row in bench.rows(seed, split):
                result.rows.append(row)
                # Rows read back count too: what it took, not what this call took.
                took = sum(row.seconds for row in result.rows) / parallel_rows
                result.seconds = max(time.monotonic() - began, took)
                if fabric.is_global_zero:
                    result.save(out / "results.json")
                if parallel_rows == 1:
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
    run: Executor
    cache: ClipCache = field(init=False)
    blurred: ClipCache | None = field(init=False, default=None)
    faces: dict[str, Any] = field(init=False, default_factory=dict)
    collapsed: dict[str, str] = field(init=False, default_factory=dict)
    said: set[Choice] = field(init=False, default_factory=set)
    """Of whose rows nothing is to be said any more."""

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

    def measure(self, jobs: int, done: Callable[[Row], None]) -> int:
        """Measure all rows in parallel; return the threads of each process.

        Raises:
            MotionveilError: A row cannot be measured; the others that have begun are stopped.
        """
        plan = self.plan
        parts = [
            replace(plan, choices=[choice], splits=[split], seeds=[seed])
            for seed in plan.seeds
            for split in plan.splits
            for choice in sorted(plan.choices, key=lambda one: one.alpha is None)
        ]
        self._decode()
        threads = max(1, torch.get_num_threads() // jobs)
        device = str(self.fabric.device)
        calls = [(part, self.out, device, self.workers) for part in parts]
        run = in_processes(jobs, threads)
        for place, fault in run(_measure_part, calls):
            part = parts[place]
            (seed,), (split,), (choice,) = part.seeds, part.splits, part.choices
            if fault:
                self._lost(seed, split, choice, fault)
            self.said.add(choice)
            for row in self.rows(seed, split, part.choices):
                done(row)
        return threads

    def _decode(self) -> None:
        """Decode once what several rows will look for at the same time."""
        plan = self.plan
        if plan.recipe.order == "camera":
            geometry = geometry_of(plan.manifest, plan.recipe)
            place = self.cache.folder.parent
            working_clips(plan.manifest, geometry, folder=place, workers=self.workers)

    def _lost(self, seed: int, split: str, choice: Choice, reason: str) -> None:
        self.collapsed[f"seed{seed}-{split}/{choice.folder}"] = reason

    def rows(self, seed: int, split: str, choices: Sequence[Choice] | None = None) -> Iterator[Row]:
        """Yield rows of one split and seed, all if None, measuring only what is not stored yet."""
        plan, folder = self.plan, self.out / f"seed{seed}-{split}"
        experiment = Experiment(
            self.cache, plan.recipe, split, plan.privacy_label, seed, self.fabric
        )
        trainer = MethodTrainer(experiment, folder, plan.encoder)
        for choice in plan.choices if choices is None else choices:
            if f"{folder.name}/{choice.folder}" in self.collapsed:
                continue
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
                yield _stored(own, place, measure, self._more(choice), choice in self.said)
            except CollapseError as error:
                print(f"{place}: {error}", file=sys.stderr)
                self._lost(seed, split, choice, str(error))

    def _more(self, choice: Choice) -> dict[str, Any]:
        """Return what a row depends on besides its experiment and name."""
        given, attackers = self.plan.encoder, self.plan.attackers
        more: dict[str, Any] = {}
        if self.plan.precision != "32-true":
            more["precision"] = self.plan.precision
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


def _measure_part(plan: Plan, out: Path, device: str, workers: int | None) -> str:
    """Measure the rows of a plan in a process of their own; return why some are lost."""
    bench = _Bench(plan, out, make_fabric(device, plan.precision), workers, in_this_process)
    for seed in plan.seeds:
        for split in plan.splits:
            for _ in bench.rows(seed, split):
                pass
    return "; ".join(bench.collapsed.values())


def _stored(
    experiment: Experiment,
    folder: Path,
    measure: Callable[[], Row],
    more: dict[str, Any],
    quiet: bool,
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
        if not quiet:
            print(f"{folder}: measured already", file=sys.stderr)
        return row
    row = measure()
    if experiment.fabric.is_global_zero:
        job.put(row.model_dump(mode="json"))
    return row
