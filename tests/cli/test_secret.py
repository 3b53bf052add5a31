"""Addresses and tokens out of the environment and out of files; what no message repeats."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from motionveil.cli import main
from motionveil.errors import MotionveilError
from motionveil.secret import secret, without_secrets
from motionveil.video import count_frames
from rtsp_server import Camera
from videos import moving_square, write_video

ANYBODY = pytest.mark.skipif(os.name == "nt", reason="Windows has no modes of files")


@pytest.fixture
def camera() -> Iterator[Camera]:
    camera = Camera()
    yield camera
    camera.kill()


class TestVariables:
    @pytest.mark.parametrize(
        ("written", "expected"),
        [
            ("${URL}", "rtsp://host/live"),
            ("rtsp://me:${PW}@host/live", "rtsp://me:h%2Fun%40ter%25%3F@host/live"),
            ("rtsp://${BOTH}@host/live", "rtsp://me:%7B$x%7D@host/live"),
            ("http://host/v.cgi?pwd=${PW}", "http://host/v.cgi?pwd=h/un@ter%25?"),
            ("$URL ${} ${1} $${URL}", "$URL ${} ${1} $rtsp://host/live"),
            ("in.mp4", "in.mp4"),
        ],
    )
    def test_stand_for_their_values(
        self, written: str, expected: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("URL", "rtsp://host/live")
        monkeypatch.setenv("PW", "h/un@ter%25?")
        monkeypatch.setenv("BOTH", "me:{$x}")
        assert secret(written, None, "--source") == expected

    def test_that_are_not_set_are_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("NONESUCH", raising=False)
        with pytest.raises(MotionveilError, match=r"^\$\{NONESUCH\}: .* not set") as error:
            secret("rtsp://me:hunter2@${NONESUCH}", None, "--source")
        assert "hunter2" not in str(error.value)


class TestFiles:
    def test_hold_one_line(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = tmp_path / "camera.txt"
        file.write_text("\n  rtsp://me:${PW}@host/live \r\n\n")
        file.chmod(0o600)
        assert secret(None, str(file), "--source") == "rtsp://me:${PW}@host/live"
        assert capsys.readouterr() == ("", "")

    @ANYBODY
    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
    def test_that_others_can_read_are_told_of(
        self, tmp_path: Path, mode: int, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "token"
        file.write_text("hunter2")
        file.chmod(mode)
        assert secret(None, str(file), "--preview-token") == "hunter2"
        said = capsys.readouterr().err
        assert f"{file} can be read by other users: chmod 600" in said
        assert "hunter2" not in said

    @pytest.mark.parametrize(
        "content", [b"", b"\n\n", b"hunter2\nhunter3\n", b"hunter2\xff", b"hunter2" * 5000]
    )
    def test_that_hold_something_else(self, tmp_path: Path, content: bytes) -> None:
        file = tmp_path / "camera.txt"
        file.write_bytes(content)
        with pytest.raises(MotionveilError, match=r"--source-file .*camera\.txt") as error:
            secret(None, str(file), "--source")
        assert "hunter" not in str(error.value)

    @pytest.mark.parametrize("file", ["-", "nonesuch", "."])
    def test_that_are_none(self, file: str) -> None:
        with pytest.raises(MotionveilError, match=f"^--source-file {file}"):
            secret(None, file, "--source")

    def test_stand_in_the_place_of_the_word(self) -> None:
        with pytest.raises(MotionveilError, match="one of the two") as error:
            secret("hunter2", "file", "--preview-token")
        assert "hunter2" not in str(error.value)


class TestMessages:
    @pytest.mark.parametrize(
        "words",
        [
            ["rtsp://me:hunter2@host/live", "a.mkv"],
            ["encode", "a", "b", "rtsp://me:hunter2@host/live"],
            ["encode", "a", "b", "host/user=me_password=hunter2"],
            ["encode", "rtsp://me:hunter2@host/live", "--out", "nowhere"],
            ["encode", "a.mp4", "rtsp://me:hunter2@host/live"],
            ["encode", "--encoder", "rtsp://me:hunter2@host/live", "a.mp4"],
            ["encode", "--encoder=rtsp://me:hunter2@host/live", "a.mp4"],
            ["encode", "me:hunter2@host"],
            ["encode", "test", "--preview-token", "hunter2", "--preview", "0.0.0.0:0"],
            ["encode", "test", "--preview-token=hunter2", "--preview", "0.0.0.0:0"],
            ["study", "serve", "nowhere", "--admin-token", "hunter2"],
            ["study", "serve", "nowhere", "--admin-token=hunter2"],
            ["study", "serve", "nowhere", "--admin-tokn", "hunter2"],
            ["encode", "test", "--preview-tokn", "hunter2"],
            ["encode", "test", "--preview-tokn=hunter2"],
            ["encode", "${SECRET}"],
            ["encode", "${SECRET}", "a.mkv"],
            ["encode", "${SECRET}", "--out", "nowhere"],
            ["encode", "camera:${SECRET}", "a.mkv"],
            ["events", "rtsp://me:hunter2@host/live", "a.raw"],
            ["faces", "rtsp://me:hunter2@host/live", "a.mkv", "--face-detector", "x.onnx"],
            ["check", "rtsp://me:hunter2@host/m.csv"],
        ],
        ids=" ".join,
    )
    def test_repeat_no_password(
        self,
        words: list[str],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("SECRET", "hunter2")
        with suppress(SystemExit):  # of wrong usage
            assert main(words) == 1
        said = capsys.readouterr()
        assert "error" in said.err
        assert "hunter" not in said.out + said.err

    def test_of_other_things_stay_as_they_are(self, tmp_path: Path) -> None:
        there = tmp_path / "me@home.mp4"
        there.touch()
        message = f"{there}: cut short; test:64x48@30, bdq:levels=31, keep"
        words = [str(there), "test:64x48@30", "bdq:levels=31", "--token-file", "keep"]
        message += "; ${TOKEN}: not set"
        words += ["--preview-token", "${TOKEN}"]
        assert without_secrets(message, words) == message


class TestEncode:
    def run(self, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "motionveil", "encode", *map(str, words)]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, **environment}
        )

    @pytest.mark.slow
    def test_a_camera_s_password_never_comes_out(self, camera: Camera, tmp_path: Path) -> None:
        camera.start("--password", "admin:hunt@r2")
        dest, file = tmp_path / "a.mkv", tmp_path / "camera.txt"
        file.write_text(camera.url.replace("//", "//admin:hunt%40r2@"))
        file.chmod(0o600)
        url = camera.url.replace("//", "//admin:${PASSWORD}@")
        for words in ([url, dest], ["--source-file", file, dest], [dest, "--source-file", file]):
            # As many as may wait, so that a busy machine drops none.
            limit = ["--native", "--frames", 2, "--codec", "h264"]
            done = self.run(*words, *limit, PASSWORD="hunt@r2")
            assert done.returncode == 0, done.stderr
            assert "2 frames in: 2 taken, 0 left out by rate, 0 dropped" in done.stdout
            assert "hunt" not in done.stdout + done.stderr
            assert count_frames(dest) == 2
            dest.unlink()

    def test_a_file_whose_name_looks_like_a_variable(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("NAME", "other")
        write_video(tmp_path / "${NAME}.mp4", moving_square(5))
        assert main(["encode", "${NAME}.mp4", "a.mkv"]) == 0
        write_video(tmp_path / "other.avi", moving_square(6))
        assert main(["encode", "${NAME}.avi"]) == 0
        assert count_frames(tmp_path / "other.veiled.mp4") == 3  # half the rate

    def test_needs_a_source(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit, match="2"):
            main(["encode"])
        assert "SOURCE (or --source-file)" in capsys.readouterr().err
