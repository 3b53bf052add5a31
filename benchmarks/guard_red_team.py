"""A second list of scenarios, made by somebody who did not know the first, to break the guard.

Every event of `red_team_events.py` and `red_team_damage.py` befalls a still scene and people, at a
camera's size and rate. A frame **leaks** if more than 2 % of the pixels that do not change in the
undisturbed film are more than one level off neutral, and what is shown there, signed or not,
correlates (|r| > 0.3) with the scene now or before, with its brightness, its gradients, or their
size.

    python benchmarks/guard_red_team.py FOLDER [--before REVISION] [--cache FILE] [--json FILE]

FOLDER holds `ut-interaction` and `kth`.
"""

from __future__ import annotations

import argparse
import pickle
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guard_before import Before
from measuring import write_figures
from motionveil.spec import load_spec
from motionveil.streaming import Guard, StreamEncoder
from motionveil.streaming.geometry import area_average
from red_team_damage import bursts, disturbances
from red_team_events import EVENTS, GREY, MOVING, Event
from red_team_films import SIZES, Film, Library

Frames = list[NDArray[np.uint8]]
ENCODERS = [("bdq", False), ("bdq", True), ("bdq-ut", False), ("bdq-ut", True)]
FRAMES = 46
LEVEL, SHARE, READABLE, STILL = 17, 0.02, 0.3, 8


@dataclass
class Case:
    """A scenario at the encoders' working sizes.

    Attributes:
        family: Kind.
        name: Event and film.
        people: Whether somebody moves.
        rate: Frames a second.
        frames: What the camera gives, by short side.
        undisturbed: What it would have given.
        is_damage: Whether only the undisturbed film is a scene.
        before: Largest |r| of each frame of the earlier revision; 0 where nothing is readable.
    """

    family: str
    name: str
    people: bool
    rate: float
    frames: dict[int, Frames]
    undisturbed: dict[int, Frames]
    is_damage: bool
    settled: int | None = None
    before: list[float] = field(default_factory=list)


def likeness(
    veiled: NDArray[np.uint8], neutral: int, scenes: Frames, static: NDArray[np.bool_]
) -> float:
    """Return the largest |r| of what is shown on static pixels with the scene; 0 if too little."""
    offset = veiled.astype(np.float64) - neutral
    far = np.abs(offset)
    if static.sum() < 50 or (far.max(-1)[static] > LEVEL).mean() <= SHARE:
        return 0.0
    ours = [*offset[static].T, offset[static].mean(1), *far[static].T, far[static].mean(1)]
    theirs = []
    for scene in scenes:
        light = scene @ GREY.astype(np.float64)
        down, across = np.gradient(light)
        theirs += [x[static] for x in (light, down, across, np.hypot(down, across))]
    a, b = (np.stack([x - x.mean() for x in rows]) for rows in (ours, theirs))
    a /= np.linalg.norm(a, axis=1, keepdims=True) + 1e-9
    b /= np.linalg.norm(b, axis=1, keepdims=True) + 1e-9
    return float(np.abs(a @ b.T).max())


def static_pixels(frames: Frames) -> NDArray[np.bool_]:
    """Mark the pixels that do not change, nor their neighbours."""
    stack = np.stack(frames).astype(np.int16)
    moves = (stack.max(0) - stack.min(0)).max(-1) > STILL
    near = np.pad(moves, 2)
    height, width = moves.shape
    shifts = [near[y : y + height, x : x + width] for y in range(5) for x in range(5)]
    return ~np.any(shifts, axis=0)


def still(undisturbed: Frames, frames: Frames, settled: int | None) -> NDArray[np.bool_]:
    """Mark the pixels that do not change, in another scene that comes either."""
    static = static_pixels(undisturbed)
    return static if settled is None else static & static_pixels(frames[settled:])


def filmed(film: Film, event: Event, seed: int) -> tuple[Frames, Frames]:
    """Return what the camera gives and what it would have given."""
    rng = np.random.default_rng(seed)
    height, width = film.at(0).shape[:2]
    grain = rng.normal(0, film.noise, (height + 64, width + 64, 3)).astype(np.float32)
    frames, undisturbed = [], []
    for n in range(FRAMES):
        y, x = rng.integers(0, 64, 2)
        here = grain[y : y + height, x : x + width]
        pictures = [event.act(film, n, n - event.start)]
        if film.has_people or n == 0:
            pictures.append(film.at(n))
        shots = [np.clip(p + here + 0.5, 0, 255).astype(np.uint8) for p in pictures]
        frames.append(shots[0])
        undisturbed.append(shots[1] if len(shots) > 1 else undisturbed[0])
    return frames, undisturbed


def seen(case_is_damage: bool, frames: Frames, undisturbed: Frames, n: int, m: int) -> Frames:
    """Return the scenes that the output of frames m and n may be an image of."""
    known = [undisturbed[n], undisturbed[m]]
    return known if case_is_damage else [*known, frames[n], frames[m]]


