"""The films of `guard_red_team.py`: scenes and people at a camera's size and rate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numba
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from motionveil.video import read_clip

Picture = NDArray[np.float32]
SIZES = [(480, 640), (480, 854), (576, 720), (768, 1024), (854, 480), (480, 640), (1080, 1920)]
"""Height and width of cameras; the last is made large from small and used rarely."""


@dataclass
class Film:
    """An undisturbed film.

    Attributes:
        name: What is shown.
        pictures: One of a scene, or those of people, (h, w, 3).
        noise: Standard deviation of the sensor's noise that is added.
        rate: Frames a second.
    """

    name: str
    pictures: list[Picture]
    noise: float
    rate: float

    def at(self, n: int) -> Picture:
        """Return frame n without noise."""
        return self.pictures[min(max(n, 0), len(self.pictures) - 1)]

    @property
    def has_people(self) -> bool:
        """Whether somebody moves."""
        return len(self.pictures) > 1


def enlarged(image: NDArray[np.uint8], size: tuple[int, int]) -> Picture:
    """Cut an image to a size's aspect in the middle and bring it to the size."""
    height, width = image.shape[:2]
    across = min(width, height * size[1] / size[0])
    down = min(height, width * size[0] / size[1])
    left, top = (width - across) / 2, (height - down) / 2
    box = (left, top, left + across, top + down)
    resized = Image.fromarray(image).resize(size[::-1], Image.Resampling.BICUBIC, box)
    return np.asarray(resized, np.float32)


def face(size: tuple[int, int]) -> Picture:
    """Return a portrait photograph."""
    path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    return enlarged(np.asarray(Image.open(path).convert("RGB")), size)


def room(size: tuple[int, int], rng: np.random.Generator) -> Picture:
    """Return a room: walls, floor, furniture, shelves."""
    height, width = size
    image = Image.new("RGB", (width, height), (188, 180, 168))
    draw = ImageDraw.Draw(image)
    draw.polygon(
        [(0, height), (width * 0.2, height * 0.7), (width * 0.8, height * 0.7), (width, height)],
        fill=(120, 96, 76),
    )
    draw.rectangle((width * 0.2, 0, width * 0.8, height * 0.7), fill=(206, 200, 190))
    draw.rectangle((width * 0.55, height * 0.1, width * 0.72, height * 0.4), fill=(235, 240, 250))
    for _ in range(40):
        x, y = rng.uniform(0, width), rng.uniform(height * 0.15, height * 0.9)
        w, h = rng.uniform(0.02, 0.12) * width, rng.uniform(0.02, 0.15) * height
        color = tuple(int(c) for c in rng.integers(25, 230, 3))
        draw.rectangle((x, y, x + w, y + h), fill=color)
    return shaded(np.asarray(image, np.float32))


def lettering(size: tuple[int, int], rng: np.random.Generator) -> Picture:
    """Return a notice board with letters of several sizes."""
    height, width = size
    image = Image.new("RGB", (width, height), (225, 222, 210))
    draw = ImageDraw.Draw(image)
    y = 8.0
    while y < height:
        letter = int(rng.uniform(0.04, 0.14) * height)
        text = "".join(rng.choice(list("ABCDEFGHKLMNPRSTUVWXYZ  0123456789"), 40))
        color = tuple(int(c) for c in rng.integers(0, 110, 3))
        draw.text((5, y), text, fill=color, font_size=letter)
        y += 1.2 * letter
    return shaded(np.asarray(image, np.float32))


def night(size: tuple[int, int], rng: np.random.Generator) -> Picture:
    """Return a dark scene of little texture."""
    return 8 + 0.14 * warped(room(size, rng), blur=9)


