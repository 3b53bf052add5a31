"""The part of the C file that brings a camera to the encoder's geometry."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from compiled import (
    COMPILERS,
    Built,
    Clock,
    compile_,
    compile_sanitized,
    each_compiler,
    needs_a_compiler,
)
from export_examples import SPECS, noise
from hypothesis import example, given, settings
from hypothesis import strategies as st

from motionveil.errors import MotionveilError
from motionveil.export import write_c
from motionveil.export.difference_integer import integer_numbers
from motionveil.geometry import FrameRate, Geometry, rate_fraction
from motionveil.spec import EncoderSpec
from motionveil.streaming.geometry import area_average

STATE = integer_numbers(SPECS["shipped"])

pytestmark = needs_a_compiler

GEOMETRIES = [
    Geometry(size=8, rate=12.5),
    Geometry(size=13, rate=30000 / 1001),
    Geometry(size=223, rate=1 / 3),
    Geometry(size=1024, rate=1000),
]
each_geometry = pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
sides = st.one_of(st.integers(1, 300), st.integers(1, 65535))


def spec_of(geometry: Geometry) -> EncoderSpec:
    return EncoderSpec.untrained(range=0.25, geometry=geometry)


@pytest.fixture(scope="module")
def built_at(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Geometry], Built]:
    @cache
    def build(geometry: Geometry) -> Built:
        return Built(spec_of(geometry), tmp_path_factory.mktemp("built"), hard=False)

    return build


class TestAverage:
    @settings(max_examples=300, deadline=None)
    @given(sizes=st.tuples(*[st.integers(1, 70)] * 4), seed=st.integers(0, 1000))
    @example(sizes=(1, 1, 1, 1), seed=1)
    @example(sizes=(1, 1, 36, 48), seed=1)
    def test_equals_area_average_at_every_size(
        self, sizes: tuple[int, int, int, int], seed: int, built: Callable[[str, bool], Built]
    ) -> None:
        frame, shape = noise(1, *sizes[:2], seed)[0], sizes[2:]
        averaged = built("untrained", False).average(frame, shape)
        np.testing.assert_array_equal(averaged, area_average(frame, shape))

    @settings(max_examples=100, deadline=None)
    @given(sizes=st.tuples(*[st.integers(1, 70)] * 4), seed=st.integers(0, 1000))
    def test_in_place_where_it_gets_no_larger(
        self, sizes: tuple[int, int, int, int], seed: int, built: Callable[[str, bool], Built]
    ) -> None:
        frame = noise(1, *sizes[:2], seed)[0]
        shape = min(sizes[0], sizes[2]), min(sizes[1], sizes[3])
        averaged = built("untrained", False).average(frame, shape, in_place=True)
        np.testing.assert_array_equal(averaged, area_average(frame, shape))

    @pytest.mark.parametrize(
        ("source", "target"),
        [
            ((2160, 3840), (64, 114)),
            ((3000, 5700), (36, 68)),  # white is over 2^32 here
            ((1920, 1080), (114, 64)),
            ((1, 65535), (2, 99)),
            ((65535, 1), (99, 2)),
            ((1, 3), (1, 65535)),
            ((477, 641), (1023, 1025)),
        ],
    )
    def test_equals_area_average_of_large_frames(
        self,
        source: tuple[int, int],
        target: tuple[int, int],
        built: Callable[[str, bool], Built],
    ) -> None:
        frame = np.random.default_rng(0).integers(0, 256, (*source, 3), dtype=np.uint8)
        averaged = built("untrained", False).average(frame, target)
        np.testing.assert_array_equal(averaged, area_average(frame, target))
        frame.fill(255)
        assert (built("untrained", False).average(frame, target) == 255).all()

    def test_halves_are_rounded_up(self, built: Callable[[str, bool], Built]) -> None:
        frame = np.array([[[0, 1, 254], [1, 2, 255]]], np.uint8)
        assert built("untrained", False).average(frame, (1, 1)).tolist() == [[[1, 2, 255]]]


class TestWorkingSize:
    @settings(max_examples=400, deadline=None)
    @given(
        geometry=st.sampled_from(GEOMETRIES),
        width=sides,
        height=sides,
        aspect=st.one_of(st.just((1, 1)), st.tuples(sides, sides)),
    )
    @example(geometry=GEOMETRIES[1], width=640, height=480, aspect=(1, 1))
    @example(geometry=GEOMETRIES[0], width=65535, height=65535, aspect=(65535, 4096))
    @example(geometry=GEOMETRIES[0], width=16, height=1, aspect=(1, 1))
    @example(geometry=GEOMETRIES[0], width=17, height=1, aspect=(1, 1))
    def test_equals_the_geometry(
        self,
        geometry: Geometry,
        width: int,
        height: int,
        aspect: tuple[int, int],
        built_at: Callable[[Geometry], Built],
    ) -> None:
        try:
            expected = geometry.shape(height, width, Fraction(*aspect))
        except MotionveilError:
            expected = None
        assert built_at(geometry).working_size(width, height, *aspect) == expected

    @each_geometry
    def test_of_every_common_shape(
        self, geometry: Geometry, built_at: Callable[[Geometry], Built]
    ) -> None:
        for width in range(19, 400, 3):
            for height in range(max(8, width // 16 + 1), 300, 7):
                size = built_at(geometry).working_size(width, height, 1, 1)
                assert size == geometry.shape(height, width)
                assert min(size) == round(geometry.size / 2) * 2, "whatever the source is"

    @pytest.mark.parametrize("numbers", [(0, 9, 1, 1), (9, 0, 1, 1), (9, 9, 0, 1), (9, 9, 1, 0)])
    def test_zeros_are_refused(
        self, numbers: tuple[int, ...], built_at: Callable[[Geometry], Built]
    ) -> None:
        assert built_at(GEOMETRIES[0]).working_size(*numbers) is None

    @each_geometry
    def test_is_a_constant_for_a_camera_that_is_known(
        self, geometry: Geometry, tmp_path: Path
    ) -> None:
        sources = [(1920, 1080), (1080, 1920), (640, 480), (3, 5), (65535, 40000)]
        lines = []
        for k, (width, height) in enumerate(sources):
            rows, columns = geometry.shape(height, width)
            macro = f"MOTIONVEIL_SIDE({width}, {height})", f"MOTIONVEIL_SIDE({height}, {width})"
            size = f"MOTIONVEIL_STATE_SIZE({macro[0]}, {macro[1]})"
            lines += [
                f"enum {{ w{k} = {macro[0]}, h{k} = {macro[1]} }};",
                f"typedef char fits{k}[w{k} == {columns} && h{k} == {rows} ? 1 : -1];",
                f"typedef char state{k}[{size} == {STATE.state_size(columns, rows)} ? 1 : -1];",
            ]
        write_c(spec_of(geometry), tmp_path / "encoder.c")
        head = '#define MOTIONVEIL_HEADER_ONLY\n#include "encoder.c"\n'
        (tmp_path / "a.c").write_text(head + "\n".join(lines) + "\n")
        compile_(COMPILERS[0], "-fsyntax-only", tmp_path / "a.c")


class TestRate:
    @settings(max_examples=100, deadline=None)
    @given(
        geometry=st.sampled_from(GEOMETRIES),
        start=st.integers(0, 2**31),
        steps=st.lists(st.one_of(st.integers(0, 120), st.integers(-5000, 20000)), max_size=120),
    )
    def test_takes_the_frames_that_the_frame_rate_takes(
        self,
        geometry: Geometry,
        start: int,
        steps: list[int],
        built_at: Callable[[Geometry], Built],
    ) -> None:
        times = np.maximum(np.cumsum([start, *steps]), 0).tolist()
        rate, clock, library = FrameRate(geometry.rate), Clock(), built_at(geometry).library
        for time in times:
            assert library.motionveil_takes(clock, time) == rate.takes(time / 1000), times

    @settings(max_examples=200, deadline=None)
    @given(
        geometry=st.sampled_from(GEOMETRIES),
        start=st.integers(0, 2**31),
        every=st.integers(1, 6),
        percent=st.integers(-2, 3),
        jitter=st.lists(st.integers(-12, 12), min_size=1, max_size=50),
    )
    def test_takes_the_same_of_a_camera_near_a_multiple_of_the_rate(
        self,
        geometry: Geometry,
        start: int,
        every: int,
        percent: int,
        jitter: list[int],
        built_at: Callable[[Geometry], Built],
    ) -> None:
        """`jitter` is in hundredths of an interval, again from its first after its last."""
        interval = 1000 / rate_fraction(geometry.rate)
        gap = interval / every / (1 + Fraction(percent, 100))
        shifts = [interval * part / 100 for part in jitter]
        times = [round(start + n * gap + shifts[n % len(shifts)]) for n in range(150)]
        rate, clock, library = FrameRate(geometry.rate), Clock(), built_at(geometry).library
        exact = FrameRate(geometry.rate)
        for time in (max(0, time) for time in times):
            takes = library.motionveil_takes(clock, time)
            assert takes == rate.takes(time / 1000) == exact.takes(Fraction(time, 1000)), times

    def test_takes_a_camera_whole_that_is_one_percent_faster(
        self, built_at: Callable[[Geometry], Built]
    ) -> None:
        for geometry in GEOMETRIES[:3]:  # of 1000 frames/s, milliseconds tell nothing
            clock, library = Clock(), built_at(geometry).library
            gap = 1000 / (rate_fraction(geometry.rate) * Fraction(101, 100))
            taken = [library.motionveil_takes(clock, round(n * gap)) for n in range(5000)]
            assert all(taken)

    @each_geometry
    @pytest.mark.parametrize("camera", [7, 12.5, 15, 25, 30, 30.2, 59.94, 60.4])
    def test_of_steady_cameras(
        self, geometry: Geometry, camera: float, built_at: Callable[[Geometry], Built]
    ) -> None:
        rate, clock, library = FrameRate(geometry.rate), Clock(), built_at(geometry).library
        taken = 0
        for number in range(1, 4000):
            time = round(1000 * number / camera)
            takes = library.motionveil_takes(clock, time)
            assert takes == rate.takes(time / 1000)
            taken += takes
        assert 0 < taken <= 4000 / camera * geometry.rate / 0.99 + 1

    def test_a_clock_that_is_full_begins_anew(self, built_at: Callable[[Geometry], Built]) -> None:
        clock, library = Clock(), built_at(GEOMETRIES[0]).library
        times = [2**32 - 81, 2**32 - 1, 0, 40, 80]
        assert [library.motionveil_takes(clock, time) for time in times] == [1, 1, 1, 0, 1]

    @settings(max_examples=200)
    @given(rate=st.floats(1e-6, 1000))
    def test_is_a_fraction_that_c_can_bear(self, rate: float) -> None:
        fraction = rate_fraction(rate)
        assert abs(fraction / Fraction(rate) - 1) <= Fraction(1, 10**6)
        now = 1000 * fraction.numerator * (2**32 - 1)
        assert now + 2 * 1_000_000 * fraction.denominator < 2**64

    def test_is_written_as_it_is_known(self, tmp_path: Path) -> None:
        names = {12.5: (25, 2), 30000 / 1001: (30000, 1001), 1 / 3: (1, 3), 1000: (1000, 1)}
        for geometry in [*GEOMETRIES, Geometry(size=8, rate=1e-300)]:
            write_c(spec_of(geometry), tmp_path / "encoder.c")
            text = (tmp_path / "encoder.c").read_text()
            found = re.findall(r"#define MOTIONVEIL_(?:SIZE|RATE_NUM|RATE_DEN) (\d+)\n", text)
            rate = names.get(geometry.rate, (1, 10**6))
            assert tuple(map(int, found)) == (geometry.size, *rate)


HARNESS = """
#include <stdio.h>
#include <stdlib.h>
#define MOTIONVEIL_HEADER_ONLY
#include "encoder.c"

