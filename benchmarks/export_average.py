"""What bringing a camera's frame to the encoder's geometry costs in the exports.

On one thread, in one process, for cameras of 1920 x 1080 and 640 x 480, milliseconds per frame:

- `C average`: `motionveil_average` of the C file;
- `C veil`: `motionveil_veil` of the working frame that comes out;
- `ONNX`: the whole model, which averages and veils, in onnxruntime on one thread;
- `area_average`: the same as `C average`, as `motionveil encode` does it.

The C file is compiled as it stands with `cc -O2`. Before anything is timed, what they average is
compared, to the bit. Times are processor time, the least of interleaved runs: on a shared machine
the others say more about the neighbours.

    python benchmarks/export_average.py [--runs 30] [--encoder bdq] [--json FILE]

Needs a C compiler and `pip install '.[export]' onnxruntime`.
"""

from __future__ import annotations

import argparse
import ctypes
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from measuring import least_seconds, with_fair_malloc, write_figures
from motionveil.export import write_c
from motionveil.export.integer import whole_numbers
from motionveil.export.onnx import build_model
from motionveil.spec import EncoderSpec, load_spec
from motionveil.streaming.geometry import area_average

SIZES = ((1080, 1920), (480, 640))

Frame = NDArray[np.uint8]


def compile_encoder(spec: EncoderSpec, compiler: str) -> ctypes.CDLL:
    """Return the exported C file, compiled."""
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder) / "encoder.c", Path(folder) / "encoder.so"
        write_c(spec, source)
        words = [compiler, "-std=c99", "-O2", "-shared", "-fPIC", "-o", str(library), str(source)]
        subprocess.run(words, check=True)
        return ctypes.CDLL(str(library))


def pointer(array: NDArray[Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def onnx_session(spec: EncoderSpec) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        build_model(spec).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def measure(
    spec: EncoderSpec,
    library: ctypes.CDLL,
    session: onnxruntime.InferenceSession,
    size: tuple[int, int],
    runs: int,
) -> dict[str, float]:
    """Return the milliseconds of each for a camera of a height and width."""
    frames = np.random.default_rng(0).integers(0, 256, (2, *size, 3), dtype=np.uint8)
    shape = spec.required_geometry().shape(*size)
    small, out, expected = (np.empty((*shape, 3), np.uint8) for _ in range(3))
    state = np.zeros(whole_numbers(spec).state_size(shape[1], shape[0]) // 2, np.uint16)
    previous = np.full((*shape, 3), np.nan, np.float32)
    turn = 0

    def average() -> None:
        library.motionveil_average(
            pointer(frames[0]), size[1], size[0], pointer(small), shape[1], shape[0]
        )

    def veil() -> None:
        nonlocal turn
        turn += 1
        source = small if turn % 2 else expected
        library.motionveil_veil(pointer(state), pointer(source), pointer(out), shape[1], shape[0])

    def run_onnx() -> None:
        nonlocal previous, turn
        turn += 1
        given = {"frame": frames[turn % 2], "previous": previous}
        _, previous = session.run(["veiled", "blurred"], given)

    average()
    if not np.array_equal(small, area_average(frames[0], shape)):
        raise SystemExit("C and area_average differ")
    area_average(frames[1], shape, expected)
    todo: dict[str, Callable[[], object]] = {
        "C average": average,
        "C veil": veil,
        "ONNX": run_onnx,
        "area_average": lambda: area_average(frames[0], shape, out),
    }
    return {
        name: round(1e3 * took.processor, 3) for name, took in least_seconds(todo, runs).items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the exports' averaging.")
    parser.add_argument("--runs", type=int, default=30, help="timed runs of each")
    parser.add_argument("--encoder", default="bdq", help="a name or an encoder.json")
    parser.add_argument("--compiler", default="cc", help="of C")
    parser.add_argument("--json", metavar="FILE", help="also write the figures here")
    arguments = parser.parse_args()
    with_fair_malloc()
    spec = load_spec(arguments.encoder)
    library, session = compile_encoder(spec, arguments.compiler), onnx_session(spec)
    print(f"encoder {arguments.encoder}: {spec.geometry}; 1 thread, {arguments.compiler} -O2")
    rows: list[dict[str, Any]] = []
    for size in SIZES:
        height, width = spec.required_geometry().shape(*size)
        print(f"\n{size[1]} x {size[0]}, made {width} x {height}: milliseconds per frame")
        times = measure(spec, library, session, size, arguments.runs)
        for name, ms in times.items():
            print(f"{name:<16}{ms:>8.2f}")
        rows.append({"height": size[0], "width": size[1], "ms": times})
    record = {"encoder": arguments.encoder, "geometry": str(spec.geometry), "rows": rows}
    write_figures(arguments.json, record)


if __name__ == "__main__":
    main()
