"""A stretch of video that an event of `camera_events.py` changes, and how images are changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]
Image = NDArray[np.float32]
Rng = np.random.Generator

LIGHT = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass
class Film:
    """A stretch of video that an event changes.

    Attributes:
        images: float32 (H, W, 3) each, in grey levels.
        onset: Number of the first frame that the event may change.
        rate: Frames a second.
        other: A picture of another scene, of the same size.
        rng: Draws the event.
        noise: Sensor noise in grey levels, added last.
        plain: The same without the event, where the event needs another one (a camera that pans
            sees a part); else None.
    """

    images: list[Image]
    onset: int
    rate: float
    other: Image
    rng: Rng
    noise: float = 0.0
    plain: list[Image] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.images[0].shape[:2]

    def after(self) -> Iterator[tuple[int, Image]]:
        """Give the frames from the onset on, with how many frames after it each is."""
        for number in range(self.onset, len(self.images)):
            yield number - self.onset, self.images[number]

    def change(self, make: Callable[[Image, float], Image], strength: Callable[[int], float]):
        """Replace each frame after the onset by `make(frame, strength(frames after the onset))`."""
        for n, image in self.after():
            if amount := strength(n):
                self.images[self.onset + n] = make(image, amount)

    def rendered(self) -> Frames:
        """Return the film as a camera gives it, uint8 (T, H, W, 3)."""
        rng = np.random.default_rng(self.rng.integers(1 << 30))
        out = np.empty((len(self.images), *self.images[0].shape), np.uint8)
        # One field of noise, shifted by chance, is noise enough and much cheaper.
        noise = rng.normal(0, self.noise, self.images[0].size * 2).astype(np.float32)
        for number, image in enumerate(self.images):
            start = int(rng.integers(image.size))
            grain = noise[start : start + image.size].reshape(image.shape)
            out[number] = np.clip(np.rint(image + grain), 0, 255)
        return out


def each(images: list[Image], make: Callable[[Image], Image]) -> list[Image]:
    """Change all images; one that is there many times is changed once."""
    made = {id(image): make(image) for image in {id(i): i for i in images}.values()}
    return [made[id(image)] for image in images]


def rise(length: int, low: float = 0.0, high: float = 1.0) -> Callable[[int], float]:
    """Return a strength that goes from low to high in so many frames, and stays."""
    return lambda n: low + (high - low) * min(1.0, (n + 1) / length)


def pulse(length: int) -> Callable[[int], float]:
    return lambda n: float(n < length)


def either_way(rng: Rng, low: float, high: float) -> float:
    """Draw a factor between low and high, or its inverse."""
    factor = rng.uniform(low, high)
    return float(factor if rng.random() < 0.5 else 1 / factor)


def resized(image: Image, height: int, width: int) -> Image:
    return warped(image, height, width, lambda y, x: (y, x))


def warped(
    image: Image,
    height: int,
    width: int,
    place: Callable[[Image, Image], tuple[Image, Image]],
) -> Image:
    """Sample an image; `place` moves the rows and columns, both from -1 to 1."""
    y, x = place(np.linspace(-1, 1, height), np.linspace(-1, 1, width))
    for axis, at in enumerate((y, x)):
        count = image.shape[axis]
        at = np.clip((at + 1) / 2 * (count - 1), 0, count - 1)
        first = np.minimum(at.astype(int), max(count - 2, 0))
        second = np.minimum(first + 1, count - 1)
        part = (at - first).astype(np.float32)
        part = part[:, None, None] if axis == 0 else part[None, :, None]
        low, high = np.take(image, first, axis), np.take(image, second, axis)
        image = low + (high - low) * part
    return image


def moved(image: Image, down: float, right: float, zoom: float = 1.0) -> Image:
    """Shift an image by pixels and enlarge it."""
    height, width = image.shape[:2]
    dy, dx = 2 * down / height, 2 * right / width
    return warped(image, height, width, lambda y, x: (y / zoom - dy, x / zoom - dx))


def blurred(image: Image, radius: float) -> Image:
    """Blur by a box, twice; a fraction of a pixel is a blend."""
    if radius <= 0:
        return image
    whole = max(1, int(np.ceil(radius)))
    out = image
    for axis in (0, 1, 0, 1):
        edges = [(whole + 1, whole) if a == axis else (0, 0) for a in range(3)]
        total = np.cumsum(np.pad(out, edges, mode="edge"), axis=axis, dtype=np.float64)
        width = 2 * whole + 1
        ends = np.take(total, range(width, total.shape[axis]), axis)
        out = ((ends - np.take(total, range(total.shape[axis] - width), axis)) / width).astype(
            np.float32
        )
    part = radius / whole
    return image + (out - image) * part


def pool(film: Film, least: float, most: float) -> Image:
    """Draw a spot of light, (H, W, 1) from 0 to 1, of a share of the image."""
    rng, (height, width) = film.rng, film.size
    radius = np.sqrt(rng.uniform(least, most) * height * width / np.pi)
    y = (np.arange(height) - rng.uniform(0.1, 0.9) * height) / radius
    x = (np.arange(width) - rng.uniform(0.1, 0.9) * width) / radius
    away = np.hypot(y[:, None], x[None, :] * rng.uniform(0.6, 1.6))
    soft = rng.uniform(0.05, 0.6)
    return np.clip((1 + soft - away) / (2 * soft), 0, 1).astype(np.float32)[..., None]