/* Frames come in on the standard input and go out averaged; every block is as large as it must be,
 * so that the sanitizer sees a byte too far. */
int main(int count, char **words)
{
    int place;
    motionveil_clock clock = {0, 0};
    for (place = 1; place + 4 < count; place += 5) {
        const uint16_t width = (uint16_t)atoi(words[place]);
        const uint16_t height = (uint16_t)atoi(words[place + 1]);
        const uint16_t w = (uint16_t)atoi(words[place + 2]);
        const uint16_t h = (uint16_t)atoi(words[place + 3]);
        const int in_place = atoi(words[place + 4]);
        const size_t size = (size_t)3 * width * height;
        uint8_t *frame = malloc(size);
        uint8_t *out = in_place ? frame : malloc((size_t)3 * w * h);
        uint16_t sides[2];
        if (fread(frame, 1, size, stdin) != size) return 1;
        motionveil_average(frame, width, height, out, w, h);
        if (fwrite(out, 1, (size_t)3 * w * h, stdout) != (size_t)3 * w * h) return 1;
        if (!motionveil_working_size(width, height, 1, 1, sides, sides + 1)) return 2;
        if (motionveil_takes(&clock, UINT32_MAX - (uint32_t)place) != 1) return 3;
        if (!in_place) free(out);
        free(frame);
    }
    return 0;
}
"""


@each_compiler
def test_under_sanitizers(compiler: str, tmp_path: Path) -> None:
    write_c(SPECS["untrained"], tmp_path / "encoder.c")
    program = compile_sanitized(compiler, tmp_path, HARNESS)
    runs = [(w, h, 4, 3) for w in (1, 2, 3, 4, 9) for h in (1, 2, 3, 5, 11)]
    runs += [(64, 48, 8, 6), (161, 91, 36, 20), (20, 36, 91, 161), (4000, 3000, 48, 36)]
    whole = [(*run, int(run[0] >= run[2] and run[1] >= run[3])) for run in runs]
    frames = [noise(1, run[1], run[0], seed)[0] for seed, run in enumerate(whole)]
    done = subprocess.run(
        [str(program), *(str(word) for run in whole for word in run)],
        input=b"".join(frame.tobytes() for frame in frames),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    expected = [area_average(f, (h, w)) for f, (_, _, w, h, _) in zip(frames, whole, strict=True)]
    assert done.stdout == b"".join(frame.tobytes() for frame in expected)
