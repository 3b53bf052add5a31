"""Small data and recipes, on which a training takes a tenth of a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionveil.datasets.cache import ClipCache
from motionveil.datasets.dataset import ClipDataset
from motionveil.datasets.manifest import Clip, Manifest
from motionveil.methods import Start
from motionveil.methods.ryoo import Motion, Ryoo, RyooOptions
from motionveil.training.distributed import make_fabric
from motionveil.training.experiment import Experiment
from motionveil.training.recipe import Recipe
from motionveil.video import VideoSink

SIDE, FRAMES = 24, 8
ACTIONS = ("left", "right")
COLOURS = ((230, 60, 60), (60, 230, 60), (60, 60, 230), (230, 230, 60))


def toy_frames(action: str, person: int, take: int) -> NDArray[np.uint8]:
    """Return (8, 24, 24, 3): a square in the person's colour moves left or right over noise."""
    rng = np.random.default_rng([person, take, ACTIONS.index(action)])
    room = rng.integers(90, 130, (SIDE, SIDE, 3), np.uint8)
    clip = np.repeat(room[None], FRAMES, axis=0)
    top = int(rng.integers(2, SIDE - 10))
    for t in range(FRAMES):
        x = 2 * t if action == "right" else 2 * (FRAMES - 1 - t)
        clip[t, top : top + 8, x : x + 8] = COLOURS[person]
    return clip


def write_toys(root: Path, *, people: int = 2, takes: int = 3, held_out: int = 2) -> Manifest:
    """Write toy videos, one a take, and their manifest; every person does both actions a take."""
    clips = []
    for person in range(people):
        for take in range(takes + held_out):
            path = f"p{person}/{take}.mkv"
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            with VideoSink(root / path, rate=25) as sink:
                for number, action in enumerate(ACTIONS):
                    for frame in toy_frames(action, person, take):
                        sink.write(frame)
                    clips.append(
                        Clip(
                            path=path,
                            start=number * FRAMES,
                            end=(number + 1) * FRAMES,
                            action=action,
                            privacy={"person": f"p{person}", "hand": ("l", "r")[take % 2]},
                            group=path,
                            split="train" if take < takes else "validation",
                        )
                    )
    return Manifest.read(Manifest("toys", root, tuple(clips)).write(root / "manifest.csv"))


def tiny_values(*, epochs: int = 2, **changes: Any) -> dict[str, Any]:
    """Return a recipe's fields; `adversarial` and `validation` in `changes` add to those here."""
    schedule = {"optimizer": "adamw", "epochs": epochs, "batch": 6, "lr": 0.003}
    values: dict[str, Any] = {
        "frames": 6,
        "size": 16,
        "cache_size": 24,
        "scales": [1.0, 0.84],
        "action": {"name": "small3d"},
        "privacy": {"name": "small2d"},
        "adversarial": {**schedule, "encoder_lr": 0.05, "privacy_frames": 2}
        | changes.pop("adversarial", {}),
        "validation": {**schedule, "privacy_frames": 2} | changes.pop("validation", {}),
    }
    return values | changes


def tiny_recipe(**changes: Any) -> Recipe:
    """Return a recipe of small networks and images; see `tiny_values`."""
    return Recipe.model_validate(tiny_values(**changes))


def tiny_experiment(
    manifest: Manifest, recipe: Recipe | None = None, *, seed: int = 0
) -> Experiment:
    """Return an experiment on the CPU, on the first split and privacy label of a manifest."""
    recipe = recipe or tiny_recipe()
    cache = ClipCache.build(manifest, size=recipe.cache_size, fit=recipe.fit, workers=1)
    split, label = manifest.splits()[0], manifest.privacy_labels[0]
    return Experiment(cache, recipe, split, label, seed, make_fabric("cpu"))


def every_clip(experiment: Experiment, *, training: bool, **changes: Any) -> ClipDataset:
    """Return one part's clips, whole, with `changes` to the data set's arguments."""
    arguments: dict[str, Any] = {
        "t": experiment.recipe.frames,
        "size": experiment.recipe.size,
        "privacy_label": experiment.privacy_label,
        "training": training,
    }
    clips = experiment.cache.manifest.part(experiment.split, training=training)
    return ClipDataset(experiment.cache, clips, **(arguments | changes))


def first_motions(count: int, seed: int) -> tuple[Motion, ...]:
    """Return the motions that Ryoo et al.'s training starts from."""
    start = Start(calibrate=lambda: 0.0, options=RyooOptions(motions=count), seed=seed)
    return Ryoo().start(start, {"size": 8}).motions
