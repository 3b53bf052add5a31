"""The whole program, interrupted and cut off from its source or its reader, for real."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from motionveil.video import SyntheticSource, count_frames
from motionveil.video.sinks.image_folder import ABOUT, TIMES
from programs import PATIENCE, Program, Programs, as_filmed, kept, play, size_of_part, until
from rtsp_server import RATE, Camera
from streams import encoded, transport_stream

pytestmark = pytest.mark.slow  # programs in real time

LIVE = "test:320x240@30"


def scene(frames: int) -> NDArray[np.uint8]:
    camera = SyntheticSource(64, 48, paced=False)
    return np.stack([camera.picture(number) for number in range(frames)])


def one_line(program: Program) -> str:
    """Return what a program that failed complained about: one line, and no traceback."""
    lines = program.complaint.splitlines()
    assert len(lines) == 1, program.complaint
    assert lines[0].startswith("motionveil: error: ")
    return lines[0].removeprefix("motionveil: error: ")


class TestStop:
    """Ctrl-C, SIGTERM, which is how a system stops its services, and SIGHUP, a closed terminal."""

    @pytest.mark.parametrize(
        "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
    )
    def test_of_a_file_leaves_nothing(
        self, tmp_path: Path, film: Path, programs: Programs, number: signal.Signals
    ) -> None:
        for name in ("veiled.mp4", "veiled/"):
            dest = tmp_path / name
            program = programs("encode", film, f"{tmp_path}/{name}", "--enlarge", 6)
            until(lambda dest=dest: size_of_part(dest), program)
            program.signal(number)
            assert program.ends() == 130
            assert program.complaint == "motionveil: stopped\n"
            assert kept(tmp_path) == []

    @pytest.mark.parametrize(
        "number",
        [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM, signal.SIGHUP],
    )
    def test_of_a_recording_finishes_it(
        self, tmp_path: Path, programs: Programs, number: signal.Signals
    ) -> None:
        running = {}
        for name in ("live.mp4", "live.webm", "live/"):
            running[name] = programs("encode", LIVE, f"{tmp_path}/{name}")
        for name, program in running.items():
            until(lambda name=name: size_of_part(tmp_path / name), program)
        for program in running.values():
            program.signal(number)
        for name, program in running.items():
            assert program.ends() == 0, program.complaint
            assert program.complaint == ""
            assert f"wrote {tmp_path / name}" in program.said
            assert f"; {count_frames(pictures(tmp_path / name))} written" in program.said
        assert kept(tmp_path) == ["live", "live.mp4", "live.webm"]

    @pytest.mark.parametrize("format_name", ["mpegts", "yuv4mpegpipe"])
    def test_of_a_pipe_finishes_the_recording(
        self, tmp_path: Path, programs: Programs, format_name: str
    ) -> None:
        clip = scene(60)
        data = transport_stream(clip) if format_name == "mpegts" else encoded(clip, format_name)
        dest = tmp_path / "live.mkv"
        program = programs("encode", "-", dest, stdin=subprocess.PIPE)
        assert program.process.stdin is not None
        program.process.stdin.write(data)
        program.process.stdin.flush()
        until(lambda: size_of_part(dest), program)
        program.signal(signal.SIGINT)
        assert program.ends() == 0, program.complaint
        assert f"wrote {dest}" in program.said
        assert count_frames(dest) > 0
        assert kept(tmp_path) == ["live.mkv"]

    @pytest.mark.skipif(not Path("/proc/self/wchan").exists(), reason="needs /proc: who waits")
    def test_twice_ends_at_once(self, programs: Programs) -> None:
        """Once, it finishes what it writes; here nobody reads that, so it never could."""
        program = programs("encode", "test:640x480@30", "-", stdout=subprocess.PIPE)
        assert program.process.stdout is not None
        assert program.process.stdout.read(10) == b"YUV4MPEG2 "
        until(lambda: is_held_up(program), program)
        program.signal(signal.SIGINT)
        time.sleep(1)
        assert program.running, "it waits for the reader"
        program.signal(signal.SIGINT)
        assert program.ends(within=20) == 130
        assert program.complaint.splitlines()[-1] == "motionveil: stopped"

    def test_twice_does_not_lose_the_recording(self, tmp_path: Path, programs: Programs) -> None:
        """Whatever the second finds it at: writing, finishing, or saying what it did."""
        for number in range(12):
            dest = tmp_path / str(number) / "live.mp4"
            program = programs("encode", LIVE, dest)
            until(lambda dest=dest: size_of_part(dest), program)
            program.signal(signal.SIGINT)
            time.sleep(0.004 * number)
            program.signal(signal.SIGINT)
            assert program.ends() in (0, 130, -signal.SIGINT)
            assert kept(dest.parent) == ["live.mp4"]
            assert len(play(dest)[0]) > 0


def is_held_up(program: Program) -> bool:
    """Return whether a program waits for room in a pipe, and not for a moment only."""
    for pause in (1, 0):
        tasks = Path(f"/proc/{program.process.pid}/task").glob("*/wchan")
        if not any("pipe_w" in task.read_text() for task in tasks):
            return False
        time.sleep(pause)
    return True


def pictures(path: Path) -> Path:
    """Return what holds a destination's frames for reading: of a folder, without the times."""
    if path.is_dir():
        for name in (TIMES, ABOUT):
            (path / name).unlink()
    return path


