"""Does interpolation along the motion find the events that frames in between would have given?

Of each video every k-th frame is kept. The event camera sees these frames, once interpolated pixel
by pixel (linear in the logarithm, the default) and once along the motion (`--motion`). What it
gives is compared with its events of all frames, in the time between two of these and at the same
pixel, brighter and darker apart:

    agreement = 1 - sum |n - n_ref| / sum (n + n_ref)

which is 1 for the same events and 0 where none is in the same place and time. `events` is their
number as a share of the reference's. With k = 1 there is no reference, and `events` compares the
two interpolations. Processor time is that of one thread, per frame that the camera sees.

    python benchmarks/event_motion.py VIDEO ... [--keep 1 2 4] [--frames 61] [--json FILE]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from measuring import write_figures
from motionveil.events import EventCamera
from motionveil.methods.dvs import EventSettings
from motionveil.video import Frame, read_frames

Counts = NDArray[np.int64]


def count_events(
    frames: Sequence[Frame], edges: NDArray[np.float64], settings: EventSettings
) -> tuple[Counts, float]:
    """Return events by polarity, time and pixel, (2, len(edges) - 1, H W), and processor seconds.

    Args:
        edges: Bounds of the times in seconds, ascending; an event on one is of the time before.
    """
    height, width = frames[0].image.shape[:2]
    camera = EventCamera(settings, height, width)
    found = np.zeros((2, len(edges) - 1, height * width), np.int64)
    seconds = 0.0
    for frame in frames:
        began = time.process_time()
        events = camera.events(frame.image, frame.time)
        seconds += time.process_time() - began
        moments = np.searchsorted(edges, events["t"] / 1e6, side="left") - 1
        places = events["y"].astype(np.int64) * width + events["x"]
        np.add.at(found, (events["p"], moments.clip(0, len(edges) - 2), places), 1)
    return found, seconds


def agreement(found: Counts, reference: Counts) -> float:
    """Return 1 for the same events, 0 where none is in the same place and time."""
    return float(1 - np.abs(found - reference).sum() / (found + reference).sum())


def compare(frames: Sequence[Frame], keep: int, threshold: float) -> dict[str, Any]:
    """Return the figures of both interpolations of every `keep`-th frame."""
    frames = frames[: (len(frames) - 1) // keep * keep + 1]
    edges = np.array([frame.time for frame in frames])
    reference, _ = count_events(frames, edges, EventSettings(threshold=threshold))
    row: dict[str, Any] = {"keep": keep, "frames": len(frames), "reference": int(reference.sum())}
    for name, along in (("linear", False), ("motion", True)):
        settings = EventSettings(threshold=threshold, motion=along)
        found, seconds = count_events(frames[::keep], edges, settings)
        row[name] = {
            "events": int(found.sum()),
            "agreement": agreement(found, reference) if keep > 1 else None,
            "milliseconds": 1e3 * seconds / len(frames[::keep]),
        }
    return row


def print_row(video: str, row: dict[str, Any]) -> None:
    cells = [f"{video:<34}", f"{row['keep']:>4}", f"{row['reference']:>10}"]
    for name in ("linear", "motion"):
        found = row[name]
        agreed = "–" if found["agreement"] is None else f"{found['agreement']:.3f}"
        share = found["events"] / row["reference"]
        cells += [f"{share:>8.3f}", f"{agreed:>10}", f"{found['milliseconds']:>8.1f}"]
    print("".join(cells), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare interpolations of the event camera.")
    parser.add_argument("videos", nargs="+", metavar="VIDEO")
    parser.add_argument("--keep", type=int, nargs="+", default=[1, 2, 4], help="every k-th frame")
    parser.add_argument("--frames", type=int, default=61, help="most frames of a video")
    parser.add_argument("--threshold", type=float, default=0.2, help="contrast threshold")
    parser.add_argument("--json", metavar="FILE", help="also write the figures here")
    arguments = parser.parse_args()
    heads = [
        f"{name} {what}" for name in ("linear", "motion") for what in ("events", "agrees", "ms")
    ]
    print(
        f"threshold {arguments.threshold:g}; video, kept, events of all frames, {', '.join(heads)}"
    )
    rows: list[dict[str, Any]] = []
    warm = EventCamera(EventSettings(threshold=0.2, motion=True), 64, 64)
    for shift in range(2):  # what is compiled on the first call does not count
        warm.events(np.roll(np.full((64, 64), 0.5) + np.eye(64) / 4, 3 * shift, 1))
    for video in arguments.videos:
        frames = list(islice(read_frames(video), arguments.frames))
        height, width = frames[0].image.shape[:2]
        for keep in arguments.keep:
            row = compare(frames, keep, arguments.threshold)
            print_row(Path(video).name, row)
            rows.append({"video": Path(video).name, "width": width, "height": height, **row})
    for keep in arguments.keep:
        of_one = [row for row in rows if row["keep"] == keep]
        if keep > 1:
            means = [
                np.mean([row[name]["agreement"] for row in of_one]) for name in ("linear", "motion")
            ]
            print(f"kept {keep}: mean agreement linear {means[0]:.3f}, motion {means[1]:.3f}")
    write_figures(arguments.json, {"threshold": arguments.threshold, "rows": rows})


if __name__ == "__main__":
    main()
