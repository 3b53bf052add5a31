"""How fast the event camera is simulated, beside the same mathematics in plain numpy.

On one thread, in one process, for frames of 224 x 224 and 640 x 480, 30 frames per second:

- `counts`: `EventCamera.counts`, for event frames; `counts, noisy` with mismatch, leak, shot noise
  and a refractory time, which need every event's time;
- `events`: `EventCamera.events`, the list with times, sorted; `events, noisy` likewise;
- `numpy, counts` and `numpy, events`: the same without noise in plain numpy, written here; what
  they give is compared with the camera's first.

Two kinds of video, both under sensor noise: `still`, a still textured scene in which a tenth of the
picture moves; and `busy`, a texture that moves everywhere. How many events a frame's pixels give
is printed beside. Times are processor time, the least of interleaved runs. `times real time` is how
many seconds of video a second of processor time simulates; above 1 it keeps up with a camera.

    python benchmarks/event_camera.py [--runs 7] [--threshold 0.2] [--json FILE]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from measuring import least_seconds, with_fair_malloc, write_figures
from motionveil.events import EVENT, EventCamera
from motionveil.methods.dvs import EventSettings

SIZES = ((224, 224), (480, 640))
FRAMES = 30
RATE = 30.0

Frames = NDArray[np.uint8]


def make_frames(kind: str, height: int, width: int) -> Frames:
    """Return (30, H, W, 3) of `busy` or `still` video with sensor noise."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    texture = 20 * rng.standard_normal((height, width)).astype(np.float32)
    frames = np.empty((FRAMES, height, width, 3), np.uint8)
    for t in range(FRAMES):
        shift = 2 * t if kind == "busy" else 0
        picture = 110 + 40 * np.sin((x + shift) / 9) + 30 * np.cos((y - shift) / 7)
        picture += np.roll(texture, (shift, -shift), (0, 1)) / 2
        if kind == "still":
            left = width // 8 + 2 * t
            shape = (slice(height // 4, 3 * height // 4), slice(left, left + width // 5))
            picture[shape] = 180 + texture[shape[0], : width // 5]
        noise = rng.normal(0, 1.5, (height, width, 3)).astype(np.float32)
        frames[t] = np.clip(picture[..., None] + noise, 0, 255)
    return frames


class NumpyCamera:
    """The noiseless event camera with one threshold, in plain numpy."""

    def __init__(self, settings: EventSettings) -> None:
        self.threshold, self.eps = settings.threshold, settings.eps
        self.reference: NDArray[np.float64] | None = None
        self.level = np.empty(0)
        self.number = 0

    def counts(self, frame: Frames) -> NDArray[np.int32]:
        """Return positive minus negative events, (H, W)."""
        luma = frame @ np.array([0.299, 0.587, 0.114]) / 255
        self.level = np.log(luma + self.eps)
        if self.reference is None:
            self.reference = self.level
        rise = (self.level - self.reference) / self.threshold
        counts = np.trunc(rise + np.copysign(1e-9, rise)).astype(np.int32)
        self.reference = self.reference + counts * self.threshold
        return counts

    def events(self, frame: Frames) -> NDArray[Any]:
        """Return the events since the frame before, sorted."""
        before, reference = self.level, self.reference
        counts = self.counts(frame)
        self.number += 1
        if reference is None:
            return np.empty(0, EVENT)
        sign, parts = np.sign(counts), []
        for number in range(1, int(np.abs(counts).max()) + 1):
            y, x = np.nonzero(np.abs(counts) >= number)
            target = reference[y, x] + sign[y, x] * number * self.threshold
            share = (target - before[y, x]) / (self.level[y, x] - before[y, x])
            part = np.empty(len(y), EVENT)
            part["x"], part["y"], part["p"] = x, y, sign[y, x] > 0
            time = (self.number - 2 + share.clip(0, 1)) / RATE
            part["t"] = np.floor(1e6 * time + 0.5)
            parts.append(part)
        events = np.concatenate([np.empty(0, EVENT), *parts])
        return events[np.argsort(events["t"], kind="stable")]


def check_agreement(settings: EventSettings, frames: Frames) -> float:
    """Refuse to compare what is not the same; return events per pixel and frame."""
    ours, plain = EventCamera(settings, *frames.shape[1:3]), NumpyCamera(settings)
    total = 0
    for frame in frames:
        events, wanted = ours.events(frame), plain.events(frame)
        if len(events) != len(wanted) or np.abs(events["t"] - wanted["t"]).max(initial=0) > 1:
            raise SystemExit("the camera and numpy give different events")
        total += len(events)
    return total / ((len(frames) - 1) * frames[0, ..., 0].size)


def streaming(make: Callable[[], Any], method: str, frames: Frames) -> Callable[[], None]:
    """Return a function that films the frames with a new camera."""

    def run() -> None:
        take = getattr(make(), method)
        for frame in frames:
            take(frame)

    return run


def methods(threshold: float, frames: Frames) -> dict[str, Callable[[], None]]:
    size = frames.shape[1:3]
    plain = EventSettings(threshold=threshold, rate=RATE)
    noisy = plain.model_copy(
        update={"mismatch": 0.03, "leak": 0.1, "shot": 1.0, "refractory": 0.0005}
    )
    ideal, real = EventCamera(plain, *size), EventCamera(noisy, *size)

    def again(camera: EventCamera) -> EventCamera:
        camera.reset()
        return camera

    return {
        "counts": streaming(lambda: again(ideal), "counts", frames),
        "counts, noisy": streaming(lambda: again(real), "counts", frames),
        "events": streaming(lambda: again(ideal), "events", frames),
        "events, noisy": streaming(lambda: again(real), "events", frames),
        "numpy, counts": streaming(lambda: NumpyCamera(plain), "counts", frames),
        "numpy, events": streaming(lambda: NumpyCamera(plain), "events", frames),
    }


def print_table(times: dict[str, float]) -> None:
    heads = ("ms/frame", "frames/s", "times real time", "times numpy")
    print(f"{'method':<15}" + "".join(f"{head:>17}" for head in heads))
    for name, ms in times.items():
        plain = times["numpy, counts" if "counts" in name else "numpy, events"]
        ratio = "-" if "noisy" in name else f"{plain / ms:.1f}"
        cells = (f"{ms:.3f}", f"{1e3 / ms:.0f}", f"{1e3 / ms / RATE:.1f}", ratio)
        print(f"{name:<15}" + "".join(f"{cell:>17}" for cell in cells))


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how fast events are simulated.")
    parser.add_argument("--runs", type=int, default=7, help="timed runs of each method")
    parser.add_argument("--threshold", type=float, default=0.2, help="contrast threshold")
    parser.add_argument("--json", metavar="FILE", help="also write the figures here")
    arguments = parser.parse_args()
    with_fair_malloc()
    print(f"1 thread, threshold {arguments.threshold:g}, {RATE:g} frames/s")
    rows: list[dict[str, Any]] = []
    for kind in ("still", "busy"):
        for height, width in SIZES:
            frames = make_frames(kind, height, width)
            share = check_agreement(EventSettings(threshold=arguments.threshold), frames)
            taken = least_seconds(methods(arguments.threshold, frames), arguments.runs)
            times = {name: t.processor / FRAMES * 1e3 for name, t in taken.items()}
            print(f"\n{kind}, {width} x {height}, {share:.3f} events per pixel and frame")
            print_table(times)
            row = {"video": kind, "height": height, "width": width, "events": share, "ms": times}
            rows.append(row)
    write_figures(arguments.json, {"threshold": arguments.threshold, "rows": rows})


if __name__ == "__main__":
    main()
