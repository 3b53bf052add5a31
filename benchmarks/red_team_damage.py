"""Damage, bars and repeated events for `guard_red_team.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from red_team_events import Act, Event, light, spot
from red_team_films import Film, Picture, moved

Fill = Callable[[Film, int, tuple[slice, slice], np.random.Generator], Picture]


def noise(f: Film, n: int, box: tuple[slice, slice], rng: np.random.Generator) -> Picture:
    """Blocks of 16 pixels of any colour."""
    part = f.at(n)[box]
    shape = (-(-part.shape[0] // 16), -(-part.shape[1] // 16), 3)
    blocks = rng.uniform(0, 255, shape).repeat(16, 0).repeat(16, 1)
    return blocks[: part.shape[0], : part.shape[1]].astype(np.float32)


def grey(f: Film, n: int, box: tuple[slice, slice], rng: np.random.Generator) -> Picture:
    """One grey."""
    return np.full_like(f.at(n)[box], 128)


def shifted(pixels: int) -> Fill:
    """The scene, some pixels away."""
    return lambda f, n, box, rng: np.roll(f.at(n), (pixels // 2, pixels), (0, 1))[box]


def displaced(f: Film, n: int, box: tuple[slice, slice], rng: np.random.Generator) -> Picture:
    """Blocks of 32 pixels, each from elsewhere near."""
    out = f.at(n)[box].copy()
    for y in range(0, out.shape[0] - 31, 32):
        for x in range(0, out.shape[1] - 31, 32):
            down, across = rng.integers(-40, 41, 2)
            out[y : y + 32, x : x + 32] = np.roll(f.at(n), (down, across), (0, 1))[box][
                y : y + 32, x : x + 32
            ]
    return out


def smeared(f: Film, n: int, box: tuple[slice, slice], rng: np.random.Generator) -> Picture:
    """The first row of the part, downwards."""
    part = f.at(n)[box]
    return np.broadcast_to(part[:1], part.shape)


def contrasted(f: Film, n: int, box: tuple[slice, slice], rng: np.random.Generator) -> Picture:
    """The scene with more contrast."""
    part = f.at(n)[box]
    return part.mean() + 1.8 * (part - part.mean())


def old(f: Film, n: int, box: tuple[slice, slice], rng: np.random.Generator) -> Picture:
    """What was there 18 frames ago."""
    return f.at(n - 18)[box]


def damaged(fill: Fill, share: float, seed: int, frames: int, aspect: float = 1.0) -> Act:
    """Spoil a rectangle for some frames."""

    def act(f: Film, n: int, k: int) -> Picture:
        if not 0 <= k < frames:
            return f.at(n)
        rng = np.random.default_rng(seed)
        height, width = f.at(n).shape[:2]
        down = min(height, int((share * height * width * aspect) ** 0.5) // 8 * 8)
        across = min(width, int(share * height * width / max(down, 1)))
        y, x = rng.integers(0, height - down + 1), rng.integers(0, width - across + 1)
        box = slice(y, y + down), slice(x, x + across)
        out = f.at(n).copy()
        out[box] = fill(f, n, box, rng)
        return out

    return act


def rows_lost(share: float, fill: Fill, frames: int) -> Act:
    """Spoil everything below a row, as a broken stream does."""

    def act(f: Film, n: int, k: int) -> Picture:
        if not 0 <= k < frames:
            return f.at(n)
        height = len(f.at(n))
        box = slice(int(height * (1 - share)), height), slice(None)
        out = f.at(n).copy()
        out[box] = fill(f, n, box, np.random.default_rng(1))
        return out

    return act


def bars(top: float, left: float, level: float = 16) -> Act:
    """Black bars from the start on."""

    def act(f: Film, n: int, k: int) -> Picture:
        out = f.at(n).copy()
        if k >= 0:
            height, width = out.shape[:2]
            down, across = int(top * height), int(left * width)
            out[:down] = out[height - down :] = level
            out[:, :across] = level
        return out

    return act


def fisheye(then: Act) -> Act:
    """See an event through a round window."""

    def act(f: Film, n: int, k: int) -> Picture:
        height, width = f.at(n).shape[:2]
        v, u = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        inside = (u * width / height) ** 2 + v**2 < 0.95
        return then(f, n, k) * inside[..., None].astype(np.float32)

    return act


def again(act: Act, every: int) -> Act:
    """Repeat an event from its beginning."""
    return lambda f, n, k: act(f, n, k % every if k >= 0 else k)


def both(first: Act, second: Act, later: int) -> Act:
    """Let a second event follow (each of them multiplies or replaces)."""
    return lambda f, n, k: second(f, n, k - later) if k >= later else first(f, n, k)


def disturbances() -> Iterator[Event]:
    """Yield one-frame and longer damage."""
    kinds: tuple[tuple[str, Fill], ...] = (
        ("noise", noise),
        ("grey", grey),
        ("shifted 6", shifted(6)),
        ("shifted 20", shifted(20)),
        ("displaced", displaced),
        ("smeared", smeared),
        ("contrast", contrasted),
        ("old", old),
    )
    for number, (name, fill) in enumerate(kinds):
        for share in ((0.04, 0.12, 0.35), (0.06, 0.2, 0.6))[number % 2]:
            aspect = (1.0, 0.3, 2.5)[number % 3]
            act = damaged(fill, share, number + int(100 * share), 1 + number % 3 // 2, aspect)
            yield Event("disturbance", f"{name} {share}", act, True)
    yield Event("disturbance", "rows below, smeared", rows_lost(0.4, smeared, 2), True)
    yield Event("disturbance", "rows below, grey", rows_lost(0.15, grey, 1), True)
    yield Event("disturbance", "rows below, shifted", rows_lost(0.5, shifted(12), 1), True)
    yield Event("disturbance", "small at side", damaged(displaced, 0.05, 8, 1, 6.0), True)
    for name, top, left in (
        ("letterbox", 0.12, 0.0),
        ("thin letterbox", 0.04, 0.0),
        ("half", 0.0, 0.5),
        ("pillar", 0.0, 0.1),
    ):
        yield Event("black bars", name, bars(top, left), True)
    yield Event("fisheye", "lamp", fisheye(light(lambda f, k: 1.4)))
    yield Event(
        "fisheye", "soft lamp", fisheye(light(lambda f, k: 1 + 0.8 * spot(f, 0.4, 0.5, 0.2)))
    )
    pan = lambda f, n, k: moved(f.at(n), 1.0, 0.0, 0.0, 3.0 * max(k, 0))  # noqa: E731
    mirrored = fisheye(lambda f, n, k: f.at(n)[:, ::-1] if k >= 0 else f.at(n))
    yield Event("fisheye", "cut", mirrored, settled=0)
    yield Event("pan", "fisheye, 3 pixels", fisheye(pan))


def bursts() -> Iterator[Event]:
    """Yield events that come in a row, early, or right after another."""
    lamp = light(lambda f, k: 1.4)
    soft = light(lambda f, k: 1 + 0.9 * spot(f, 0.4, 0.4, 0.15))
    once = damaged(noise, 0.1, 3, 1)
    move = damaged(shifted(14), 0.15, 5, 1)
    flash = light(lambda f, k: 1.5 if k == 0 else 1.0)
    alike = light(lambda f, k: 1 + 0.8 * (k % 2 == 0) * spot(f, 0.6, 0.4, 0.2))
    yield Event("bursts", "flash every 4", again(flash, 4))
    yield Event("bursts", "flash every 7", again(flash, 7))
    yield Event("bursts", "soft lamp flickers", alike)
    yield Event("bursts", "noise every 3", again(once, 3), True)
    yield Event("bursts", "shifted block every 5", again(move, 5), True)
    yield Event("bursts", "noise, other places", _wandering(noise, 0.06), True)
    yield Event("bursts", "displaced, other places", _wandering(displaced, 0.1), True)
    yield Event("bursts", "shifted, other places", _wandering(shifted(10), 0.08), True)
    yield Event("bursts", "lamp, then soft lamp", both(lamp, light(_lamp_then), 3))
    yield Event("bursts", "lamp, then block", both(lamp, _lit(move), 2), True)
    yield Event("bursts", "block, then lamp", both(once, lamp, 2))
    yield Event("bursts", "lamp in frame 2", lamp, False, 2)
    yield Event("bursts", "soft lamp in frame 4", soft, False, 4)
    yield Event("bursts", "block in frame 4", move, True, 4)
    yield Event("bursts", "old in frame 6", damaged(displaced, 0.3, 4, 2), True, 6)


def _lamp_then(f: Film, k: int) -> Picture:
    return 1.4 * (1 + 0.8 * spot(f, 0.6, 0.7, 0.15))


def _lit(act: Act) -> Act:
    return lambda f, n, k: 1.4 * act(f, n, k)


def _wandering(fill: Fill, share: float) -> Act:
    def act(f: Film, n: int, k: int) -> Picture:
        return damaged(fill, share, k // 2, 1)(f, n, 0 if k >= 0 and k % 2 == 0 else -1)

    return act
