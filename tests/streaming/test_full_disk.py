"""Where nothing can be written, or nothing more: small disks in memory, really mounted."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from motionveil.cli import main
from motionveil.video import SyntheticSource, count_frames
from motionveil.video.sinks.image_folder import ABOUT, TIMES
from programs import PATIENCE, Programs, as_filmed, kept, play, size_of_part, small_disk, until
from streams import transport_stream

pytestmark = pytest.mark.slow  # programs in real time

PAGE = 4096
NO_SPACE = "No space left on device"
TEXTS = (TIMES, ABOUT)
FOLDER = TemporaryDirectory()
# Or what is written would fit.
LARGE, SMALL = (("--encoder", as_filmed(Path(FOLDER.name), lines)) for lines in (240, 48))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """An empty disk of 160 KiB."""
    with small_disk(tmp_path / "disk", 40 * PAGE) as folder:
        yield folder


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 40 * PAGE, read_only=True) as folder:
        yield folder


def encode(*words: object) -> int:
    return main(["encode", *map(str, words), *LARGE])


class TestFile:
    @pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "frames/"])
    def test_leaves_nothing(
        self, disk: Path, film: Path, name: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        dest = f"{disk}/{name}"
        assert encode(film, dest) == 1
        error = f"motionveil: error: {dest.rstrip('/')}: cannot write: {NO_SPACE}\n"
        assert capsys.readouterr().err == error
        assert kept(disk) == []

    @pytest.mark.usefixtures("equal_h264")
    @pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm"])
    def test_when_only_the_last_bytes_do_not_fit(
        self, tmp_path: Path, disk: Path, film: Path, name: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A file ends with its index, which is written when all frames are."""
        whole = tmp_path / name
        assert encode(film, whole, "--frames", 25) == 0
        capsys.readouterr()
        pages = -(-whole.stat().st_size // PAGE)
        (disk / "others").write_bytes(bytes((40 - pages + 1) * PAGE))
        assert encode(film, disk / name, "--frames", 25) == 1
        error = f"motionveil: error: {disk / name}: cannot write: {NO_SPACE}\n"
        assert capsys.readouterr().err == error
        assert kept(disk) == ["others"]

        (disk / "others").write_bytes(bytes((40 - pages) * PAGE))
        assert encode(film, disk / name, "--frames", 25) == 0, "one page more, and it fits"
        np.testing.assert_array_equal(play(disk / name)[1], play(whole)[1])

    def test_leaves_the_earlier_file(self, disk: Path, film: Path) -> None:
        (disk / "a.mp4").write_text("earlier")
        assert encode(film, disk / "a.mp4") == 1
        assert (disk / "a.mp4").read_text() == "earlier"
        assert kept(disk) == ["a.mp4"]

    def test_standard_output_into_a_file_there(
        self, disk: Path, film: Path, programs: Programs
    ) -> None:
        with (disk / "a.y4m").open("wb") as file:
            program = programs("encode", film, "-", *LARGE, stdout=file)
            assert program.ends() == 1
        encoder, ready, error = program.complaint.splitlines()
        assert encoder.startswith("encoder ")
        assert ready.startswith("ready in ")
        assert error == f"motionveil: error: standard output: cannot write: {NO_SPACE}"


class TestRecording:
    @pytest.mark.parametrize(
        "words",
        [
            ("a.mp4",),
            ("a.mkv",),
            pytest.param(("a.mkv", "--codec", "h264"), marks=pytest.mark.slow),
            pytest.param(("a.webm",), marks=pytest.mark.slow),
        ],
        ids=" ".join,
    )
    def test_is_kept_as_far_as_it_goes(
        self, tmp_path: Path, programs: Programs, words: tuple[str, ...]
    ) -> None:
        with small_disk(tmp_path / "disk", 16 * PAGE) as disk:
            dest = disk / words[0]
            program = programs("encode", "test:320x240@60", dest, *words[1:], *LARGE)
            until(lambda: size_of_part(dest) or dest.exists(), program)
            began = time.monotonic()
            until(lambda: shutil.disk_usage(disk).free == 0 or not program.running)
            lasted = time.monotonic() - began
            assert program.ends() == 1
            error = f"motionveil: error: {dest}: cannot write: {NO_SPACE}\n"
            assert program.complaint == error
            assert kept(disk) == [dest.name]
            times, images = play(dest)
            assert times[-1] > lasted - 1.3, "to the last second"
            assert len(times) > 5
            assert times == sorted(times)
            assert np.ptp(images[1:]) > 0

    def test_as_pictures(self, disk: Path, programs: Programs) -> None:
        """The image that did not fit is left out, and so is its moment."""
        program = programs("encode", "test:160x120@100", f"{disk}/frames/", *LARGE)
        assert program.ends() == 1
        folder = disk / "frames"
        assert program.complaint == f"motionveil: error: {folder}: cannot write: {NO_SPACE}\n"
        assert kept(disk) == ["frames"]
        listed = [line.split(",")[0] for line in (folder / TIMES).read_text().splitlines()]
        assert listed == ["picture", *(name for name in kept(folder) if name not in TEXTS)]
        assert len(listed) > 5
        for name in TEXTS:
            (folder / name).unlink()
        assert count_frames(folder) == len(listed) - 1
        assert all(len(play(picture)[0]) == 1 for picture in folder.iterdir())

    @pytest.mark.parametrize(
        "name",
        [
            "a.mp4",
            pytest.param("a.mkv", marks=pytest.mark.slow),
            pytest.param("a.webm", marks=pytest.mark.slow),
        ],
    )
    def test_when_only_the_last_bytes_do_not_fit(
        self, tmp_path: Path, disk: Path, programs: Programs, name: str
    ) -> None:
        # Smaller ones are so coarse that the guard takes them for those of a moving camera.
        camera = SyntheticSource(96, 72, 25, paced=False)
        data = transport_stream(np.stack([camera.picture(number) for number in range(60)]))

        def record(dest: Path) -> str:
            program = programs("encode", "-", dest, *SMALL, stdin=subprocess.PIPE)
            program.process.communicate(data, PATIENCE)
            return program.complaint

        whole = tmp_path / name
        assert record(whole) == ""
        pages = -(-whole.stat().st_size // PAGE)
        (disk / "others").write_bytes(bytes((40 - pages + 1) * PAGE))
        assert record(disk / name) == (
            f"motionveil: error: {disk / name}: cannot write: {NO_SPACE}\n"
        )
        assert kept(disk) == [name, "others"]
        times, images = play(disk / name)
        expected_times, expected = play(whole)
        assert len(times) > 20
        assert times == expected_times[: len(times)]
        np.testing.assert_array_equal(images[:-1], expected[: len(times) - 1])


class TestNotWritable:
    @pytest.mark.parametrize("source", ["film", "test:64x48@30"])
    @pytest.mark.parametrize("name", ["a.mp4", "deep/a.mkv", "frames/"])
    def test_read_only(
        self,
        read_only: Path,
        film: Path,
        source: str,
        name: str,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        assert encode(film if source == "film" else source, f"{read_only}/{name}") == 1
        error = capsys.readouterr().err
        assert error.startswith(f"motionveil: error: {read_only}/{name.rstrip('/')}: cannot write")
        assert error.endswith(": Read-only file system\n")
        assert error.count("\n") == 1

    @pytest.mark.parametrize("source", ["film", "test:64x48@30"])
    @pytest.mark.parametrize("name", ["a.mp4", "deep/a.mkv", "frames/"])
    def test_below_a_file(
        self,
        tmp_path: Path,
        film: Path,
        source: str,
        name: str,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        (tmp_path / "file").write_text("")
        dest = f"{tmp_path}/file/{name}"
        assert encode(film if source == "film" else source, dest) == 1
        error = capsys.readouterr().err
        assert error.startswith(f"motionveil: error: {dest.rstrip('/')}: cannot write")
        assert error.count("\n") == 1
        assert kept(tmp_path) == ["file"]

    @pytest.mark.parametrize("source", ["film", "test:64x48@30"])
    def test_a_folder_where_a_file_is_meant(
        self, tmp_path: Path, film: Path, source: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Said at once: a recording without end would be lost at its end."""
        dest = tmp_path / "a.mp4"
        dest.mkdir()
        assert encode(film if source == "film" else source, dest) == 1
        error = f"motionveil: error: {dest}: cannot write here: Is a directory\n"
        assert capsys.readouterr().err == error
        assert kept(tmp_path) == ["a.mp4"]

    @pytest.mark.parametrize("source", ["film", "test:64x48@30"])
    def test_a_folder_of_frames_with_something_in_it(
        self, tmp_path: Path, film: Path, source: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "frames").mkdir()
        (tmp_path / "frames" / "mine.txt").write_text("keep")
        assert encode(film if source == "film" else source, f"{tmp_path}/frames/") == 1
        assert "there is something of this name already" in capsys.readouterr().err
        assert kept(tmp_path / "frames") == ["mine.txt"]
        assert kept(tmp_path) == ["frames"]
