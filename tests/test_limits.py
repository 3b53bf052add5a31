"""The limits of what inputs may ask for, and of what logs may say."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from motionveil.errors import MotionveilError
from motionveil.limits import LineLimit, read_table
from motionveil.service.log import Log
from motionveil.video import read_frames
from motionveil.video.reader import count_frames
from videos import moving_square, write_video


def test_frames_of_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", moving_square(6))
    monkeypatch.setenv("MOTIONVEIL_MAX_FRAMES", "6")
    assert count_frames(tmp_path / "a.mkv") == 6
    monkeypatch.setenv("MOTIONVEIL_MAX_FRAMES", "5")
    with pytest.raises(MotionveilError, match=r"a\.mkv: more than 5 frames; set MOTIONVEIL_MAX"):
        list(read_frames(tmp_path / "a.mkv"))
    for wrong in ("-5", "0", "", "1e3", "9" * 13):
        monkeypatch.setenv("MOTIONVEIL_MAX_FRAMES", wrong)
        with pytest.raises(MotionveilError, match=f"MAX_FRAMES={wrong}: must be a whole number"):
            list(read_frames(tmp_path / "a.mkv"))


def test_lines_of_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTIONVEIL_MAX_LOG_LINES", "3")
    now = 7.5
    limit = LineLimit(clock=lambda: now)
    assert [limit() for _ in range(5)] == [0, 0, 0, None, None]
    now = 8.0
    assert [limit() for _ in range(4)] == [2, 0, 0, None]


def test_a_log_says_how_many_lines_it_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTIONVEIL_MAX_LOG_LINES", "2")
    now = 0.0
    monkeypatch.setattr("motionveil.service.log.LineLimit", lambda: LineLimit(lambda: now))
    output = io.StringIO()
    log = Log(as_json=True, output=output)
    for number in range(5):
        log(f"line {number}", camera="hall")
    now = 1.0
    log("at last")
    said = [json.loads(line)["message"] for line in output.getvalue().splitlines()]
    assert said == ["line 0", "line 1", "3 lines were left out", "at last"]


def test_a_table_names_the_line_of_each_row(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text('# ours\na, b\n\n1 ,"x, y"\n')
    columns, rows = read_table(file, "the table", ("a",), comments=True)
    assert columns == ["a", "b"]
    assert rows == {f"{file}:4": {"a": "1", "b": "x, y"}}
    with pytest.raises(MotionveilError, match=r":2: found columns 'a,b'; they must be a"):
        read_table(file, "the table", ("a",), exactly=True, comments=True)
    with pytest.raises(MotionveilError, match=r":1: found columns '# ours'; there must be a"):
        read_table(file, "the table", ("a",))
    file.write_text("a,b\n1\n")
    with pytest.raises(MotionveilError, match=r":2: 1 values, there must be 2: a,b"):
        read_table(file, "the table")
    file.write_text("")
    with pytest.raises(MotionveilError, match=r":1: found columns ''; there must be a"):
        read_table(file, "the table", ("a",))
