"""Exported C files, compiled."""

from __future__ import annotations

import ctypes
import math
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from motionveil.export import write_c
from motionveil.spec import EncoderSpec

STRICT = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror", "-O2"]
COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
SANITIZERS = ["-fsanitize=undefined,address", "-fno-sanitize-recover=all", "-g"]

needs_a_compiler = pytest.mark.skipif(not COMPILERS, reason="needs gcc or clang")
each_compiler = pytest.mark.parametrize("compiler", COMPILERS)


HARNESS = """
#include <stdio.h>
#include <stdlib.h>
#define MOTIONVEIL_HEADER_ONLY
#include "encoder.c"

/* Frames come in on the standard input and go out veiled; every block is as large as it must be,
 * so that the sanitizer sees a byte too far. */
int main(int count, char **words)
{
    int place;
    for (place = 1; place + 2 < count; place += 3) {
        const uint16_t width = (uint16_t)atoi(words[place]);
        const uint16_t height = (uint16_t)atoi(words[place + 1]);
        const int in_place = atoi(words[place + 2]);
        const size_t size = (size_t)3 * width * height;
#ifdef MOTIONVEIL_CELL
        const size_t shown =
            (size_t)3 * MOTIONVEIL_GRID((size_t)width) * MOTIONVEIL_GRID((size_t)height);
#else
        const size_t shown = size;
#endif
        void *state = malloc(MOTIONVEIL_STATE_SIZE(width, height));
        uint8_t *frame = malloc(size);
        uint8_t *out = in_place ? frame : malloc(shown);
        int k;
        motionveil_start(state);
        for (k = 0; k < 3; k++) {
            if (fread(frame, 1, size, stdin) != size) return 1;
            motionveil_veil(state, frame, out, width, height);
            if (fwrite(out, 1, shown, stdout) != shown) return 1;
        }
        if (!in_place) free(out);
        free(frame);
        free(state);
    }
    return 0;
}
"""


class Clock(ctypes.Structure):
    """`motionveil_clock`."""

    _fields_ = (("due", ctypes.c_uint64), ("last", ctypes.c_uint32))


class Built:
    """A compiled encoder behind ctypes."""

    def __init__(self, spec: EncoderSpec, folder: Path, *, hard: bool) -> None:
        self.numbers = write_c(spec, folder / "encoder.c", hard=hard)
        self.cell = spec.cell
        compile_(COMPILERS[0], "-shared", "-fPIC", "-o", folder / "a.so", folder / "encoder.c")
        self.library = ctypes.CDLL(str(folder / "a.so"))
        place, side = ctypes.c_void_p, ctypes.c_uint16
        self.library.motionveil_start.argtypes = [place]
        self.library.motionveil_veil.argtypes = [place, place, place, side, side]
        self.library.motionveil_average.argtypes = [place, side, side, place, side, side]
        self.library.motionveil_working_size.argtypes = [side] * 4 + [place] * 2
        self.library.motionveil_takes.argtypes = [ctypes.POINTER(Clock), ctypes.c_uint32]
        for name in ("start", "veil", "average"):
            getattr(self.library, f"motionveil_{name}").restype = None

    def veil(self, clip: NDArray[np.uint8], *, in_place: bool = False) -> NDArray[np.uint8]:
        """Veil frames of any strides; guards around the state and the output must stay."""
        height, width = clip.shape[1:3]
        size = self.numbers.state_size(width, height)
        state = np.full(size // 2 + 8, 0xA5A5, np.uint16)  # of 64-bit words for some methods
        out = np.full(clip[0].size + 16, 0x5A, np.uint8)
        self.library.motionveil_start(pointer(state))
        veiled = []
        for frame in np.ascontiguousarray(clip):
            source = frame.copy()
            if in_place:
                out[: frame.size] = frame.ravel()
                source = out
            self.library.motionveil_veil(
                pointer(state), pointer(source), pointer(out), width, height
            )
            grid = -(-height // self.cell), -(-width // self.cell), 3
            veiled.append(out[: math.prod(grid)].reshape(grid).copy())
            if not in_place:
                np.testing.assert_array_equal(source, frame)
        assert (state[size // 2 :] == 0xA5A5).all(), "it wrote beyond its state"
        assert (out[clip[0].size :] == 0x5A).all(), "it wrote beyond the frame"
        return np.stack(veiled)

    def average(
        self, frame: NDArray[np.uint8], shape: tuple[int, int], *, in_place: bool = False
    ) -> NDArray[np.uint8]:
        """Average a frame to a height and width; guards around the output must stay."""
        (height, width), size = shape, 3 * shape[0] * shape[1]
        source = np.ascontiguousarray(frame).copy()
        out = source.reshape(-1) if in_place else np.full(size + 16, 0x5A, np.uint8)
        self.library.motionveil_average(
            pointer(source), frame.shape[1], frame.shape[0], pointer(out), width, height
        )
        if in_place:
            np.testing.assert_array_equal(out[size:], frame.reshape(-1)[size:])
        else:
            assert (out[size:] == 0x5A).all(), "it wrote beyond the result"
            np.testing.assert_array_equal(source, frame)
        return out[:size].reshape(height, width, 3).copy()

    def working_size(self, width: int, height: int, *aspect: int) -> tuple[int, int] | None:
        """Return height and width of the working frame; None if it is refused."""
        sides = np.full(2, 0xA5A5, np.uint16)
        places = pointer(sides[1:]), pointer(sides)
        if self.library.motionveil_working_size(width, height, *aspect, *places):
            return int(sides[0]), int(sides[1])
        assert (sides == 0xA5A5).all(), "it wrote a size that it refused"
        return None


def pointer(array: NDArray[np.generic]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def compile_(compiler: str, *words: str | Path) -> None:
    done = subprocess.run(
        [compiler, *STRICT, *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def compile_sanitized(compiler: str, folder: Path, main: str) -> Path:
    """Compile `main` with `encoder.c` of a folder under the sanitizers, and return the program."""
    program = folder / "program"
    probe = subprocess.run(
        [compiler, *SANITIZERS, "-x", "c", "-", "-o", str(program)],
        input="int main(void) { return 0; }",
        capture_output=True,
        text=True,
        check=False,
    )
    if probe.returncode:
        pytest.skip(f"{compiler} has no sanitizers here")
    (folder / "main.c").write_text(main)
    compile_(compiler, *SANITIZERS, folder / "encoder.c", folder / "main.c", "-o", program)
    return program