class TestPipes:
    def test_a_closed_one_is_one_line(self, film: Path, programs: Programs) -> None:
        program = programs("encode", film, "-", stdout=subprocess.PIPE)
        assert program.process.stdout is not None
        assert program.process.stdout.read(1000).startswith(b"YUV4MPEG2 W86 H64 F15:1")
        program.process.stdout.close()
        assert program.ends() == 1
        assert last_line_only(program).startswith("standard output: whoever read it has gone")

    def test_a_closed_one_with_frames_smaller_than_its_buffer(self, programs: Programs) -> None:
        program = programs("encode", "test:16x16@500", "-", stdout=subprocess.PIPE)
        assert program.process.stdout is not None
        assert program.process.stdout.read(100).startswith(b"YUV4MPEG2 W64 H64 ")
        program.process.stdout.close()
        assert program.ends() == 1
        assert last_line_only(program).startswith("standard output: whoever read it has gone")

    @pytest.mark.parametrize("share", [0.4, pytest.param(0.8, marks=pytest.mark.slow)])
    def test_one_that_ends_in_the_middle(
        self, tmp_path: Path, programs: Programs, share: float
    ) -> None:
        data = encoded(scene(40), "yuv4mpegpipe")
        dest = tmp_path / "live.mkv"
        program = programs("encode", "-", dest, stdin=subprocess.PIPE)
        program.process.communicate(data[: int(len(data) * share)], PATIENCE)
        assert program.process.returncode == 1
        frames = int(40 * share) - (share * 40 == int(share * 40))
        assert "standard input: " in one_line(program)
        assert f"{frames} frames could be read" in one_line(program)
        taken = -(-frames // 2)  # 15 of 30 per second
        assert count_frames(dest) == taken, "what came is kept: it does not come again"
        assert kept(tmp_path) == ["live.mkv"]

    @pytest.mark.parametrize(
        "data", [b"no video", pytest.param(b"", marks=pytest.mark.slow)], ids=["text", "empty"]
    )
    def test_one_without_video_leaves_nothing(
        self, tmp_path: Path, programs: Programs, data: bytes
    ) -> None:
        program = programs("encode", "-", tmp_path / "live.mp4", stdin=subprocess.PIPE)
        program.process.communicate(data, PATIENCE)
        assert program.process.returncode == 1
        assert one_line(program).startswith("standard input: ")
        assert kept(tmp_path) == []


def last_line_only(program: Program) -> str:
    """Return the complaint of a program that says with what it works on standard error too."""
    lines = program.complaint.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == ["encoder", "ready"], program.complaint
    return lines[-1].removeprefix("motionveil: error: ")


class TestSilence:
    def test_of_a_network_source(self, tmp_path: Path, programs: Programs) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            threading.Thread(target=hold_all, args=[server], daemon=True).start()
            place = f"127.0.0.1:{server.getsockname()[1]}/live"
            running = {}
            for scheme in ("rtsp", "http"):
                source = f"{scheme}://anna:geheim@{place}"
                dest = tmp_path / f"{scheme}.mp4"
                running[scheme] = programs("encode", source, dest, "--give-up", 2)
            for scheme, program in running.items():
                assert program.ends(within=30) == 1
                last = program.complaint.splitlines()[-1]
                assert last.startswith(f"motionveil: error: {scheme}://{place}: no frame for 2 s")
                assert "geheim" not in program.complaint + program.said
                assert "anna" not in program.complaint + program.said
        assert kept(tmp_path) == []

    def test_of_a_camera_that_sent_frames_before(self, tmp_path: Path, programs: Programs) -> None:
        camera, dest = Camera(), tmp_path / "live.mkv"
        camera.start("--frames", "15")
        try:
            program = programs("encode", camera.url, dest, "--give-up", 1)
            assert program.ends(within=60) == 1
        finally:
            camera.kill()
        last = program.complaint.splitlines()[-1]
        assert last.startswith(f"motionveil: error: {camera.url}: no frame for 1 s")
        # On a busy machine few: of frames that come while others wait, the newest are taken.
        assert 1 <= count_frames(dest) <= 15, "what came before is kept"
        assert kept(tmp_path) == ["live.mkv"]


def hold_all(server: socket.socket) -> None:
    """Accept every connection, and say nothing."""
    held = []
    while True:
        try:
            held.append(server.accept())
        except OSError:
            return


def test_a_camera_that_dies_and_comes_back(tmp_path: Path, programs: Programs) -> None:
    camera, dest, away = Camera(), tmp_path / "live.mkv", 0.6
    camera.start()
    try:
        program = programs("encode", camera.url, dest, "--encoder", as_filmed(tmp_path, 48))
        until(lambda: size_of_part(dest) > 3_000, program)
        camera.kill()
        until(lambda: "connection lost" in program.complaint, program)
        time.sleep(away)
        before = size_of_part(dest)
        camera.start("--join", "3")
        until(lambda: "connected again" in program.complaint, program)
        until(lambda: size_of_part(dest) > before + 3_000, program)
        program.signal(signal.SIGINT)
        assert program.ends() == 0, program.complaint
    finally:
        camera.kill()
    notices = program.complaint.splitlines()
    assert all(line.startswith(f"motionveil: {camera.url}: ") for line in notices), notices
    assert "guarded (first 1, " in program.said
    assert "fresh 1" in program.said

    times, images = play(dest)
    steps = np.diff(times)
    assert steps.min() > 0
    assert np.median(steps) == pytest.approx(1 / RATE, abs=0.002)
    back = int(steps.argmax()) + 1
    assert steps[back - 1] >= away, "the clock goes on while the camera is away"
    assert np.ptp(images[back]) == 0, "neutral: not the difference to the frame before the gap"
    assert np.ptp(images[back + 1 : back + 10]) > 0, "and then it shows motion again"
