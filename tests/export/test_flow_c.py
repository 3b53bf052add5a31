"""The motion field and its moments as C files: equal to the integer encoder to the bit."""

from __future__ import annotations

import ctypes
import platform
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from compiled import (
    COMPILERS,
    HARNESS,
    Built,
    compile_,
    compile_sanitized,
    each_compiler,
    needs_a_compiler,
    pointer,
)
from export_examples import movers, noise
from flow_examples import MOMENTS, SPECS, hard_pairs, wandering
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from motionveil.export import IntegerEncoder, write_c
from motionveil.export.integer import whole_numbers
from motionveil.export.moments_integer import WholeMoments, integer_moments
from motionveil.streaming.geometry import area_average

pytestmark = needs_a_compiler

ALL = SPECS | MOMENTS
CASES = [(name, hard) for name in SPECS for hard in (False, True)]
CASES += [(name, False) for name in MOMENTS]


@pytest.fixture(scope="module")
def built_flow(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, bool], Built]:
    @cache
    def build(name: str, hard: bool) -> Built:
        return Built(ALL[name], tmp_path_factory.mktemp("built"), hard=hard)

    return build


def expected(name: str, hard: bool, clip: NDArray[np.uint8]) -> NDArray[np.uint8]:
    encoder = IntegerEncoder(ALL[name], hard=hard)
    return np.stack([encoder.veil(frame) for frame in clip])


@pytest.mark.parametrize(("name", "hard"), CASES)
@pytest.mark.parametrize("in_place", [False, True])
def test_equals_the_integer_encoder(
    name: str, hard: bool, in_place: bool, built_flow: Callable[[str, bool], Built]
) -> None:
    for clip in (movers(4, 45, 60), *hard_pairs(32, 48).values()):
        veiled = built_flow(name, hard).veil(clip, in_place=in_place)
        np.testing.assert_array_equal(veiled, expected(name, hard, clip))
    moved = expected(name, hard, hard_pairs(32, 48)["large checkerboard"])[1]
    assert np.ptp(moved) > 15, "the test needs motion"


