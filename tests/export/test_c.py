from __future__ import annotations

import json
import platform
import re
import shutil
import subprocess
from collections.abc import Callable
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
from export_examples import SPECS, movers, noise
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.export import IntegerEncoder, write_c
from motionveil.export.difference_integer import integer_numbers
from motionveil.geometry import Geometry
from motionveil.spec import EncoderSpec

CASES = [(name, hard) for name in SPECS for hard in (False, True)]

STATE = integer_numbers(SPECS["shipped"])

pytestmark = needs_a_compiler

each = pytest.mark.parametrize(("name", "hard"), CASES)


def expected(name: str, hard: bool, clip: NDArray[np.uint8]) -> NDArray[np.uint8]:
    encoder = IntegerEncoder(SPECS[name], hard=hard)
    return np.stack([encoder.veil(frame) for frame in clip])


class TestEqualToTheIntegerEncoder:
    @each
    @pytest.mark.parametrize("in_place", [False, True])
    def test_on_real_video(
        self,
        name: str,
        hard: bool,
        in_place: bool,
        built: Callable[[str, bool], Built],
        real_clip: NDArray[np.uint8],
    ) -> None:
        veiled = built(name, hard).veil(real_clip[:4], in_place=in_place)
        np.testing.assert_array_equal(veiled, expected(name, hard, real_clip[:4]))

    @each
    @pytest.mark.parametrize("in_place", [False, True])
    def test_on_movers(
        self, name: str, hard: bool, in_place: bool, built: Callable[[str, bool], Built]
    ) -> None:
        veiled = built(name, hard).veil(movers(), in_place=in_place)
        np.testing.assert_array_equal(veiled, expected(name, hard, movers()))
        assert np.ptp(veiled[1:].astype(int)) > 50, "the test needs motion"

    @each
    def test_on_the_greatest_differences(
        self, name: str, hard: bool, built: Callable[[str, bool], Built]
    ) -> None:
        clip = np.zeros((4, 7, 9, 3), np.uint8)
        clip[1:3] = 255
        veiled = built(name, hard).veil(clip)
        np.testing.assert_array_equal(veiled, expected(name, hard, clip))

    @settings(max_examples=150, deadline=None)
    @given(
        case=st.sampled_from(CASES),
        height=st.integers(1, 12),
        width=st.integers(1, 12),
        in_place=st.booleans(),
        seed=st.integers(0, 1000),
    )
    def test_at_every_size(
        self,
        case: tuple[str, bool],
        height: int,
        width: int,
        in_place: bool,
        seed: int,
        built: Callable[[str, bool], Built],
    ) -> None:
        clip = noise(3, height, width, seed)
        veiled = built(*case).veil(clip, in_place=in_place)
        np.testing.assert_array_equal(veiled, expected(*case, clip))


class TestStart:
    def test_after_start_and_after_a_change_of_size(
        self, built: Callable[[str, bool], Built]
    ) -> None:
        library = built("shipped", False).library
        clip, out = noise(2, 6, 8), np.empty(6 * 8 * 3, np.uint8)
        state = np.zeros(STATE.state_size(8, 6), np.uint16)  # memory of zeros is a start too

        def spread(frame: NDArray[np.uint8], width: int, height: int) -> int:
            library.motionveil_veil(pointer(state), pointer(frame), pointer(out), width, height)
            return int(np.ptp(out[: 3 * width * height]))

        assert spread(clip[0], 8, 6) == 0
        assert out[0] == IntegerEncoder(SPECS["shipped"]).numbers.neutral
        assert spread(clip[1], 8, 6) > 0
        library.motionveil_start(pointer(state))
        assert spread(clip[0], 8, 6) == 0
        assert spread(clip[1], 6, 8) == 0
        assert spread(clip[0], 6, 8) > 0
        assert spread(clip[1], 6, 4) == 0, "another height alone"
        assert spread(clip[1], 3, 4) == 0, "another width alone"


@each_compiler
@pytest.mark.parametrize("name", SPECS)
def test_under_sanitizers_with_the_file_as_its_own_header(
    compiler: str, name: str, tmp_path: Path
) -> None:
    write_c(SPECS[name], tmp_path / "encoder.c")
    program = compile_sanitized(compiler, tmp_path, HARNESS)
    sizes = [(w, h) for w in (1, 2, 3, 4, 5, 9) for h in (1, 2, 3, 5, 6, 11)] + [(64, 48)]
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


