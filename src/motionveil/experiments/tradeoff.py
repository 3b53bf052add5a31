"""The trade-off between action and privacy (paper, section 4.3 and figure 3): BDQ's rows.

For every split and seed: raw video, untrained BDQ, and BDQ trained with each alpha, all validated
alike. Each row is stored when it is done, so a stopped experiment goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from lightning_fabric import Fabric
from pydantic import ValidationError

from motionveil.data.manifest import Manifest
from motionveil.errors import MotionveilError
from motionveil.files import write_text_atomically
from motionveil.results import Dataset, Result, Row
from motionveil.spec import EncoderSpec
from motionveil.training.checkpoint import OtherTrainingError
from motionveil.training.processes import agreed, describe_environment
from motionveil.training.recipe import Recipe
from motionveil.training.trial import Trial, decode_clips


@dataclass(frozen=True)
class Plan:
    """What is to be compared.

    Attributes:
        manifest: The data set.
        recipe: The recipe; its own alpha is not used.
        alphas: The adversarial weights to train BDQ with.
        splits: The splits, or folds, to go through.
        seeds: The seeds.
        privacy_label: The label that the adversary tries to learn.

    Raises:
        MotionveilError: An alpha is negative or not finite.
    """

    manifest: Manifest
    recipe: Recipe
    alphas: Sequence[float]
    splits: Sequence[str]
    seeds: Sequence[int]
    privacy_label: str

    def __post_init__(self) -> None:
        for alpha in self.alphas:
            if not 0 <= alpha < math.inf:
                raise MotionveilError(f"alpha {alpha:g}: the weight must be 0 or more, and finite")


def measure_tradeoff(
    plan: Plan,
    out: Path,
    fabric: Fabric,
    *,
    kind: str,
    command: str,
    workers: int | None = None,
) -> Result:
    """Run a plan and return its result; `out/results.json` is written after every row.

    Args:
        plan: What to compare.
        out: Folder for runs, rows and the result.
        fabric: Device and precision.
        kind: What the result calls the experiment.
        command: The command line, for the result.
        workers: Videos decoded at once.

    Raises:
        MotionveilError: Data cannot be read, a training collapsed, `out` cannot be written.
    """
    began = time.monotonic()
    cache = decode_clips(plan.manifest, plan.recipe, fabric, workers)
    result = Result(
        kind=kind,
        command=command,
        dataset=describe_dataset(plan.manifest, plan.splits, plan.privacy_label),
        recipe=plan.recipe.model_dump(mode="json"),
        seed=plan.seeds[0],
        environment=describe_environment(fabric),
        rows=[],
        seconds=0.0,
    )
    for seed in plan.seeds:
        for split in plan.splits:
            trial = Trial(cache, plan.recipe, split, plan.privacy_label, seed, fabric)
            for row in _rows(trial, plan.alphas, out / f"seed{seed}-{split}"):
                result.rows.append(row)
                # Rows read back count too: what it took, not what this call took.
                result.seconds = max(time.monotonic() - began, sum(r.seconds for r in result.rows))
                if fabric.is_global_zero:
                    result.save(out / "results.json")
    return result


def _rows(trial: Trial, alphas: Sequence[float], folder: Path) -> Iterator[Row]:
    """Yield the rows of one split and seed, running only what is not stored yet."""
    start = trial.untrained()
    yield _stored(
        trial,
        folder / "raw",
        partial(trial.validate, EncoderSpec(method="raw"), method="raw"),
    )
    yield _stored(
        trial,
        folder / "bdq-untrained",
        partial(trial.validate, start, method="bdq-untrained"),
    )
    for alpha in alphas:
        own = replace(trial, recipe=trial.recipe.model_copy(update={"alpha": alpha}))
        run = folder / f"bdq-alpha{alpha:g}"
        yield _stored(own, run, partial(_train_and_validate, own, start, run))


def _train_and_validate(trial: Trial, start: EncoderSpec, run: Path) -> Row:
    began = time.monotonic()
    try:
        spec, curves = trial.train(start, run, resume=True)
    except OtherTrainingError as error:
        print(f"{error}: trained anew", file=sys.stderr)
        spec, curves = trial.train(start, run)
    return trial.validate(
        spec,
        method="bdq",
        alpha=trial.recipe.alpha,
        curves=curves,
        trained_seconds=time.monotonic() - began,
    )


def _stored(trial: Trial, folder: Path, measure: Callable[[], Row]) -> Row:
    """Return a row from `folder/row.json` if it was measured just so, else measure and store it."""
    file = folder / "row.json"
    question = {
        "manifest": trial.cache.manifest.hash,
        "recipe": trial.recipe.model_dump(mode="json"),
        "split": trial.split,
        "privacy_label": trial.privacy_label,
        "seed": trial.seed,
        "method": folder.name,
    }
    key = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()
    row = _read_row(file, key)
    # A process that looked later might see a row that another has just stored.
    if agreed(trial.fabric, row is not None):
        if row is None:
            raise MotionveilError(f"{file}: all processes must see the same folder")
        print(f"{folder}: measured already", file=sys.stderr)
        return row
    row = measure()
    if trial.fabric.is_global_zero:
        stored = {"key": key, "question": question, "row": row.model_dump(mode="json")}
        write_text_atomically(file, json.dumps(stored) + "\n")
    return row


def _read_row(file: Path, key: str) -> Row | None:
    """Return the row that is stored under a key; None where there is another one, or none."""
    if not file.exists():
        return None
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        return Row.model_validate(stored["row"]) if stored["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        print(f"{file}: cannot be read, measured again", file=sys.stderr)
        return None


def describe_dataset(manifest: Manifest, splits: Sequence[str], privacy_label: str) -> Dataset:
    """Return what a result says of its data set."""
    return Dataset(
        name=manifest.name,
        hash=manifest.hash,
        actions=list(manifest.actions),
        privacy_label=privacy_label,
        privacy_names=list(manifest.names_of(privacy_label)),
        parts={
            split: (
                len(manifest.part(split, training=True)),
                len(manifest.part(split, training=False)),
            )
            for split in splits
        },
        split_rule=manifest.split_rule,
    )
