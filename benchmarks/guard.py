"""Can the scene be read in what leaves? And how often does the guard block without need?

For every family of `camera_events.py`, scenarios are made from the videos below the folders given:
half of them still scenes, half people as they were filmed. A frame **leaks** if more than 2 % of
the static pixels are more than one level off neutral and what is shown there correlates (|r| > 0.3)
with the scene before or after, with its brightness or its edges. Counted are the frames that leak
with the geometry alone (`--no-guard`), with geometry and guard, and, with `--before REVISION`, as
that revision wrote them.

Then the same videos without an event: the frames blocked without need.

    python benchmarks/guard.py FOLDER ... [--count 12] [--json FILE] [--picture FILE]

`--encoders` names other encoders than `bdq` and `bdq-ut`, such as a motion field's `encoder.json`.
What is shown in a grid of cells is also compared with the slopes of the brightness, which a change
of light puts into a motion field; and |r| must be over 4 / sqrt(n) for n static cells, since among
few cells something always correlates.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from camera_events import FAMILIES, MOVING_CAMERA
from camera_film import Frames
from guard_before import Before
from guard_picture import Example, write_picture
from guard_scenarios import (
    READABLE,
    SHARE,
    Mask,
    Scenario,
    likeness,
    scenarios,
    shown,
    static_pixels,
)
from measuring import write_figures
from motionveil.spec import load_spec
from motionveil.streaming import Guard, StreamEncoder
from motionveil.streaming.geometry import area_average
from motionveil.video import probe, read_clip
from motionveil.video.image_sequence import VIDEO_SUFFIXES

PICTURED = 5


@dataclass
class Counts:
    """What was counted of a family, over all encoders.

    Attributes:
        scenarios: Scenarios times encoders.
        frames: Frames of the working rate.
        bare: Frames that leak with the geometry alone.
        bare_r: Their largest |r|.
        guarded: Frames that leak with the guard.
        guarded_r: Their largest |r|.
        closed: Frames that the guard blocked.
        frames_before: Frames that the earlier revision wrote.
        before: Frames of them that leak.
        before_r: Their largest |r|.
        leaks: Which leak with the guard: encoder, hard, seed, number.
    """

    scenarios: int = 0
    frames: int = 0
    bare: int = 0
    bare_r: float = 0.0
    guarded: int = 0
    guarded_r: float = 0.0
    closed: int = 0
    frames_before: int = 0
    before: int = 0
    before_r: float = 0.0
    leaks: list[tuple[str, bool, int, int]] = field(default_factory=list)


class TimedGuard(Guard):
    """A guard that says how long it took.

    Attributes:
        checks: Frames checked.
        seconds: Time of this thread that they took.
    """

    checks, seconds = 0, 0.0

    def check(self, *arguments: Any) -> Any:
        """Check a frame, and take the time."""
        started = time.thread_time()
        found = super().check(*arguments)
        TimedGuard.seconds += time.thread_time() - started
        TimedGuard.checks += 1
        return found


def count_scenario(made: Scenario, counts: Counts, name: str, hard: bool) -> float:
    """Veil a scenario with and without the guard; return the largest |r| without."""
    spec = load_spec(name)
    bare = StreamEncoder(spec, hard=hard)
    guarded = StreamEncoder(spec, hard=hard, guard=Guard())
    cells = spec.cell > 1
    static, before, worst = None, None, 0.0
    counts.scenarios += 1
    for number, frame in enumerate(made.frames):
        veiled = bare(frame, time=number / made.rate)
        kept = guarded(frame, time=number / made.rate)
        if veiled is None or kept is None:
            continue
        shape = veiled.shape[:2]
        if static is None:
            static = static_pixels(made.plain, shape)
        scene = area_average(frame, shape)
        counts.frames += 1
        counts.closed += guarded.guarded not in (None, "first")
        if before is not None and shown(veiled, bare.neutral, static) > SHARE:
            r = likeness(veiled, bare.neutral, (scene, before), static, slopes=cells)
            if r > max(READABLE, 4 / np.sqrt(static.sum()) if cells else 0):
                worst = max(worst, r)
                counts.bare += 1
                if guarded.guarded is None:
                    counts.guarded += 1
                    counts.guarded_r = max(counts.guarded_r, r)
                    counts.leaks.append((name, hard, made.seed, number))
        before = scene
    counts.bare_r = max(counts.bare_r, worst)
    return worst


def count_before(
    made: Scenario, counts: Counts, veil: Before, name: str, hard: bool
) -> tuple[float, int, Frames | None]:
    """Count what an earlier revision wrote; return its worst frame: |r|, its number, the frame."""
    veiled, neutral = veil(made.frames, made.rate, name, hard)
    static = _native_static(made)
    stride = max(1, made.frames.shape[1] // 240)
    look = (slice(None, None, stride), slice(None, None, stride))
    worst: tuple[float, int, Frames | None] = (0.0, 0, None)
    for number in range(1, len(veiled)):
        counts.frames_before += 1
        small = veiled[number][look]
        if shown(small, neutral, static[look]) <= SHARE:
            continue
        scenes = (made.frames[number][look], made.frames[number - 1][look])
        r = likeness(small, neutral, scenes, static[look])
        counts.before += r > READABLE
        worst = max(worst, (r, number, veiled[number]), key=lambda found: found[0])
    counts.before_r = max(counts.before_r, worst[0])
    return worst


def _native_static(made: Scenario) -> Mask:
    """Return the static pixels at the source's size: those of a working size, repeated."""
    height, width = made.frames.shape[1:3]
    shape = (64, max(64, 64 * width // height))
    small = static_pixels(made.plain, shape)
    rows, columns = np.arange(height) * shape[0] // height, np.arange(width) * shape[1] // width
    return small[rows][:, columns]


def guarded_frame(made: Scenario, name: str, hard: bool, wanted: int) -> Frames:
    """Return what is written at the time of a frame of the source, or last before it."""
    encoder = StreamEncoder(load_spec(name), hard=hard, guard=Guard())
    last = None
    for number in range(wanted + 1):
        veiled = encoder(made.frames[number], time=number / made.rate)
        last = last if veiled is None else veiled
    assert last is not None, "the first frame is always taken"
    return last


def false_alarms(paths: list[Path], most: int, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Count the frames of unchanged video that the guard blocks, by encoder and rate."""
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        for native in (False, True):
            frames, reasons, longest = 0, Counter[str](), 0
            for path in paths:
                info = probe(path)
                clip = read_clip(path, 0, min(most, info.frames or most) - 2)
                encoder = StreamEncoder(load_spec(name), guard=TimedGuard())
                closed = 0
                for number, frame in enumerate(clip):
                    # Without a time every frame is taken: the source's own rate.
                    at = None if native else number / float(info.rate or 25)
                    if encoder(frame, time=at) is None or encoder.guarded == "first":
                        continue
                    frames += 1
                    closed = closed + 1 if encoder.guarded else 0
                    longest = max(longest, closed)
                    reasons.update([encoder.guarded] if encoder.guarded else [])
            label = f"{name}, {'every frame' if native else 'its own rate'}"
            found[label] = {
                "frames": frames,
                "closed": sum(reasons.values()),
                "a thousand": 1000 * sum(reasons.values()) / frames,
                "longest": longest,
                "reasons": dict(reasons),
            }
    return found


def frame_bytes(names: Sequence[str]) -> dict[str, int]:
    """Return the bytes of a frame of 16:9, the source's and veiled ones at 4 bits per value."""
    found = {"source, 1920 x 1080": 1920 * 1080 * 3}
    for name in names:
        spec = load_spec(name)
        height, width, _ = StreamEncoder(spec).shape_of(np.empty((1080, 1920, 3), np.uint8))
        values = height * width * (2 if spec.cell > 1 else 3)
        found[f"{name}, {width} x {height}, 4 bits"] = (values + 1) // 2
    return found


def print_families(families: dict[str, Counts], before: bool) -> None:
    names = (
        f"{'family':<32}{'scenarios':>10}{'frames':>8}{'bare':>7}{'|r|':>6}{'guard':>7}{'|r|':>6}"
    )
    print(names + f"{'closed':>8}" + (f"{'before':>8}{'of':>8}{'|r|':>6}" if before else ""))
    for name, c in families.items():
        row = f"{name:<32}{c.scenarios:>10}{c.frames:>8}{c.bare:>7}{c.bare_r:>6.2f}"
        row += f"{c.guarded:>7}{c.guarded_r:>6.2f}{c.closed:>8}"
        print(row + (f"{c.before:>8}{c.frames_before:>8}{c.before_r:>6.2f}" if before else ""))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the guard on real video.")
    parser.add_argument("folders", type=Path, nargs="+", help="with videos, at any depth")
    parser.add_argument("--encoders", nargs="+", metavar="NAME", help="others than bdq and bdq-ut")
    parser.add_argument("--count", type=int, default=2, help="scenarios of each family")
    parser.add_argument("--seed", type=int, default=0, help="draws the scenarios")
    parser.add_argument("--half", type=int, choices=[0, 1], help="only every second video")
    parser.add_argument("--frames", type=int, default=150, help="of each unchanged video at most")
    parser.add_argument("--before", metavar="REVISION", help="also as this revision wrote them")
    parser.add_argument("--json", metavar="FILE", help="also write the figures here")
    parser.add_argument("--picture", metavar="FILE", help="five events, before and after (PNG)")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    paths = [
        path
        for folder in arguments.folders
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in VIDEO_SUFFIXES
    ]
    chosen = paths if arguments.half is None else paths[arguments.half :: 2]
    names = arguments.encoders or ["bdq", "bdq-ut"]
    encoders = [(name, hard) for name in names for hard in (False, True)]
    veil = Before(arguments.before) if arguments.before else None
    families = {name: Counts() for name in FAMILIES}
    examples: dict[str, Example] = {}
    for family, counts in families.items():
        print(f"{family} ...", flush=True)
        for made in scenarios(chosen, family, arguments.count, arguments.seed):
            for name, hard in encoders:
                count_scenario(made, counts, name, hard)
            if veil is not None:
                r, number, frame = count_before(made, counts, veil, "bdq", False)
                if frame is not None and r > READABLE:
                    example = Example(family, r, made.frames[number], frame)
                    if family not in examples or r > examples[family].r:
                        example.after = guarded_frame(made, "bdq", False, number)
                        examples[family] = example
    print_families(families, veil is not None)
    for label, group in (("still camera", False), ("moving camera", True)):
        of = [c for name, c in families.items() if (name in MOVING_CAMERA) == group]
        totals = [sum(getattr(c, key) for c in of) for key in ("frames", "bare", "guarded")]
        print(f"{label}: {totals[0]} frames, {totals[1]} leak without, {totals[2]} with the guard")
    alarms = false_alarms(paths, arguments.frames, names)
    for label, figures in alarms.items():
        print(f"unchanged video, {label}: {figures}")
    milliseconds = 1000 * TimedGuard.seconds / max(1, TimedGuard.checks)
    print(f"{milliseconds:.3f} ms per frame; bytes of a frame: {frame_bytes(names)}")
    if veil is not None:
        veil.close()
    if arguments.picture and examples:
        worst = sorted(examples.values(), key=lambda example: -example.r)
        write_picture(arguments.picture, worst[:PICTURED])
    figures = {
        "videos": len(paths),
        "videos of the scenarios": len(chosen),
        "count": arguments.count,
        "seed": arguments.seed,
        "before": arguments.before,
        "encoders": names,
        "families": {name: asdict(counts) for name, counts in families.items()},
        "unchanged": alarms,
        "milliseconds a frame": milliseconds,
        "bytes": frame_bytes(names),
    }
    write_figures(arguments.json, figures)


if __name__ == "__main__":
    main()
