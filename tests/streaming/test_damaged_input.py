"""Files that were damaged in the middle: an error, and never a frame that the decoder made up."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from motionveil.cli import main
from motionveil.video import SyntheticSource
from streams import encoded
from videos import write_video

FRAMES = 60
# Without it a decoder may read on in the damaged data as if they were whole: nothing in them
# tells, which is a property of H.264 and no test of this program.
STRICT = {"x264-params": "cabac=0:keyint=20:bframes=2"}


def garbage(data: bytes, at: int) -> bytes:
    """Overwrite 1000 bytes, as a bad sector does."""
    noise = np.random.default_rng(at).integers(0, 256, 1000, dtype=np.uint8).tobytes()
    return data[:at] + noise + data[at + 1000 :]


def zeros(data: bytes, at: int) -> bytes:
    """Overwrite 1000 bytes with zeros, as a file system that lost a block does."""
    return data[:at] + bytes(1000) + data[at + 1000 :]


def inverted(data: bytes, at: int) -> bytes:
    """Turn all bits of 400 bytes around."""
    return data[:at] + bytes(byte ^ 0xFF for byte in data[at : at + 400]) + data[at + 400 :]


def hole(data: bytes, at: int) -> bytes:
    """Leave out 500 bytes, as a download that was put together wrongly does."""
    return data[:at] + data[at + 500 :]


def cut(data: bytes, at: int) -> bytes:
    """Keep what comes before, in a transport stream not a whole number of packets."""
    return data[: at // 188 * 188 + 100]


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes a good file of a kind."""
    folder = tmp_path_factory.mktemp("whole")
    camera = SyntheticSource(320, 240, 25, paced=False)
    clip = np.stack([camera.picture(number) for number in range(FRAMES)])

    def make(suffix: str) -> Path:
        path = folder / f"a.{suffix}"
        if path.exists():
            return path
        if suffix == "mp4":
            return write_video(path, clip, codec_options=STRICT)
        if suffix == "avi":
            return write_video(path, clip)
        kind = {"ts": "mpegts", "mkv": "matroska"}[suffix]
        path.write_bytes(encoded(clip, kind, **STRICT))
        return path

    return make


@pytest.mark.parametrize(
    "share",
    [pytest.param(0.4, marks=pytest.mark.slow), 0.55, pytest.param(0.7, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("damage", [garbage, zeros, inverted, hole, cut])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "ts"])
def test_is_one_line_and_leaves_the_earlier_file(
    tmp_path: Path,
    whole: Callable[[str], Path],
    suffix: str,
    damage: Callable[[bytes, int], bytes],
    share: float,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = whole(suffix).read_bytes()
    source, dest = tmp_path / f"a.{suffix}", tmp_path / "veiled.mp4"
    source.write_bytes(damage(data, int(len(data) * share)))
    dest.write_text("earlier")
    status = main(["encode", str(source), str(dest)])
    error = capsys.readouterr().err
    assert status == 1, "damage was not noticed"
    assert error.startswith(f"motionveil: error: {source}: ")
    assert error.count("\n") == 1
    assert dest.read_text() == "earlier"
    assert {path.name for path in tmp_path.iterdir()} == {source.name, dest.name}


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "ts"])
def test_whole_files_are_none_of_that(
    tmp_path: Path, whole: Callable[[str], Path], suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["encode", str(whole(suffix)), str(tmp_path / "veiled.mp4")]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert f"{FRAMES} frames in: " in said.out


def test_a_damaged_header_in_matroska(
    tmp_path: Path, whole: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """A decoder then passes over the rest of the cluster without a word."""
    data = bytearray(whole("mkv").read_bytes())
    source, dest = tmp_path / "a.mkv", tmp_path / "veiled.mp4"
    for block in (20, 40):
        at, damaged = block_of(data, block), data.copy()
        damaged[at : at + 4] = bytes(4)
        source.write_bytes(damaged)
        assert main(["encode", str(source), str(dest)]) == 1
        assert f"motionveil: error: {source}: damaged" in capsys.readouterr().err
        assert not dest.exists()


def block_of(data: bytes, number: int) -> int:
    """Return where a block of the first track begins, by its identifier, size and track."""
    starts = re.finditer(
        rb"\xa3(?:[\x80-\xff]|[\x40-\x7f].|[\x20-\x3f]..)\x81..[\x00\x80]", data, re.S
    )
    return [start.start() for start in starts][number]


def test_a_recording_of_unknown_length_is_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a stream is written: nothing is declared, and so nothing is missing."""
    clip = np.stack([SyntheticSource(64, 48, paced=False).picture(n) for n in range(FRAMES)])
    source = write_video(tmp_path / "a.mkv", clip, options={"live": "1"})
    assert b"\x18\x53\x80\x67\x01" + b"\xff" * 7 in source.read_bytes(), "of unknown length"
    assert main(["encode", str(source), str(tmp_path / "veiled.mp4")]) == 0
    assert f"{FRAMES} frames in" in capsys.readouterr().out
