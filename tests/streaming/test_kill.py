"""`kill -9` at any moment, of the whole program: no warning, no clearing away."""

from __future__ import annotations

import math
import time
from pathlib import Path

import pytest

from motionveil.video import count_frames
from motionveil.video.sinks.image_folder import TIMES
from programs import Programs, parts, play, size_of_part, until

pytestmark = pytest.mark.slow  # programs in real time

RECORDINGS = {
    "mp4": ("live.mp4",),
    "mkv": ("live.mkv", "--codec", "h264"),
    "webm": ("live.webm",),
}
LIVE = "test:320x240@30"
LARGE = ("--enlarge", "6")  # or all is written before anything can be killed
WRITTEN = (-1, 0, 0.4, 0.8, math.inf)
"""Shares of the output past which a program is killed: first when it has opened its file, in the
end when all is there."""


@pytest.mark.parametrize("name", ["veiled.mp4", "veiled.mkv", "veiled.webm", "veiled/"])
def test_of_a_file_leaves_all_or_nothing(
    tmp_path: Path, film: Path, programs: Programs, name: str
) -> None:
    words = ("--frames", 300, *LARGE)
    whole, dest = tmp_path / "whole" / name, tmp_path / "here" / name
    assert programs("encode", film, f"{whole.parent}/{name}", *words).ends() == 0
    wanted = files_of(whole)
    size = sum(map(len, wanted.values()))
    begun = complete = 0
    for share in WRITTEN:
        program = programs("encode", film, f"{dest.parent}/{name}", *words)
        enough = share * size
        until(
            lambda enough=enough: (
                dest.exists() or (bool(parts(dest)) and size_of_part(dest) > enough)
            ),
            program,
        )
        program.kill()
        begun += bool(parts(dest))
        if dest.exists():
            complete += 1
            assert files_of(dest) == wanted
            remove(dest)
        for part in parts(dest):
            remove(part)
    assert begun > 0, "some are killed at work"
    assert complete > 0, "and some when all is there"
    assert begun + complete == len(WRITTEN)


def test_of_a_file_and_then_again(tmp_path: Path, film: Path, programs: Programs) -> None:
    dest = tmp_path / "veiled.mp4"
    program = programs("encode", film, dest, *LARGE)
    until(lambda: size_of_part(dest), program)
    program.kill()
    assert not dest.exists()
    assert len(parts(dest)) == 1
    assert programs("encode", film, dest).ends() == 0
    assert count_frames(dest) == 300


def test_of_a_folder_of_videos_and_then_again(
    tmp_path: Path, film: Path, programs: Programs
) -> None:
    videos, out = tmp_path / "videos", tmp_path / "out"
    videos.mkdir()
    for name in "abc":
        (videos / f"{name}.mp4").symlink_to(film)
    words = ("encode", videos, "--out", out, "--frames", 200, *LARGE)
    program = programs(*words)
    until(lambda: size_of_part(out / "b.veiled.mp4"), program)
    program.kill()
    assert (out / "a.veiled.mp4").exists()
    assert not (out / "c.veiled.mp4").exists()
    again = programs(*words)
    assert again.ends() == 0, again.complaint
    assert "2 videos veiled (200 frames, 2 guarded), 1 there already" in again.said
    for name in "abc":
        assert count_frames(out / f"{name}.veiled.mp4") == 100


def test_of_a_recording_leaves_it_playable_to_the_last_second(
    tmp_path: Path, programs: Programs
) -> None:
    running = {}
    for kind, words in RECORDINGS.items():
        dest = tmp_path / kind / words[0]
        running[kind] = dest, programs("encode", LIVE, dest, *words[1:])
    began = {}
    for kind, (dest, program) in running.items():
        until(lambda dest=dest: size_of_part(dest), program)
        began[kind] = time.monotonic()
    time.sleep(2.3)
    for kind, (dest, program) in running.items():
        recorded = time.monotonic() - began[kind]  # or longer: some frames came before
        program.kill()
        assert not dest.exists()
        (part,) = parts(dest)
        assert part.name.startswith(f".{dest.stem}."), "hidden"
        assert part.name.endswith(f".part{dest.suffix}")
        times, images = play(part)
        assert times[-1] > recorded - 1.3, kind
        assert times == sorted(times)
        assert images[:, 20:-20].std() > 1, "it shows the motion"


def test_of_a_folder_of_frames_leaves_nothing_under_its_name(
    tmp_path: Path, programs: Programs
) -> None:
    dest = tmp_path / "frames"
    program = programs("encode", LIVE, f"{dest}/")
    until(lambda: size_of_part(dest) > 100_000, program)
    program.kill()
    assert not dest.exists()
    (part,) = parts(dest)
    assert len(list(part.glob("*.png"))) - 2 <= len((part / TIMES).read_text().splitlines())


def files_of(path: Path) -> dict[str, bytes]:
    """Return the bytes of a file, or of each of a folder's, by name."""
    files = path.iterdir() if path.is_dir() else [path]
    return {file.name: file.read_bytes() for file in files}


def remove(path: Path) -> None:
    if path.is_dir():
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
    else:
        path.unlink()
