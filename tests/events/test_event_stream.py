"""Event streams on disk: what goes in comes out, and the bytes are those of the formats."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motionveil.errors import MotionveilError
from motionveil.events import EVENT, event_writer, read_events

SUFFIXES = ["txt", "raw"]
HEADER = b"% evt 2.0\n% format EVT2;height=480;width=640\n% geometry 640x480\n% end\n"


def events_of(*rows: tuple[int, int, int, int]) -> Any:
    """Return events of (x, y, t, p)."""
    return np.array(list(rows), EVENT)


def write(path: Path, *pieces: Any, width: int = 640, height: int = 480) -> Path:
    with event_writer(path, width=width, height=height) as append:
        for piece in pieces:
            append(piece)
    return path


def read(path: Path) -> Any:
    return np.concatenate([np.empty(0, EVENT), *read_events(path)])


def raw(path: Path, *words: int, header: bytes = HEADER) -> Path:
    path.write_bytes(header + np.array(words, "<u4").tobytes())
    return path


class TestRoundTrip:
    @pytest.mark.parametrize("suffix", SUFFIXES)
    @settings(max_examples=60, deadline=None)
    @given(
        pieces=st.lists(
            st.lists(
                st.tuples(
                    st.integers(0, 2047),
                    st.integers(0, 2047),
                    st.one_of(st.integers(0, 200), st.integers(0, 2**33)),
                    st.integers(0, 1),
                ),
                max_size=6,
            ),
            min_size=1,
            max_size=4,
        )
    )
    def test_what_is_read_is_what_was_written(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        suffix: str,
        pieces: Sequence[list[tuple[int, int, int, int]]],
    ):
        times = sorted(event[2] for piece in pieces for event in piece)
        following = iter(times)
        ordered = [
            events_of(*((x, y, next(following), p) for x, y, _, p in piece)) for piece in pieces
        ]
        path = tmp_path_factory.mktemp("stream") / f"a.{suffix}"
        write(path, *ordered, width=2048, height=2048)
        assert np.array_equal(read(path), np.concatenate(ordered))

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_of_more_than_is_read_at_once(self, tmp_path: Path, suffix: str):
        random = np.random.default_rng(0)
        events = np.empty(70_000, EVENT)
        for name, end in (("x", 640), ("y", 480), ("p", 2)):
            events[name] = random.integers(0, end, len(events))
        events["t"] = np.sort(random.integers(0, 3_000_000, len(events)))
        path = write(tmp_path / f"a.{suffix}", events[:10], events[10:])
        pieces = list(read_events(path))
        assert len(pieces) > 1
        assert np.array_equal(np.concatenate(pieces), events)

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_of_none(self, tmp_path: Path, suffix: str):
        assert len(read(write(tmp_path / f"a.{suffix}"))) == 0


class TestText:
    def test_lines_are_those_of_the_data_set(self, tmp_path: Path):
        path = write(tmp_path / "a.txt", events_of((33, 39, 3811, 1), (158, 145, 12_000_050, 0)))
        assert path.read_text() == "0.003811000 33 39 1\n12.000050000 158 145 0\n"

    def test_reads_other_ways_to_write_numbers(self, tmp_path: Path):
        path = tmp_path / "a.txt"
        path.write_text("1e-3 3 4 1\n0.25\t5 6 0\n")
        assert read(path).tolist() == [(3, 4, 1000, 1), (5, 6, 250_000, 0)]

    @pytest.mark.parametrize(
        "line",
        [
            "0.2 3 4",
            "0.2 3 4 2",
            "0.2 3 4 -1",
            "-0.2 3 4 1",
            "0.2 3.5 4 1",
            "t x y p",
            "",
            "nan 3 4 1",
        ],
    )
    def test_a_line_that_is_no_event_is_named(self, tmp_path: Path, line: str):
        path = tmp_path / "a.txt"
        path.write_text(f"0.1 3 4 1\n{line}\n0.3 3 4 1\n")
        with pytest.raises(MotionveilError, match=r"a\.txt: line 2 is ") as fault:
            read(path)
        assert repr(line) in str(fault.value)


class TestEvt2:
    def test_words_are_those_computed_by_hand(self, tmp_path: Path):
        events = events_of((5, 3, 100, 1), (0, 0, 101, 0), (639, 479, 128, 1))
        data = write(tmp_path / "a.raw", events).read_bytes()
        assert data[: len(HEADER)] == HEADER
        words = [f"{word:08x}" for word in np.frombuffer(data[len(HEADER) :], "<u4")]
        # 100 us is 1 * 64 + 36: a word for the 1; then type 1, 36 << 22, 5 << 11, 3.
        # 128 us is 2 * 64 + 0; 639 << 11 is 0x13f800, 479 is 0x1df.
        assert words == ["80000001", "19002803", "09400000", "80000002", "1013f9df"]
        assert data[len(HEADER) + 4 :][:4] == bytes([0x03, 0x28, 0x00, 0x19])

    def test_an_upper_time_is_told_once_over_several_pieces(self, tmp_path: Path):
        pieces = [events_of((n, 0, 640 + n, 1)) for n in range(5)]
        data = write(tmp_path / "a.raw", *pieces).read_bytes()
        assert len(data) - len(HEADER) == 4 * 6

    def test_passes_over_other_words(self, tmp_path: Path):
        path = raw(tmp_path / "a.raw", 0x80000001, 0xA0000101, 0x19002803, 0xE0000001, 0xF1234567)
        assert read(path).tolist() == [(5, 3, 100, 1)]

    def test_passes_over_events_before_the_first_time(self, tmp_path: Path):
        path = raw(tmp_path / "a.raw", 0x19002803, 0x80000001, 0x09002803)
        assert read(path).tolist() == [(5, 3, 100, 0)]

    def test_needs_no_header(self, tmp_path: Path):
        path = raw(tmp_path / "a.raw", 0x80000001, 0x19002803, header=b"")
        assert read(path).tolist() == [(5, 3, 100, 1)]

    def test_time_goes_on_where_its_34_bits_end(self, tmp_path: Path):
        path = raw(tmp_path / "a.raw", 0x8FFFFFFF, 0x1FC00000, 0x80000000, 0x10400000)
        assert read(path)["t"].tolist() == [2**34 - 1, 2**34 + 1]
        later = events_of((1, 1, 2**34 - 1, 1), (1, 1, 2**34 + 1, 0), (2, 2, 2**34 + 70, 0))
        assert np.array_equal(read(write(tmp_path / "b.raw", later)), later)

    def test_a_small_step_back_is_not_the_end_of_the_bits(self, tmp_path: Path):
        path = raw(tmp_path / "a.raw", 0x80000005, 0x10000000, 0x80000004, 0x10000000)
        assert read(path)["t"].tolist() == [320, 256]

    @pytest.mark.parametrize("line", [b"% evt 3.0\n", b"% format EVT3;height=1;width=1\n"])
    def test_refuses_other_formats(self, tmp_path: Path, line: bytes):
        path = raw(tmp_path / "a.raw", 0x80000001, header=b"% date 2026-01-01\n" + line)
        with pytest.raises(MotionveilError, match=r"a\.raw: .*3.*; only EVT 2\.0"):
            read(path)

    def test_refuses_what_is_cut_short(self, tmp_path: Path):
        path = raw(tmp_path / "a.raw", 0x80000001, 0x19002803)
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(MotionveilError, match=r"a\.raw: cut short"):
            read(path)

    def test_refuses_too_large_a_sensor(self, tmp_path: Path):
        with pytest.raises(MotionveilError, match=r"2049x4 pixels; EVT 2\.0"):
            write(tmp_path / "a.raw", width=2049, height=4)


class TestFaults:
    @pytest.mark.parametrize(
        ("events", "message"),
        [
            (events_of((640, 0, 5, 1)), "column 640, row 0; the sensor has 640x480"),
            (events_of((0, 480, 5, 1)), "column 0, row 480"),
            (events_of((0, 0, 5, 1), (0, 0, 4, 1)), "never go back"),
            (events_of((0, 0, -1, 1)), "0 us or more"),
        ],
    )
    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_events_that_cannot_be(self, tmp_path: Path, suffix: str, events: Any, message: str):
        path = tmp_path / f"a.{suffix}"
        with pytest.raises(MotionveilError, match=rf"a\.{suffix}: .*{message}"):
            write(path, events)
        assert os.listdir(tmp_path) == []

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_time_that_goes_back_between_two_pieces(self, tmp_path: Path, suffix: str):
        path = write(tmp_path / f"a.{suffix}", events_of((1, 1, 1, 1)))
        before = path.read_bytes()
        with pytest.raises(MotionveilError, match="never go back"):
            write(path, events_of((0, 0, 9, 1)), events_of((0, 0, 8, 1)))
        assert path.read_bytes() == before, "an earlier file stays"
        assert os.listdir(tmp_path) == [path.name]

    def test_a_failure_of_the_caller_leaves_nothing(self, tmp_path: Path):
        def fail() -> None:
            with event_writer(tmp_path / "a.raw", width=4, height=4) as append:
                append(events_of((1, 1, 1, 1)))
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fail()
        assert os.listdir(tmp_path) == []

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
    def test_a_full_disk_is_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        usual = Path.open
        monkeypatch.setattr(Path, "open", lambda self, mode: usual(Path("/dev/full"), mode))
        with pytest.raises(MotionveilError, match=r"a\.raw: cannot write: No space left"):
            write(tmp_path / "a.raw", events_of((1, 1, 1, 1)))
        assert os.listdir(tmp_path) == []

    def test_unknown_suffixes(self, tmp_path: Path):
        for use in (write, read):
            with pytest.raises(MotionveilError, match=r"a\.aedat: an event stream is a \.txt"):
                use(tmp_path / "a.aedat")

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_a_missing_file(self, tmp_path: Path, suffix: str):
        with pytest.raises(MotionveilError, match=rf"a\.{suffix}: no such file"):
            read(tmp_path / f"a.{suffix}")
