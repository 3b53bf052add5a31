"""How often the guard is wrong on real video, and what it misses.

For every video below the folders given, as it is: the frames that the guard takes for one without
an honest difference (false alarms; a video without cuts has none but the first).

Then frames without one are made from the same videos, and the share that the guard finds is
counted: a cut to another of the videos (scaled to its size), the exposure made brighter or darker
by a factor, and stretches of frames left out or repeated without a trace in the clock.

    python benchmarks/guard.py FOLDER ... [--frames 300] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motionveil.capture import Guard, StreamEncoder
from motionveil.capture.folder import SUFFIXES
from motionveil.files import write_text_atomically
from motionveil.spec import EncoderSpec
from motionveil.video import probe, read_clip

Frames = NDArray[np.uint8]
BEFORE = 12  # frames that the guard sees before the event
EVENTS_A_VIDEO = 4


def reasons(frames: Frames | list[Frames]) -> list[str | None]:
    encoder = StreamEncoder(EncoderSpec.untrained(range=0.25), guard=Guard())
    found: list[str | None] = []
    for number, frame in enumerate(frames):
        encoder(frame, time=number / 25)
        found.append(encoder.guarded)
    return found


def resize(frame: Frames, like: Frames) -> Frames:
    height, width = like.shape[:2]
    rows = np.arange(height) * frame.shape[0] // height
    columns = np.arange(width) * frame.shape[1] // width
    return np.ascontiguousarray(frame[rows][:, columns])


def events(clip: Frames, other: Frames) -> dict[str, Callable[[int], Frames | None]]:
    """Return, by name, what makes the frame that follows frame `i`; None where there is none."""

    def exposed(gain: float) -> Callable[[int], Frames]:
        return lambda i: np.clip(np.rint(clip[i + 1] * gain), 0, 255).astype(np.uint8)

    def skipped(step: int) -> Callable[[int], Frames | None]:
        return lambda i: clip[i + step] if 0 <= i + step < len(clip) else None

    made: dict[str, Callable[[int], Frames | None]] = {
        "cut": lambda i: resize(other[len(other) // 2], clip[0])
    }
    made |= {f"exposure x {gain}": exposed(gain) for gain in (0.8, 0.95, 1.03, 1.05, 1.1, 1.25)}
    made |= {f"{step} frames left out": skipped(step + 1) for step in (5, 10, 20, 40)}
    made |= {f"{step} frames repeated": skipped(1 - step) for step in (10, 20)}
    return made


def count_events(clip: Frames, other: Frames) -> tuple[Counter[str], Counter[str]]:
    """Return how many events of each kind were found, and how many there were."""
    found: Counter[str] = Counter()
    all_of_them: Counter[str] = Counter()
    for i in np.linspace(BEFORE, len(clip) - 2, EVENTS_A_VIDEO).astype(int).tolist():
        for name, make in events(clip, other).items():
            following = make(i)
            if following is None:
                continue
            all_of_them[name] += 1
            found[name] += reasons([*clip[i - BEFORE : i + 1], following])[-1] is not None
    return found, all_of_them


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the guard on real video.")
    parser.add_argument("folders", type=Path, nargs="+", help="with videos, at any depth")
    parser.add_argument("--frames", type=int, default=300, help="of each video at most")
    parser.add_argument("--json", metavar="FILE", help="also write the figures here")
    arguments = parser.parse_args()
    paths = [
        path
        for folder in arguments.folders
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SUFFIXES
    ]
    frames, alarms = 0, Counter[str]()
    found, all_of_them = Counter[str](), Counter[str]()
    clips = [read_clip(p, 0, min(arguments.frames, probe(p).frames or 60) - 2) for p in paths]
    for number, clip in enumerate(clips):
        frames += len(clip) - 1
        alarms.update(reason for reason in reasons(clip)[1:] if reason)
        hits, events_here = count_events(clip, clips[(number + 7) % len(clips)])
        found.update(hits)
        all_of_them.update(events_here)
    print(f"{len(paths)} videos, {frames} frames after the first: {sum(alarms.values())} alarms")
    for reason, count in alarms.items():
        print(f"  {reason}: {count}")
    print(f"{'made from them':<24}{'events':>8}{'found %':>9}")
    for name, count in all_of_them.items():
        print(f"{name:<24}{count:>8}{100 * found[name] / count:>9.1f}")
    if arguments.json:
        record = {"frames": frames, "alarms": alarms, "found": found, "events": all_of_them}
        write_text_atomically(arguments.json, json.dumps(record, indent=1) + "\n")
        print(f"wrote {arguments.json}")


if __name__ == "__main__":
    main()
