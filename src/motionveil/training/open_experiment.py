"""From what a user names (a data set, a method, a recipe) to what is trained and scored on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from motionveil.datasets.loaders.folder import index
from motionveil.datasets.manifest import Manifest, choose_name
from motionveil.datasets.split_overlap import refuse_unlearnable
from motionveil.errors import MotionveilError
from motionveil.methods import Choice, choose
from motionveil.training.distributed import make_fabric
from motionveil.training.experiment import Experiment, decode_clips
from motionveil.training.recipe import Recipe, load_recipe


def open_data(
    data: Manifest | str | os.PathLike[str], split: str | None = None, label: str | None = None
) -> tuple[Manifest, str, str]:
    """Return a data set, with the part held out and the privacy label: those named, or the first.

    Args:
        data: A `manifest.csv`, what was read from one, or a folder. A folder without a
            `manifest.csv` is indexed as `FOLDER/<action>/<person>/<video>`, and gets one; delete
            it when videos have come or gone.
        split: One of its `splits()`.
        label: One of its `privacy_labels`.

    Raises:
        MotionveilError: There is no such thing, or nothing can be recognised under the split.
    """
    if isinstance(data, Manifest):
        manifest = data
    else:
        file = Path(data)
        if file.is_dir():
            file = file / "manifest.csv"
            if not file.exists():
                index(file.parent).write(file)
        manifest = Manifest.read(file)
    if manifest.file is None:
        raise MotionveilError(f"{manifest.name}: in no file yet; read it from where you write it")
    label = choose_name(label, manifest.privacy_labels, "--label", manifest.file)
    split = choose_name(split, manifest.splits(), "--split", manifest.file)
    refuse_unlearnable(manifest, split, label)
    return manifest, split, label


def open_experiment(
    data: Manifest | str | os.PathLike[str],
    recipe: Recipe,
    split: str | None,
    label: str | None,
    seed: int,
    device: str,
    precision: str,
    workers: int | None,
) -> Experiment:
    """Return what is trained and scored on: a split, a recipe and a seed, the clips decoded."""
    manifest, split, label = open_data(data, split, label)
    fabric = make_fabric(device, precision)
    cache = decode_clips(manifest, recipe, fabric, workers)
    return Experiment(cache, recipe, split, label, seed, fabric)


def training_of(
    method: str,
    recipe: str | os.PathLike[str],
    settings: Mapping[str, Any] | None,
    alpha: float | None,
) -> tuple[Choice, Recipe]:
    """Return the method that a training names, and the recipe with what it changes.

    Raises:
        MotionveilError: There is no such method or recipe, or nothing to train.
    """
    choice = choose(method)
    if not choice.method.learned or choice.untrained:
        raise MotionveilError(f"--method {method}: there is nothing to train")
    weight = alpha if choice.alpha is None else choice.alpha
    changes = dict(settings or {}) | ({} if weight is None else {"alpha": weight})
    return choice, load_recipe(recipe, changes).for_method(choice.method)
