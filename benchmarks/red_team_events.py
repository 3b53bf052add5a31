"""What befalls the films of `guard_red_team.py`.

An event is a function of the film, the frame's number n, and k, frames since it began (negative
before); it gives the frame without noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from red_team_films import Film, Picture, moved, warped

Act = Callable[[Film, int, int], Picture]
GREY = np.array([0.299, 0.587, 0.114], np.float32)


class Event(NamedTuple):
    """Something that happens.

    Attributes:
        family: Kind.
        name: What it is.
        act: Makes a frame.
        is_damage: Whether the frame is no picture of the scene, only the undisturbed one is.
        start: Frame at which it begins.
        settled: Frames after which another scene is all that there is; None if the scene stays.
    """

    family: str
    name: str
    act: Act
    is_damage: bool = False
    start: int = 21
    settled: int | None = None


MOVING = ("zoom", "pan", "vibration", "focus", "bump")


def light(gain: Callable[[Film, int], object]) -> Act:
    """Multiply from the start on."""
    return lambda f, n, k: f.at(n) * np.asarray(gain(f, k), np.float32) if k >= 0 else f.at(n)


def tone(curve: Callable[[Picture, int], Picture]) -> Act:
    """Change the image from the start on."""
    return lambda f, n, k: curve(f.at(n), k) if k >= 0 else f.at(n)


def at_once(k: int, frames: int) -> float:
    """Ramp from 0 to 1."""
    return min((k + 1) / frames, 1.0)


def spot(f: Film, y: float, x: float, size: float) -> Picture:
    """Return a soft light, 0 to 1, (h, w, 1)."""
    height, width = f.at(0).shape[:2]
    v = (np.arange(height) / height - y)[:, None]
    u = (np.arange(width) / width - x)[None] * width / height
    return np.exp(-(u * u + v * v) / (2 * size * size)).astype(np.float32)[..., None]


def _lights() -> Iterator[Event]:
    for gain, frames in ((1.25, 1), (1.6, 1), (1.5, 3), (1.8, 8), (0.5, 2)):
        yield Event(
            "lamp, whole",
            f"x{gain} over {frames}",
            light(lambda f, k, g=gain, m=frames: g ** at_once(k, m)),
        )
    for y, x, size, gain, frames in (
        (0.3, 0.3, 0.12, 2.0, 1),
        (0.7, 0.6, 0.2, 1.5, 2),
        (0.5, 1.0, 0.3, 1.8, 1),
        (0.1, 0.5, 0.08, 3.0, 1),
        (0.5, 0.2, 0.25, 1.4, 6),
        (0.9, 0.1, 0.15, 2.5, 3),
        (0.5, 0.5, 0.4, 1.6, 10),
    ):
        yield Event(
            "lamp, soft, local",
            f"{size} x{gain} over {frames}",
            light(
                lambda f, k, a=(y, x, size), g=gain, m=frames: (
                    1 + (g - 1) * at_once(k, m) * spot(f, *a)
                )
            ),
        )
    for gain, frames in ((4.0, 1), (6.0, 4), (3.0, 10)):
        yield Event(
            "lamp at night",
            f"x{gain} over {frames}",
            light(lambda f, k, g=gain, m=frames: 0.25 * g ** at_once(k, m) if k >= 0 else 0.25),
        )
    yield Event(
        "lamp at night",
        "flashlight",
        lambda f, n, k: f.at(n) * (0.15 + 0.8 * (k >= 0) * spot(f, 0.5, 0.1 + 0.03 * k, 0.15)),
    )
    for gain, frames in ((1.19, 1), (0.7, 1), (1.5, 5), (0.5, 15), (1.9, 25), (1.12, 1)):
        yield Event(
            "exposure",
            f"x{gain} over {frames}",
            light(lambda f, k, g=gain, m=frames: g ** at_once(k, m)),
        )
    for size, pace in ((0.3, 0.6), (0.15, 1.5), (0.4, 3.1), (0.1, 0.8), (0.2, 0.25)):
        yield Event(
            "hunting",
            f"{size}, {pace} a frame",
            light(lambda f, k, s=size, p=pace: np.exp(s * np.sin(p * (k + 1)))),
        )
    for name, colour, frames in (
        ("warm", (1.3, 1.0, 0.7), 1),
        ("cold over 4", (0.75, 1.0, 1.35), 4),
        ("small", (1.12, 1.0, 0.88), 1),
        ("green", (1.0, 1.25, 1.0), 2),
        ("slow", (1.5, 1, 0.6), 20),
    ):
        yield Event(
            "white balance",
            name,
            light(lambda f, k, c=colour, m=frames: np.float32(c) ** np.float32(at_once(k, m))),
        )
    for name, mix, gain in (
        ("infrared", (0.7, 0.2, 0.1), 1.4),
        ("mono", GREY, 1.0),
        ("night mode", (0.5, 0.5, 0.5), 1.0),
    ):
        yield Event(
            "IR cut, mono",
            name,
            tone(lambda p, k, m=mix, g=gain: np.repeat((p @ np.float32(m))[..., None] * g, 3, 2)),
        )


def _tones() -> Iterator[Event]:
    for power in (0.6, 0.8, 1.5):
        yield Event(
            "gamma",
            f"{power}",
            tone(lambda p, k, g=power: 255 * (np.clip(p, 0, 255) / 255) ** np.float32(g)),
        )
    yield Event("gamma", "clipped highlights", tone(lambda p, k: np.clip(p * 2 - 128, 0, 255)))
    for strength, frames in ((0.6, 1), (0.4, 4), (1.0, 10)):
        yield Event(
            "WDR",
            f"{strength} over {frames}",
            tone(
                lambda p, k, s=strength, m=frames: (
                    p + s * at_once(k, m) * (128 - warped(p, p.shape[0] // 6))
                )
            ),
        )
    for strength, size in ((1.0, 9), (2.5, 5), (1.5, 25), (-0.8, 15)):
        yield Event(
            "sharpening",
            f"{strength}, {size}",
            tone(lambda p, k, s=strength, b=size: p + s * (p - warped(p, b))),
        )
    for pace, depth, bands in (
        (0.5, 0.15, 2.0),
        (2.0, 0.3, 3.5),
        (1.1, 0.1, 1.0),
        (0.1, 0.25, 1.5),
    ):
        yield Event(
            "mains banding",
            f"{depth}, {bands} bands, {pace}",
            light(
                lambda f, k, p=pace, d=depth, b=bands: (
                    1
                    + d
                    * np.sin(np.arange(len(f.at(0))) / len(f.at(0)) * b * 6.28 + p * k)[
                        :, None, None
                    ]
                )
            ),
        )
    for period, size in ((12, 9), (15, 25), (6, 15), (12, 41)):
        yield Event(
            "key-frame pumping",
            f"blur {size} every {period}",
            tone(lambda p, k, m=period, b=size: p if k % m == 0 else warped(p, b) if b else p),
        )


def _pump(blur: int, period: int) -> Act:
    def act(f: Film, n: int, k: int) -> Picture:
        if k < 0:
            return f.at(n)
        size = int(blur * (k % period) / period)
        return warped(f.at(n), size) if size > 1 else f.at(n)

    return act


def _camera() -> Iterator[Event]:
    yield Event("key-frame pumping", "grows", _pump(31, 12))
    for name, size in (
        ("step 15", lambda k: 15),
        ("step 45", lambda k: 45),
        ("slow", lambda k: 1 + 2 * k),
        ("hunting", lambda k: int(1 + 16 * (1 - np.cos(0.8 * k)))),
        ("slow hunting", lambda k: int(1 + 20 * (1 - np.cos(0.3 * k)))),
    ):
        yield Event("focus", name, tone(lambda p, k, s=size: warped(p, s(k))))
    for speed in (0.003, 0.006, 0.012, 0.025, 0.06, -0.01):
        yield Event(
            "zoom",
            f"{speed} a frame",
            lambda f, n, k, s=speed: moved(f.at(n), float((1 + s) ** max(k + 1, 0)), 0.0, 0.0, 0.0),
        )
    for pixels in (1, 2, 4, 8, 16):
        yield Event(
            "bump",
            f"{pixels} pixels, damped",
            lambda f, n, k, a=pixels: moved(
                f.at(n),
                1.0,
                0.0,
                float(a * np.exp(-k / 6) * np.cos(1.2 * k)) * (k >= 0),
                0.4 * a * (k >= 0),
            ),
        )
    yield Event("bump", "turn", lambda f, n, k: moved(f.at(n), 1.0, 0.02 * (k >= 0), 0.0, 0.0))
    for speed in (0.5, 1.0, 2.0, 4.0, 8.0, 16.0):
        yield Event(
            "pan",
            f"{speed} pixels per frame",
            lambda f, n, k, s=speed: moved(f.at(n), 1.0, 0.0, 0.1 * s * max(k, 0), s * max(k, 0)),
        )
    yield Event(
        "pan",
        "there and back",
        lambda f, n, k: moved(f.at(n), 1.0, 0.0, 0.0, float(40 * np.sin(0.15 * max(k, 0)))),
    )
    for size, pace in ((1.0, 2.0), (3.0, 1.3), (6.0, 2.6), (2.0, 0.5)):
        yield Event(
            "vibration",
            f"{size} pixels, {pace}",
            lambda f, n, k, s=size, p=pace: moved(
                f.at(n),
                1.0,
                0.0,
                float(s * np.sin(p * max(k, 0))),
                float(s * np.sin(1.7 * p * max(k, 0))),
            ),
        )


def _fields(first: int, every: int = 1) -> Act:
    def act(f: Film, n: int, k: int) -> Picture:
        out = f.at(n).copy()
        if k >= 0 and k % every == 0:
            out[first::2] = f.at(n - 1)[first::2]
        return out

    return act


def _shifted_rows(pixels: int, block: int) -> Act:
    def act(f: Film, n: int, k: int) -> Picture:
        out = f.at(n).copy()
        if k >= 0:
            rows = (np.arange(len(out)) // block + k) % 2 == 0
            out[rows] = np.roll(out[rows], pixels, 1)
        return out

    return act


def _times() -> Iterator[Event]:
    yield Event("interlaced", "late field", _fields(0), True)
    yield Event(
        "interlaced", "field order flips", lambda f, n, k: _fields(k // 4 % 2)(f, n, k), True
    )
    yield Event(
        "interlaced",
        "fields of one line up and down",
        lambda f, n, k: moved(f.at(n), 1.0, 0.0, float(k % 2), 0.0) if k >= 0 else f.at(n),
    )
    for pixels, block in ((6, 1), (12, 2), (10, 8), (12, 32)):
        yield Event(
            "interlaced", f"combs {block} high, {pixels}", _shifted_rows(pixels, block), True
        )
    for frames in (5, 15, 30):
        yield Event(
            "dissolve",
            f"over {frames}",
            lambda f, n, k, m=frames: (
                f.at(n) + (max(0.0, at_once(k, m))) * (np.roll(f.at(n)[:, ::-1], 40, 0) - f.at(n))
            ),
            settled=min(frames, 20),
        )
    yield Event("dissolve", "to black over 8", light(lambda f, k: 1 - 0.95 * at_once(k, 8)))
    for name, cut in (
        ("mirrored", lambda p: p[:, ::-1]),
        ("upside down", lambda p: p[::-1]),
        ("rolled", lambda p: np.roll(p, p.shape[1] // 3, 1)),
        ("larger", lambda p: moved(p, 1.5, 0.0, 0.0, 0.0)),
    ):
        yield Event("cut", name, tone(lambda p, k, c=cut: np.ascontiguousarray(c(p))), settled=0)
    yield Event("cut", "to grey", tone(lambda p, k: np.full_like(p, 128)))
    for name, when in (
        ("frozen 10", lambda n, k: n - k if 0 <= k < 10 else n),
        ("lost 20", lambda n, k: n + 20 if k >= 0 else n),
        ("repeated 12", lambda n, k: n - 12 if k >= 0 else n),
        ("stutters", lambda n, k: n - n % 5 if k >= 0 else n),
        ("backwards", lambda n, k: n - 2 * k if k >= 0 else n),
    ):
        yield Event("frozen, repeated, lost", name, lambda f, n, k, w=when: f.at(w(n, k)), True)


EVENTS = (_lights, _tones, _camera, _times)