@settings(max_examples=80, deadline=None)
@given(
    case=st.sampled_from(CASES),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    in_place=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_equals_the_integer_encoder_at_every_size(
    case: tuple[str, bool],
    height: int,
    width: int,
    in_place: bool,
    seed: int,
    built_flow: Callable[[str, bool], Built],
) -> None:
    clip = noise(3, height, width, seed)
    veiled = built_flow(*case).veil(clip, in_place=in_place)
    np.testing.assert_array_equal(veiled, expected(*case, clip))


@pytest.mark.parametrize("name", ["white", "signed", "least", "largest"])
def test_extreme_numbers(name: str, tmp_path: Path) -> None:
    change = {
        "white": {"sigma": 0.01, "window": 0.01, "cell": 1},
        "signed": {"colours": (1.0, -2.0, 0.5), "eps": 1e-3},
        "least": {"eps": 1.0001e-7, "range": 0.01},
        "largest": {"eps": 0.249, "range": 1000.0},
    }[name]
    spec = SPECS["default"].change(**change)
    built = Built(spec, tmp_path, hard=False)
    for clip in hard_pairs(17, 23).values():
        encoder = IntegerEncoder(spec)
        right = np.stack([encoder.veil(frame) for frame in clip])
        np.testing.assert_array_equal(built.veil(clip), right)


def test_a_start_forgets_all_that_runs(built_flow: Callable[[str, bool], Built]) -> None:
    """The state of a stream goes on after a start as that of a new one."""
    built, clip = built_flow("moments", False), wandering(12, 32, 48, 0)
    state = np.zeros(built.numbers.state_size(48, 32) // 8, np.uint64)
    out, veiled = np.empty((4, 6, 3), np.uint8), []
    for number, frame in enumerate(np.concatenate([clip[::-1], clip])):
        if number % 12 == 0:
            built.library.motionveil_start(pointer(state))
        built.library.motionveil_veil(pointer(state), pointer(frame), pointer(out), 48, 32)
        veiled.append(out.copy())
    np.testing.assert_array_equal(veiled[12:], expected("moments", False, clip))
    assert len(np.unique(veiled[13:])) == 3, "the test needs motion"


def test_a_grid_too_large_for_the_moments_gives_the_neutral_frame(
    built_flow: Callable[[str, bool], Built],
) -> None:
    for width, moves in ((2048, True), (2049, False)):  # cells of 2
        clip = noise(3, 2, width, 1)
        veiled = built_flow("moments, small", False).veil(clip)
        np.testing.assert_array_equal(veiled, expected("moments, small", False, clip))
        assert (np.ptp(veiled) > 0) == moves


RUN_PART = """
void run_part(const uint8_t *field, uint16_t columns, uint16_t rows, uint64_t *running,
              uint8_t *shown)
{
    mv_part part;
    part.columns = columns;
    part.rows = rows;
    mv_add_up(field, columns, 0, &part);
    mv_run(&part, running, shown);
}
"""


def test_the_largest_moments_fit_64_bits(tmp_path: Path) -> None:
    """Everything moves as fast as can be, and always has: C, which would wrap, and Python agree."""
    spec = MOMENTS["moments"].change(memory=0.999, parts=1, floor=1.0)
    write_c(spec, tmp_path / "a.c")
    with (tmp_path / "a.c").open("a") as file:
        file.write(RUN_PART)
    compile_(COMPILERS[0], "-Wno-missing-prototypes", "-shared", "-fPIC", "-o",
             tmp_path / "a.so", tmp_path / "a.c")  # fmt: skip
    library = ctypes.CDLL(str(tmp_path / "a.so"))
    for shape in ((1, 1), (1, 1024), (1024, 1), (31, 33), (1024, 1023)):
        whole = WholeMoments(integer_moments(spec), shape)
        y, x = np.mgrid[: shape[0], : shape[1]]
        apart = np.where((x + y) * 2 < sum(shape), -7, 8)  # a moment as large as can be
        for levels in (np.full(shape, 8), apart):
            field = np.repeat(levels[..., None], 2, -1)
            new = WholeMoments(integer_moments(spec), shape)
            new.relative(field)
            # What the sums come to in the end; 1 / (1 - memory) is 1,000.
            whole.running = [999 * value for value in new.running]
            running = np.array(whole.running, np.uint64)
            bytes_ = np.ascontiguousarray(np.repeat(119 + 17 * levels[..., None], 3, -1), np.uint8)
            shown = np.empty(6, np.uint8)
            right = 119 + 119 * whole(field)
            library.run_part(pointer(bytes_), *shape[::-1], pointer(running), pointer(shown))
            assert running.tolist() == whole.running
            assert shown.tolist() == right.tolist()
            assert max(whole.running).bit_length() in range(55, 64)


def test_averages_to_the_geometry(built_flow: Callable[[str, bool], Built]) -> None:
    built, frame = built_flow("default", False), noise(1, 120, 161, 1)[0]
    assert built.working_size(161, 120, 1, 1) == (32, 48)
    np.testing.assert_array_equal(
        built.average(frame, (32, 48), in_place=True), area_average(frame, (32, 48))
    )


@each_compiler
@pytest.mark.parametrize("name", ["fine", "small", "coarse", "moments"])
def test_under_sanitizers(compiler: str, name: str, tmp_path: Path) -> None:
    write_c(ALL[name], tmp_path / "encoder.c")
    program = compile_sanitized(compiler, tmp_path, HARNESS)
    sizes = [(w, h) for w in (1, 2, 5, 9, 17) for h in (1, 3, 8, 30)] + [(64, 48)]
    runs = [(w, h, k % 2) for k, (w, h) in enumerate(sizes)]
    clips = [noise(3, h, w, seed) for seed, (w, h, _) in enumerate(runs)]
    done = subprocess.run(
        [str(program), *(str(word) for run in runs for word in run)],
        input=b"".join(clip.tobytes() for clip in clips),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == b"".join(expected(name, False, clip).tobytes() for clip in clips)


@each_compiler
def test_needs_no_library_and_no_floating_point(compiler: str, tmp_path: Path) -> None:
    if platform.machine() not in ("x86_64", "AMD64", "aarch64", "arm64") or not shutil.which("nm"):
        pytest.skip("needs nm, and a processor whose floating point can be switched off")
    write_c(MOMENTS["moments"], tmp_path / "a.c")
    compile_(compiler, "-mgeneral-regs-only", "-c", "-o", tmp_path / "a.o", tmp_path / "a.c")
    said = subprocess.run(
        ["nm", str(tmp_path / "a.o")], capture_output=True, text=True, check=True
    ).stdout
    kinds = [line.split()[-2:] for line in said.splitlines()]
    assert {name for kind, name in kinds if kind == "U"} <= {"memcpy", "memset"}
    assert {kind for kind, _ in kinds} <= {"U", "T", "r", "s", "t"}, "no variable"


def test_the_macro_of_the_state_is_the_formula(tmp_path: Path) -> None:
    for name, spec in ALL.items():
        numbers = whole_numbers(spec)
        lines = [
            f"typedef char fits{k}[MOTIONVEIL_STATE_SIZE({w}, {h}) =="
            f" {numbers.state_size(w, h)} ? 1 : -1];"
            for k, (w, h) in enumerate([(1, 1), (3, 5), (80, 64), (65535, 3)])
        ]
        write_c(spec, tmp_path / "encoder.c")
        head = '#define MOTIONVEIL_HEADER_ONLY\n#include "encoder.c"\n'
        (tmp_path / f"{name}.c").write_text(head + "\n".join(lines) + "\n")
        compile_(COMPILERS[0], "-fsyntax-only", tmp_path / f"{name}.c")


def test_lines_are_at_most_100_wide(tmp_path: Path) -> None:
    for spec in ALL.values():
        write_c(spec, tmp_path / "a.c")
        text = (tmp_path / "a.c").read_text()
        assert max(len(line) for line in text.splitlines()) <= 100
        assert whole_numbers(spec).accuracy.split(";")[0] in text