def made(data: Path, seed: int, before: Before | None) -> Iterator[Case]:
    """Make all scenarios."""
    library = Library(data, seed)
    events = list(chain(*(make() for make in EVENTS), disturbances(), bursts()))
    for number, event in enumerate(events):
        for people in (False, True):
            size = SIZES[number % 6] if number % 17 else SIZES[6]
            film = library.people(number, size, FRAMES) if people else library.scene(number, size)
            frames, undisturbed = filmed(film, event, seed + number)
            small: list[dict[int, Frames]] = [{}, {}]
            for name in ("bdq", "bdq-ut"):
                spec = load_spec(name)
                geometry = spec.required_geometry("")
                shape = geometry.shape(*size, multiple=spec.multiple)
                for those, into in zip((frames, undisturbed), small, strict=True):
                    into[geometry.size] = [area_average(frame, shape) for frame in those]
            title = f"{event.name} | {film.name} {size[1]}x{size[0]}"
            case = Case(event.family, title, people, film.rate, *small, event.is_damage)
            case.settled = None if event.settled is None else event.start + event.settled
            if before is not None:
                veiled, neutral = before(frames, film.rate, "bdq", False)
                every = max(1, min(size) // 160)
                thin: list[Frames] = [
                    [frame[::every, ::every] for frame in those]
                    for those in (frames, undisturbed, veiled)
                ]
                static = still(small[1][96], small[0][96], case.settled)
                rows, columns = (
                    np.arange(a) * b // a
                    for a, b in zip(thin[0][0].shape[:2], static.shape, strict=True)
                )
                static = static[rows][:, columns]
                case.before = [
                    likeness(
                        thin[2][n], neutral, seen(event.is_damage, *thin[:2], n, n - 1), static
                    )
                    for n in range(1, FRAMES)
                ]
            yield case


def run(case: Case, name: str, hard: bool, guard: Guard | None) -> tuple[list[float], list[Any]]:
    """Return the largest |r| of each frame that leaves, and the reasons."""
    spec = load_spec(name)
    size = spec.required_geometry("").size
    frames, undisturbed = case.frames[size], case.undisturbed[size]
    static = still(undisturbed, frames, case.settled)
    encoder = StreamEncoder(spec, hard=hard, guard=guard)
    values, reasons, last = [], [], 0
    for n, frame in enumerate(frames):
        out = encoder(frame, time=n / case.rate)
        if out is None:
            continue
        closed = encoder.guarded is not None
        scenes = seen(case.is_damage, frames, undisturbed, n, last)
        values.append(0.0 if closed else likeness(out, encoder.neutral, scenes, static))
        reasons.append((n, encoder.guarded))
        last = n
    return values, reasons


def is_moving(family: str) -> bool:
    """Say whether the camera moves."""
    return family in MOVING


def main() -> None:
    """Run all and print a line a family."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--before")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    if options.cache and options.cache.exists():
        cases = pickle.loads(options.cache.read_bytes())
    else:
        before = Before(options.before) if options.before else None
        cases = list(made(options.data, options.seed, before))
        if before:
            before.close()
        if options.cache:
            options.cache.write_bytes(pickle.dumps(cases))
    families: dict[str, Counter[str]] = {}
    worst: dict[tuple[str, str], float] = {}
    for case in cases:
        counts = families.setdefault(case.family, Counter())
        counts["scenarios"] += 1
        old = [r > READABLE for r in case.before]
        counts["frames before"] += len(old)
        counts["before"] += sum(old)
        counts["scenarios before"] += any(old)
        worst[case.family, "before"] = max(worst.get((case.family, "before"), 0), *case.before, 0)
        leaking = {"bare": False, "guarded": False}
        for name, hard in ENCODERS:
            for kind in leaking:
                values, reasons = run(case, name, hard, Guard() if kind == "guarded" else None)
                bad = [n for n, r in enumerate(values) if r > READABLE]
                counts[kind] += len(bad)
                leaking[kind] |= bool(bad)
                worst[case.family, kind] = max(worst.get((case.family, kind), 0), *values)
                if kind == "guarded":
                    counts["frames"] += len(values)
                    counts["closed"] += sum(reason is not None for _, reason in reasons) - 1
                    if bad and options.verbose:
                        shown = [(*reasons[n], round(values[n], 2)) for n in bad]
                        print(
                            case.family, "|", case.name, name, hard, [(s[0], s[2]) for s in shown]
                        )
        for kind, leaks in leaking.items():
            counts[f"scenarios {kind}"] += leaks
    kinds = ("before", "bare", "guarded")
    totals: dict[bool, Counter[str]] = {False: Counter(), True: Counter()}
    print("family | scenarios | frames |", " | ".join(kinds), "(scenarios, frames, |r|) | closed")
    for family, counts in families.items():
        totals[is_moving(family)] += counts
        columns = [
            f"{counts[f'scenarios {k}']}, {counts[k]} ({worst[family, k]:.2f})" for k in kinds
        ]
        print(family, counts["scenarios"], counts["frames"], *columns, counts["closed"], sep=" | ")
    for moving, counts in totals.items():
        print("moving camera" if moving else "still camera", dict(counts), sep=": ")
    if options.json:
        figures: dict[str, Any] = {
            family: {**counts, **{f"{k} r": round(worst[family, k], 2) for k in kinds}}
            for family, counts in families.items()
        }
        totals_by_name = {"still camera": dict(totals[False]), "moving camera": dict(totals[True])}
        write_figures(
            options.json,
            {"seed": options.seed, "before": options.before, **totals_by_name, "families": figures},
        )


if __name__ == "__main__":
    main()
