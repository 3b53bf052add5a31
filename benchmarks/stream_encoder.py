"""How fast `StreamEncoder` veils frames, beside the released formulation, OpenCV and memory.

On one thread, in one process, for frames of 224 x 224, 640 x 480 and 1920 x 1080:

- `released`: the formulation of the authors' code, written here from its description, with torch:
  frames to float, a depthwise 5 x 5 convolution, the difference by `roll`, minimum and maximum of
  the batch, 15 sigmoids summed, scaled back; clips of 16 frames;
- `stream`: `motionveil.streaming.StreamEncoder` as `motionveil encode` runs it: frames are averaged
  to the encoder's geometry and then veiled, with the guard and without (every frame is taken,
  whatever the rate);
- `average`: the averaging alone;
- `native`: every source pixel veiled (`--native`), soft; with a `Guard` (of `still` only); by the
  `table` that processors without AVX-512 VBMI use; and in steps (`hard`);
- `opencv`: OpenCV's GaussianBlur and absdiff, which blurs and subtracts but does not quantise;
- `copy`: reading and writing the same bytes with memcpy;
- `read`: reading them once (the sum of 64-bit words).

Two kinds of video: `busy`, a texture that moves everywhere under a sensor noise of 2.5 grey levels,
the worst case; and `still`, a still textured scene under a noise of 1 in which a tenth of the
picture moves, which is what a fixed camera sees. Times are processor time, the least of
interleaved runs: on a shared machine the others say more about the neighbours.

Then: the largest error before and after rounding to 8 bits, in levels of 15, and how long the first
frame waits for compiled code, without and with the cache.

    python benchmarks/stream_encoder.py [--runs 9] [--encoder bdq] [--json FILE]

Needs `pip install '.[train,bench]'`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch

from measuring import with_fair_malloc, write_figures
from motionveil.spec import EncoderSpec, load_spec
from motionveil.streaming import Guard, StreamEncoder
from motionveil.streaming.veils import DifferenceVeil, make_quantiser
from released import ReleasedEncoder
from streamed import FRAMES, Frames, averaging, make_frames, reading, streaming

SIZES = ((224, 224), (480, 640), (1080, 1920))


def released(encoder: ReleasedEncoder, frames: Frames) -> torch.Tensor:
    """Veil a clip as the authors' code does: the whole clip's range."""
    clip = torch.from_numpy(frames).permute(3, 0, 1, 2)[None].float() / 255  # (1, 3, T, H, W)
    veiled: torch.Tensor = encoder(clip)
    return veiled


def blurring(frames: Frames) -> Callable[[], None]:
    """Return a function that blurs and subtracts with OpenCV, without allocating."""
    blurred = [np.empty_like(frames[0]) for _ in range(2)]
    difference = np.empty_like(frames[0])

    def run() -> None:
        for number in range(-1, len(frames)):
            newest = blurred[number % 2]
            cv2.GaussianBlur(
                frames[number], (5, 5), 1.0, dst=newest, borderType=cv2.BORDER_REPLICATE
            )
            cv2.absdiff(blurred[0], blurred[1], dst=difference)

    return run


def copying(frames: Frames) -> Callable[[], None]:
    """Return a function that copies the frames, without allocating."""
    target = np.empty_like(frames[0])

    def run() -> None:
        np.copyto(target, frames[-1])
        for frame in frames:
            np.copyto(target, frame)

    return run


def methods(spec: EncoderSpec, kind: str, frames: Frames) -> dict[str, Callable[[], object]]:
    authors = ReleasedEncoder(sigma=3.0)
    todo: dict[str, Callable[[], object]] = {
        "released": lambda: released(authors, np.concatenate([frames[-1:], frames])),
        "stream": streaming(StreamEncoder(spec), frames),
        "stream, guard": streaming(StreamEncoder(spec, guard=Guard()), frames),
        "average": averaging(spec, frames),
        "native": streaming(StreamEncoder(spec, native=True), frames),
        "native, guard": streaming(StreamEncoder(spec, native=True, guard=Guard()), frames),
        "native, table": streaming(
            StreamEncoder(spec, native=True, veil=DifferenceVeil(spec, vectors=False)), frames
        ),
        "native, hard": streaming(StreamEncoder(spec, native=True, hard=True), frames),
        "opencv": blurring(frames),
        "copy": copying(frames),
        "read": reading(frames),
    }
    if kind == "busy":
        # It takes such an image for a cut now and then. The native one then does less.
        del todo["native, guard"]
    return todo


def measure(spec: EncoderSpec, kind: str, size: tuple[int, int], runs: int) -> dict[str, float]:
    """Return the milliseconds that a frame takes, by method."""
    frames = make_frames(kind, *size)
    todo = methods(spec, kind, frames)
    times: dict[str, list[float]] = {name: [] for name in todo}
    for number in range(runs + 1):
        for name, run in todo.items():
            start = time.process_time()
            run()
            if number > 0:  # the first one warms up
                times[name].append((time.process_time() - start) / (FRAMES + 1) * 1e3)
    return {name: min(values) for name, values in times.items()}


def largest_errors(spec: EncoderSpec) -> dict[str, float]:
    """Return the largest errors of the soft encoder against float64, in levels of 15."""
    frames = make_frames("busy", 240, 320)
    encoder = StreamEncoder(spec, native=True)
    veiled = np.stack([encoder(frame) for frame in frames])[1:]
    pad = ((0, 0), (2, 2), (2, 2), (0, 0))
    padded = np.pad(np.diff(frames / 255, axis=0), pad, mode="edge")
    weights = spec.difference().weights
    rows = sum(w * padded[:, k : k + 240] for k, w in enumerate(weights))
    blurred = sum(w * rows[:, :, k : k + 320] for k, w in enumerate(weights))
    exact = spec.difference().levels(blurred)
    rounded = float(np.abs(veiled / 17 - exact).max())
    return {
        "before rounding": make_quantiser(spec.difference()).error,
        "by the table": make_quantiser(spec.difference(), vectors=False).error,
        "as 8 bits": rounded,
        "of that by 8 bits": 0.5 / 17,
    }


def first_frame_seconds() -> dict[str, float]:
    """Return how long a fresh process waits for compiled code, without and with the cache."""
    code = "from motionveil.streaming import prepare; print(prepare())"
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
        times = [
            float(
                subprocess.run(
                    [sys.executable, "-c", code],
                    env=environment,
                    check=True,
                    capture_output=True,
                    text=True,
                ).stdout
            )
            for _ in range(2)
        ]
    return {"compiled": times[0], "from the cache": times[1]}


def print_table(kind: str, size: tuple[int, int], times: dict[str, float]) -> None:
    height, width = size
    print(f"\n{kind}, {width} x {height}")
    heads = ("ms/frame", "frames/s", "x native", "x released", "of opencv", "of copy", "of read")
    print(f"{'method':<15}" + "".join(f"{head:>12}" for head in heads))
    for name, ms in times.items():
        cells = (
            f"{ms:.3f}",
            f"{1e3 / ms:.0f}",
            f"{times['native'] / ms:.2f}",
            f"{times['released'] / ms:.1f}",
            f"{times['opencv'] / ms:.2f}",
            f"{times['copy'] / ms:.3f}",
            f"{times['read'] / ms:.3f}",
        )
        print(f"{name:<15}" + "".join(f"{cell:>12}" for cell in cells))


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how fast StreamEncoder veils frames.")
    parser.add_argument("--runs", type=int, default=9, help="timed runs of each method")
    parser.add_argument("--encoder", default="bdq", help="a name or an encoder.json")
    parser.add_argument("--json", metavar="FILE", help="also write the figures here")
    arguments = parser.parse_args()
    with_fair_malloc()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    cv2.setNumThreads(1)
    spec = load_spec(arguments.encoder)
    print(
        f"encoder {arguments.encoder}, 1 thread, torch {torch.__version__}, cv2 {cv2.__version__}"
    )
    rows: list[dict[str, Any]] = []
    for kind in ("still", "busy"):
        for size in SIZES:
            times = measure(spec, kind, size, arguments.runs)
            print_table(kind, size, times)
            rows.append({"video": kind, "height": size[0], "width": size[1], "ms": times})
    errors = largest_errors(spec)
    print(
        "\nlargest error, in levels of 15: ", ", ".join(f"{k} {v:.4f}" for k, v in errors.items())
    )
    waits = first_frame_seconds()
    print("first frame's wait, in seconds: ", ", ".join(f"{k} {v:.2f}" for k, v in waits.items()))
    record = {"encoder": arguments.encoder, "rows": rows, "errors": errors, "waits": waits}
    write_figures(arguments.json, record)


if __name__ == "__main__":
    main()
