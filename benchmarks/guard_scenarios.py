"""Scenarios of `camera_events.py` for `guard.py`, and the figure: can the scene be read?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from camera_events import FAMILIES, HEIGHTS, RATES
from camera_film import LIGHT, Film, Frames, Image, Rng, resized
from motionveil.streaming.geometry import area_average
from motionveil.video import probe, read_clip

Mask = NDArray[np.bool_]

OFF = 17
"""Grey levels of the output, one level of 15: what is further off neutral shows something."""

SHARE, READABLE = 0.02, 0.3
"""A frame leaks if more of the static pixels are off neutral and correlate more with the scene."""

STILL = 8
"""Grey levels that a static pixel may change by in all of the unmodified video (its noise)."""

REACH = 2
"""Pixels around it that must be static too, since the encoder's blur reaches so far."""

MOST_PIXELS = 60_000_000
"""Of a scenario, all frames together: large images make shorter films."""


@dataclass
class Scenario:
    """A film with an event.

    Attributes:
        family: Name in `FAMILIES`.
        seed: What it was drawn from.
        frames: uint8 (T, H, W, 3).
        plain: The same without the event; one frame where nothing moves.
        rate: Frames a second.
        onset: First frame that the event may change.
    """

    family: str
    seed: int
    frames: Frames
    plain: Frames
    rate: float
    onset: int


def load(path: Path, frames: int = 200) -> Frames:
    return read_clip(path, 0, min(frames, probe(path).frames or frames) - 2)


def scenarios(paths: Sequence[Path], family: str, count: int, seed: int) -> Iterator[Scenario]:
    """Make so many scenarios of a family from the videos."""
    for number in range(count):
        key = crc32(f"{family} {seed} {number}".encode())
        yield scenario(paths, family, key)


def scenario(paths: Sequence[Path], family: str, seed: int) -> Scenario:
    """Make one scenario: a still scene, or people as they were filmed."""
    rng = np.random.default_rng(seed)
    first, second = rng.choice(len(paths), 2, replace=False)
    clip, other = load(paths[first]), load(paths[second], 60)
    still = bool(rng.random() < 0.5)
    rate = float(rng.choice(RATES)) if still else float(rng.choice([10, 15, 30, 30]))
    height = int(rng.choice(HEIGHTS)) if rng.random() < 0.6 else clip.shape[1]
    width = max(16, round(clip.shape[2] * height / clip.shape[1] / 2) * 2)
    before, after = rng.uniform(0.8, 1.5), rng.uniform(1.0, 2.2)
    total = int((before + after) * rate) + 3
    total = max(14, min(total, MOST_PIXELS // (height * width)))
    onset = max(5, int(total * before / (before + after)))
    images = _images(clip, still, total, 30 / rate, rng)
    pictures = {id(i): resized(i.astype(np.float32), height, width) for i in images}
    film = Film(
        [pictures[id(image)] for image in images],
        onset,
        rate,
        resized(other[int(rng.integers(len(other)))].astype(np.float32), height, width),
        rng,
        noise=float(rng.uniform(0.5, 4.0)) if still else 0.0,
    )
    plain = list(film.images)
    FAMILIES[family](film)
    plain = film.plain or plain
    kept = plain[:1] if still else plain
    return Scenario(
        family,
        seed,
        film.rendered(),
        np.stack([np.clip(np.rint(image), 0, 255).astype(np.uint8) for image in kept]),
        rate,
        onset,
    )


def _images(clip: Frames, still: bool, total: int, step: float, rng: Rng) -> list[Frames]:
    """Return a stretch of a clip at every `step`th frame, or one frame again and again."""
    if still:
        return [clip[int(rng.integers(len(clip)))]] * total
    length = int(total * step)
    start = int(rng.integers(max(1, len(clip) - length)))
    numbers = [min(start + int(n * step), len(clip) - 1) for n in range(total)]
    chosen = {n: clip[n] for n in set(numbers)}
    return [chosen[n] for n in numbers]


def static_pixels(plain: Frames, shape: tuple[int, int]) -> Mask:
    """Return which pixels of the working size do not change in the unmodified video."""
    small = np.stack([area_average(image, shape) for image in plain])
    moving = np.pad(np.ptp(small, axis=0).max(axis=-1) > STILL, REACH)
    around = np.lib.stride_tricks.sliding_window_view(moving, (2 * REACH + 1, 2 * REACH + 1))
    return ~around.any(axis=(2, 3))


def edges(image: NDArray) -> Image:
    down, across = np.gradient(image)
    return np.hypot(down, across)


def shown(veiled: Frames, neutral: int, static: Mask) -> float:
    """Return which share of the static pixels is off neutral."""
    if not static.any() or np.ptp(veiled) == 0:
        return 0.0
    off = np.abs(veiled.astype(np.int16) - neutral).max(axis=-1) > OFF
    return float(off[static].mean())


def likeness(
    veiled: Frames, neutral: int, scenes: Sequence[Frames], static: Mask, slopes: bool = False
) -> float:
    """Return the largest |r| of what is shown with the scenes' brightness or edges, or slopes.

    Each channel of the output, their mean, how far it is off neutral, and the edges of that.
    """
    offset = veiled.astype(np.float32) - neutral
    far = np.abs(offset).max(axis=-1)
    ours = [*np.moveaxis(offset, -1, 0), offset.mean(axis=-1), far, edges(far)]
    theirs = []
    for scene in scenes:
        brightness = scene.astype(np.float32) @ LIGHT
        theirs += [brightness, edges(brightness)]
        theirs += np.gradient(brightness) if slopes else []
    return max(_correlation(a[static], b[static]) for a in ours for b in theirs)


def _correlation(a: Image, b: Image) -> float:
    if len(a) < 9 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return abs(float(np.corrcoef(a, b)[0, 1]))
