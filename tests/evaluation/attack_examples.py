"""Data in which it is known where an identity can be seen, and where it cannot."""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionveil.datasets.cache import ClipCache
from motionveil.datasets.manifest import Clip, Manifest
from motionveil.evaluation.attack import read_attack
from motionveil.evaluation.data import AttackData
from motionveil.training.distributed import make_fabric
from motionveil.training.recipe import NetworkRecipe, Schedule
from motionveil.video import VideoSink

SIDE, FRAMES = 24, 12
Frames = NDArray[np.uint8]
Film = Callable[[int, np.random.Generator], Frames]
"""From a person's number and a source of chance to a clip's frames."""


def write_films(root: Path, film: Film, *, people: int = 2, takes: int = 24) -> ClipCache:
    """Film every person so often, a video each, a third of them held out."""
    clips = []
    for person in range(people):
        for take in range(takes):
            path = f"p{person}-{take}.mkv"
            rng = np.random.default_rng([person, take])
            root.mkdir(parents=True, exist_ok=True)
            with VideoSink(root / path, rate=25) as sink:
                for frame in film(person, rng):
                    sink.write(frame)
            clips.append(
                Clip(
                    path=path,
                    start=0,
                    end=FRAMES,
                    action=("stand", "walk")[take % 2],
                    privacy={"person": f"p{person}"},
                    group=path,
                    split="validation" if take % 3 == 2 else "train",
                )
            )
    manifest = Manifest.read(Manifest("films", root, tuple(clips)).write(root / "manifest.csv"))
    return ClipCache.build(manifest, size=SIDE, workers=1)


def data_of(cache: ClipCache, seed: int = 0) -> AttackData:
    """Return what attacks are given, without cutting anything off."""
    return AttackData(cache, "validation", "person", FRAMES, SIDE, (1.0,), seed, make_fabric("cpu"))


def attack_of(**changes: object) -> Any:
    """Return a small attack."""
    temporal = bool(changes.get("temporal"))
    values: dict[str, object] = {
        "kind": "recognise",
        "name": "attack",
        "network": NetworkRecipe(name="small3d" if temporal else "small2d"),
        "schedule": Schedule(optimizer="adamw", epochs=8, batch=8, lr=0.003, privacy_frames=4),
    }
    return read_attack(values | changes)


def origin_of(attack: Any, video: str = "veiled", label: str = "person") -> dict[str, Any]:
    """Return where a finding of an attack comes from."""
    origin: dict[str, Any] = attack.origin(SimpleNamespace(video=video, label=label))
    return origin


def nothing(person: int, rng: np.random.Generator) -> Frames:
    """The same grey for everybody."""
    return np.full((FRAMES, SIDE, SIDE, 3), 128, np.uint8)


def colour(person: int, rng: np.random.Generator) -> Frames:
    """Every frame tells: one is red, the other blue, somewhere in it."""
    frames = nothing(person, rng)
    top, left = rng.integers(0, SIDE - 8, 2)
    frames[:, top : top + 8, left : left + 8, 2 * person] = 230
    return frames


def hue(person: int, rng: np.random.Generator) -> Frames:
    """Every frame tells: each of up to eight has a colour of their own, somewhere in it."""
    frames = nothing(person, rng)
    top, left = rng.integers(0, SIDE - 8, 2)
    red, green, blue = colorsys.hsv_to_rgb(person / 8, 1, 1)
    frames[:, top : top + 8, left : left + 8] = np.array([red, green, blue]) * 220
    return frames


def pace(person: int, rng: np.random.Generator) -> Frames:
    """No frame tells: a square jumps every frame or every third, from anywhere."""
    frames = nothing(person, rng)
    left = int(rng.integers(SIDE))
    for t in range(FRAMES):
        x = np.arange(left + 4 * (t // (1, 3)[person]), left + 4 * (t // (1, 3)[person]) + 6) % SIDE
        frames[t, 8:16, x] = 240
    return frames


def one_moment(person: int, rng: np.random.Generator) -> Frames:
    """Two frames of twelve tell: the colour flashes up."""
    frames, told = nothing(person, rng), colour(person, rng)
    moments = rng.choice(FRAMES, 2, replace=False)
    frames[moments] = told[moments]
    return frames


def below_the_noise(person: int, rng: np.random.Generator) -> Frames:
    """The sum tells: faint stripes, lying or train_state, under noise that cancels out in time."""
    stripes = np.where(np.arange(SIDE) // 2 % 2, 1.0, -1.0)
    faint = np.broadcast_to(stripes[:, None] if person else stripes[None], (SIDE, SIDE))
    noise = rng.normal(0, 30, (FRAMES + 1, SIDE, SIDE))
    frames = 128 + faint + noise[1:] - noise[:-1]
    return np.repeat(frames.clip(0, 255).round().astype(np.uint8)[..., None], 3, axis=3)