class TestObject:
    @each_compiler
    def test_needs_nothing_but_memcpy_and_memset(self, compiler: str, tmp_path: Path) -> None:
        if not shutil.which("nm"):
            pytest.skip("needs nm")
        write_c(SPECS["shipped"], tmp_path / "a.c")
        compile_(compiler, "-c", "-o", tmp_path / "a.o", tmp_path / "a.c")
        said = subprocess.run(
            ["nm", str(tmp_path / "a.o")], capture_output=True, text=True, check=True
        ).stdout
        symbols: dict[str, set[str]] = {}
        for line in said.splitlines():
            kind, symbol = line.split()[-2:]
            symbols.setdefault(kind, set()).add(symbol.lstrip("_"))
        assert symbols.pop("U") <= {"memcpy", "memset"}
        assert symbols.pop("T") == {
            f"motionveil_{name}" for name in ("start", "veil", "average", "working_size", "takes")
        }
        assert set(symbols) <= {"r", "s", "t"}, "constants and code only, no variable"

    @each_compiler
    def test_has_no_floating_point(self, compiler: str, tmp_path: Path) -> None:
        if platform.machine() not in ("x86_64", "AMD64", "aarch64", "arm64"):
            pytest.skip("needs a processor whose floating point the compiler can switch off")
        write_c(SPECS["shipped"], tmp_path / "a.c")
        words = ["-mgeneral-regs-only", "-c", "-o", str(tmp_path / "a.o")]
        compile_(compiler, *words, tmp_path / "a.c")
        (tmp_path / "b.c").write_text("double b(double x); double b(double x) { return x * 3; }")
        done = subprocess.run(
            [compiler, *words, str(tmp_path / "b.c")], capture_output=True, check=False
        )
        assert done.returncode, "the flag refuses nothing here, so this test cannot fail"

    @each_compiler
    def test_is_cpp_too(self, compiler: str, tmp_path: Path) -> None:
        write_c(SPECS["shipped"], tmp_path / "a.c")
        words = ["-x", "c++", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "a.c"]
        done = subprocess.run(
            [compiler, *words], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        if "cc1plus" in done.stderr:
            pytest.skip(f"{compiler} has no C++ here")
        assert done.returncode == 0, done.stderr


class TestMemory:
    @settings(max_examples=50)
    @given(width=st.integers(1, 65535), height=st.integers(1, 65535))
    def test_the_formula_in_python(self, width: int, height: int) -> None:
        exact = 3 * width * height + 30 * width + 4
        assert STATE.state_size(width, height) in (exact, exact + 1)
        assert STATE.state_size(width, height) % 2 == 0

    def test_the_macro_is_that_formula_and_a_constant(self, tmp_path: Path) -> None:
        sizes = [(1, 1), (1, 2), (3, 5), (224, 224), (640, 480), (65535, 3)]
        lines = [
            f"typedef char fits{k}[MOTIONVEIL_STATE_SIZE({w}, {h}) =="
            f" {STATE.state_size(w, h)} ? 1 : -1];"
            for k, (w, h) in enumerate(sizes)
        ]
        write_c(SPECS["shipped"], tmp_path / "encoder.c")
        head = '#define MOTIONVEIL_HEADER_ONLY\n#include "encoder.c"\n'
        (tmp_path / "a.c").write_text(head + "\n".join(lines) + "\n")
        compile_(COMPILERS[0], "-fsyntax-only", tmp_path / "a.c")

    def test_the_comment_gives_the_figures_of_working_frames(self, tmp_path: Path) -> None:
        write_c(SPECS["shipped"], tmp_path / "a.c")
        text = (tmp_path / "a.c").read_text()
        assert "25,312 for 114 x 64 (of 1920 x 1080)" in text
        assert "19,096 for 86 x 64 (of 640 x 480)" in text
        assert (STATE.state_size(114, 64), STATE.state_size(86, 64)) == (25312, 19096)


class TestComment:
    NASTY = "*/ int x; /* ??/ \\ \N{RIGHT-TO-LEFT OVERRIDE} é \n#error"

    @each_compiler
    def test_holds_the_encoder_and_nothing_in_it_gets_out(
        self, compiler: str, tmp_path: Path
    ) -> None:
        spec = SPECS["shipped"].model_copy(update={"provenance": {"note": self.NASTY}})
        source = tmp_path / "é ?? .c"
        write_c(spec, source, hard=True)
        compile_(compiler, "-c", "-o", tmp_path / "a.o", source)
        text = source.read_bytes().decode("ascii")
        lines = re.search(r"^ \* \{\n.*?^ \* \}\n", text, re.M | re.S)
        assert lines
        record = json.loads("\n".join(line[3:] for line in lines[0].splitlines()))
        assert EncoderSpec.model_validate_json(json.dumps(record)) == spec
        assert "in steps (hard)" in text
        assert "motionveil_start" in text[: lines.start()]

    def test_lines_are_at_most_100_wide(self, tmp_path: Path) -> None:
        largest = Geometry(size=1024, rate=999.99)
        write_c(EncoderSpec.untrained(range=0.25, geometry=largest), tmp_path / "a.c")
        assert max(len(line) for line in (tmp_path / "a.c").read_text().splitlines()) <= 100


def test_encoders_that_cannot_run_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MotionveilError, match="at which size and rate"):
        write_c(EncoderSpec.untrained(range=0.25), tmp_path / "a.c")
    with pytest.raises(MotionveilError, match="raw cannot be exported"):
        write_c(EncoderSpec(method="raw"), tmp_path / "a.c")
    assert not list(tmp_path.iterdir())
