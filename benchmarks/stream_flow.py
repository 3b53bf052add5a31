"""How fast `StreamEncoder` runs the motion field, beside BDQ and beside reading the frame.

On one thread, in one process, processor time, the least of interleaved runs:

- at working sizes (`native`): `flow` with cells of 8 and of 4 pixels, and `bdq`;
- for sources of 1920 x 1080: both as `motionveil encode` runs them, without the guard; `average`,
  the pass over the source that brings it to the working size; `sum`, numpy's sum of its bytes; and
  `read`, the fastest pass (exclusive or of 64-bit words).

    python benchmarks/stream_flow.py [--runs 30] [--json FILE]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

from measuring import least_seconds, with_fair_malloc, write_figures
from motionveil.geometry import Geometry
from motionveil.spec import EncoderSpec
from motionveil.streaming import StreamEncoder
from streamed import FRAMES, Frames, averaging, make_frames, reading, streaming

WORKING = ((64, 80), (96, 128), (112, 150))
SOURCE = (1080, 1920)


def summing(frames: Frames) -> Callable[[], None]:
    """Return a function that sums every byte of the frames."""

    def run() -> None:
        for number in range(-1, len(frames)):
            np.sum(frames[number])

    return run


def specs(geometry: Geometry | None) -> dict[str, EncoderSpec]:
    return {
        "bdq": EncoderSpec.untrained(range=0.25, geometry=geometry),
        "flow, cells of 8": EncoderSpec.untrained("flow:cell=8", geometry=geometry),
        "flow, cells of 4": EncoderSpec.untrained("flow:cell=4", geometry=geometry),
    }


def microseconds(todo: dict[str, Callable[[], None]], runs: int) -> dict[str, float]:
    """Return how long a frame takes, by method."""
    times = least_seconds(todo, runs)
    return {name: taken.processor / (FRAMES + 1) * 1e6 for name, taken in times.items()}


def at_working_size(size: tuple[int, int], runs: int) -> dict[str, float]:
    frames = make_frames("busy", *size)
    todo: dict[str, Callable[[], None]] = {
        name: streaming(StreamEncoder(spec, native=True), frames)
        for name, spec in specs(None).items()
    }
    return microseconds(todo, runs)


def from_source(size: int, runs: int) -> dict[str, float]:
    frames = make_frames("busy", *SOURCE)
    known = specs(Geometry(size=size, rate=15))
    todo: dict[str, Callable[[], None]] = {
        name: streaming(StreamEncoder(spec), frames) for name, spec in known.items()
    }
    todo |= {
        "average": averaging(known["flow, cells of 8"], frames),
        "sum": summing(frames),
        "read": reading(frames),
    }
    return microseconds(todo, runs)


def print_table(title: str, times: dict[str, float], reference: str) -> None:
    print(f"\n{title}\n{'method':<18}{'us/frame':>12}{'frames/s':>12}{'of ' + reference:>12}")
    for name, us in times.items():
        print(f"{name:<18}{us:>12.1f}{1e6 / us:>12.0f}{us / times[reference]:>12.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how fast the motion field streams.")
    parser.add_argument("--runs", type=int, default=30, help="timed runs of each method")
    parser.add_argument("--json", metavar="FILE", help="also write the figures here")
    arguments = parser.parse_args()
    with_fair_malloc()
    figures = {}
    for height, width in WORKING:
        title = f"working size {width} x {height}"
        figures[title] = at_working_size((height, width), arguments.runs)
        print_table(title, figures[title], "bdq")
    for size in (64, 96):
        title = f"1920 x 1080 to short side {size}"
        figures[title] = from_source(size, arguments.runs)
        print_table(title, figures[title], "average")
    write_figures(arguments.json, {"microseconds": figures})


if __name__ == "__main__":
    main()
