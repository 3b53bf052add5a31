"""What a working frame of the motion field or its moments costs in the exports, and as streamed.

On one thread, in one process, microseconds a frame of noise at working sizes of 64 x 80 and
96 x 128, the encoder `flow`, untrained, or `moments`:

- `C veil`: `motionveil_veil` of the C file, compiled with `-O2`;
- `ONNX`: the whole model in onnxruntime on one thread, on a frame of the working size;
- `StreamEncoder`: what `motionveil encode` runs.

Before anything is timed, C is compared with the stream encoder, to one 8-bit level. Times are
processor time, the least of interleaved runs.

    python benchmarks/export_flow.py [--method flow] [--runs 100] [--compiler gcc] [--json FILE]

Needs a C compiler and `pip install '.[export]' onnxruntime`.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from export_average import compile_encoder, onnx_session, pointer
from measuring import least_seconds, with_fair_malloc, write_figures
from motionveil.export.integer import whole_numbers
from motionveil.geometry import Geometry
from motionveil.spec import EncoderSpec
from motionveil.streaming import StreamEncoder

SIZES = ((64, 80), (96, 128))


def measure(method: str, size: tuple[int, int], compiler: str, runs: int) -> dict[str, float]:
    """Return the microseconds of each at a working height and width."""
    height, width = size
    spec = EncoderSpec.untrained(method, geometry=Geometry(size=height, rate=15))
    library, session = compile_encoder(spec, compiler), onnx_session(spec)
    stream = StreamEncoder(spec, native=True)
    frames = np.random.default_rng(0).integers(0, 256, (2, *size, 3), dtype=np.uint8)
    out = np.empty((*stream.shape_of(frames[0])[:2], 3), np.uint8)
    state = np.zeros(whole_numbers(spec).state_size(width, height) // 8, np.uint64)
    inputs, outputs = (
        [v.name for v in values()] for values in (session.get_inputs, session.get_outputs)
    )
    kept = [np.full((1, 1, 3), np.nan, np.float32), np.zeros((1, 12))][: len(inputs) - 1]
    turn = 0

    def next_frame() -> Any:
        nonlocal turn
        turn += 1
        return frames[turn % 2]

    def veil() -> None:
        library.motionveil_veil(pointer(state), pointer(next_frame()), pointer(out), width, height)

    def run_onnx() -> None:
        nonlocal kept
        _, *kept = session.run(outputs, dict(zip(inputs, [next_frame(), *kept], strict=True)))

    veil()
    stream(frames[turn % 2])
    veil()
    expected = stream(frames[turn % 2])
    if expected is None or np.abs(out.astype(int) - expected).max() > 1:
        raise SystemExit("C and the stream encoder differ")
    todo = {
        "C veil": veil,
        "ONNX": run_onnx,
        "StreamEncoder": lambda: stream(next_frame(), out=out),
    }
    return {
        name: round(1e6 * took.processor, 1) for name, took in least_seconds(todo, runs).items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the exports of the motion field.")
    parser.add_argument("--method", default="flow", choices=("flow", "moments"))
    parser.add_argument("--runs", type=int, default=100, help="timed runs of each")
    parser.add_argument("--compiler", default="gcc", help="of C")
    parser.add_argument("--json", metavar="FILE", help="also write the figures here")
    arguments = parser.parse_args()
    with_fair_malloc()
    rows: list[dict[str, Any]] = []
    for size in SIZES:
        print(f"\n{size[0]} x {size[1]}: microseconds per frame, {arguments.compiler} -O2")
        times = measure(arguments.method, size, arguments.compiler, arguments.runs)
        for name, microseconds in times.items():
            print(f"{name:<16}{microseconds:>8.1f}")
        rows.append({"height": size[0], "width": size[1], "microseconds": times})
    write_figures(arguments.json, {"encoder": arguments.method, "rows": rows})


if __name__ == "__main__":
    main()