def foliage(size: tuple[int, int], rng: np.random.Generator) -> Picture:
    """Return texture of all scales."""
    total = np.zeros((*size, 3), np.float32)
    for scale in (4, 8, 16, 40, 100):
        small = rng.normal(0, 1, (size[0] // scale + 2, size[1] // scale + 2)).astype(np.float32)
        layer = np.asarray(Image.fromarray(small).resize(size[::-1], Image.Resampling.BICUBIC))
        total += layer[..., None] * np.array([18, 24, 14], np.float32)
    return np.clip(total + np.array([95, 110, 70], np.float32), 0, 255)


def shaded(image: Picture) -> Picture:
    """Light an image from one side."""
    fall = np.linspace(1.05, 0.7, image.shape[1], dtype=np.float32)
    return np.clip(image * fall[None, :, None], 0, 255)


def warped(image: Picture, blur: int) -> Picture:
    """Blur by two boxes."""
    padded = image
    for _ in range(2):
        padded = _box(padded, blur)
    return padded


def _box(image: Picture, size: int) -> Picture:
    for axis in (0, 1):
        pads: list[Any] = [(0, 0)] * 3
        pads[axis] = (size // 2 + 1, size - size // 2 - 1)
        sums = np.cumsum(np.pad(image, pads, mode="edge"), axis=axis, dtype=np.float64)
        high = np.take(sums, range(size, sums.shape[axis]), axis)
        low = np.take(sums, range(sums.shape[axis] - size), axis)
        image = ((high - low) / size).astype(np.float32)
    return image


@numba.njit(cache=True, nogil=True)
def moved(image: Picture, scale: float, turn: float, down: float, across: float) -> Picture:
    """Zoom about the middle, turn (radians) and shift an image, linearly interpolated."""
    height, width, _ = image.shape
    out = np.empty_like(image)
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
    cos, sin = np.cos(turn) / scale, np.sin(turn) / scale
    for i in range(height):
        for j in range(width):
            y = (i - middle_y) * cos + (j - middle_x) * sin + middle_y + down
            x = (j - middle_x) * cos - (i - middle_y) * sin + middle_x + across
            y = min(max(y, 0.0), height - 1.001)
            x = min(max(x, 0.0), width - 1.001)
            a, b = int(y), int(x)
            v, u = y - a, x - b
            for c in range(3):
                top = image[a, b, c] * (1 - u) + image[a, b + 1, c] * u
                bottom = image[a + 1, b, c] * (1 - u) + image[a + 1, b + 1, c] * u
                out[i, j, c] = top * (1 - v) + bottom * v
    return out


class Library:
    """Makes films.

    Args:
        data: Folder with `ut-interaction` and `kth`.
        seed: Of all choices.
    """

    def __init__(self, data: Path, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._videos = sorted((data / "ut-interaction").rglob("*.avi"))
        self._walkers = sorted((data / "kth").rglob("*.avi"))

    def scene(self, number: int, size: tuple[int, int]) -> Film:
        """Return a still scene; there are 8 kinds."""
        rng, kind = self._rng, number % 8
        if kind in (0, 5):
            video = self._videos[int(rng.integers(len(self._videos)))]
            picture, name = enlarged(read_clip(video, 0, 1)[0], size), "street"
        elif kind == 3:
            video = self._walkers[int(rng.integers(len(self._walkers)))]
            picture, name = enlarged(read_clip(video, 0, 1)[0], size), "field"
        elif kind == 1:
            picture, name = face(size), "face"
        elif kind == 2:
            picture, name = room(size, rng), "room"
        elif kind == 4:
            picture, name = lettering(size, rng), "lettering"
        elif kind == 6:
            picture, name = night(size, rng), "night"
        else:
            picture, name = foliage(size, rng), "foliage"
        rate = float(rng.choice([25.0, 30.0]))
        return Film(name, [picture], float(rng.uniform(0.7, 3)), rate)

    def people(self, number: int, size: tuple[int, int], frames: int) -> Film:
        """Return people as they were filmed: UT-Interaction, every third KTH."""
        rng = self._rng
        videos = self._walkers if number % 3 == 2 else self._videos
        video = videos[int(rng.integers(len(videos)))]
        clip = read_clip(video)
        start = int(rng.integers(max(1, len(clip) - frames)))
        pictures = [enlarged(frame, size) for frame in clip[start : start + frames]]
        return Film(video.stem, pictures, 0.0, 25.0 if number % 3 == 2 else 30.0)
