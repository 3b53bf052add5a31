from __future__ import annotations

import http.server
import re
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import islice
from pathlib import Path
from threading import Event, Timer
from typing import Any

import numpy as np
import pytest

from motionveil.errors import MotionveilError
from motionveil.video import Frame, live, open_source
from motionveil.video.live import Decode
from motionveil.video.timestamps import LiveClock
from programs import until
from rtsp_server import Camera
from streams import transport_stream
from videos import frame_numbers, moving_square, write_pictures, write_video

STEP = 3600  # of 1/90000 s: 25 frames per second


@pytest.fixture
def camera() -> Iterator[Camera]:
    camera = Camera()
    yield camera
    camera.kill()


def number(frame: Frame) -> int:
    return frame_numbers(frame.image[None])[0]


def numbers(frames: list[Frame]) -> list[int]:
    return [number(frame) for frame in frames]


def assert_steady(frames: list[Frame]) -> None:
    """Check the times of a connection: the stream's own, which its first frame comes without."""
    steps = np.diff([frame.pts for frame in frames])
    waited = (frames[1].arrived or 0) - (frames[0].arrived or 0)
    assert steps[0] == max(STEP, round(waited * 90000))
    assert set(steps[1:]) == {STEP}


@pytest.mark.slow
class TestRtsp:
    def test_frames_and_their_times(self, camera: Camera) -> None:
        camera.start()
        notices: list[str] = []
        source = open_source(camera.url, notice=notices.append)
        start = time.monotonic()
        frames = list(islice(source.frames(Event()), 45))
        assert numbers(frames) == [n % 20 for n in range(45)]
        assert frames[0].pts == 0
        assert_steady(frames)
        assert {frame.time_base for frame in frames} == {Fraction(1, 90000)}
        assert [frame.fresh for frame in frames] == [True, *[False] * 44]
        arrived = [frame.arrived or 0 for frame in frames]
        assert start < arrived[0]
        assert arrived == sorted(arrived)
        assert arrived[-1] - arrived[0] < 45 / 25 + 1.5
        assert source.live
        assert source.info is not None
        assert (source.info.width, source.info.height, source.info.rate) == (64, 48, 25)
        assert source.info.time_base == Fraction(1, 90000)
        assert notices == []

    def test_nothing_before_the_first_keyframe(self, camera: Camera) -> None:
        camera.start("--join", "5")
        frames = list(islice(open_source(camera.url).frames(Event()), 5))
        assert numbers(frames) == [10, 11, 12, 13, 14]
        assert frames[0].fresh

    def test_a_picture_left_out(self, camera: Camera) -> None:
        camera.start("--drop", "13")
        notices: list[str] = []
        frames = list(islice(open_source(camera.url, notice=notices.append).frames(Event()), 16))
        assert numbers(frames) == [*range(13), 0, 1, 2]
        assert [n for n, frame in enumerate(frames) if frame.fresh] == [0, 13]
        assert frames[13].pts - frames[12].pts == 8 * STEP
        assert len(notices) == 1
        assert "damaged or missing data" in notices[0]

    def test_a_clock_that_leaps(self, camera: Camera) -> None:
        camera.start("--jump", "3600")
        frames = list(islice(open_source(camera.url).frames(Event()), 30))
        assert numbers(frames) == [*range(20), *range(10)]
        assert [n for n, frame in enumerate(frames) if frame.fresh] == [0, 20]
        assert frames[-1].time < 5
        assert (np.diff([frame.pts for frame in frames]) > 0).all()

    def test_killed_and_restarted_in_another_size(self, camera: Camera) -> None:
        camera.start()
        notices: list[str] = []
        back = threading.Thread(target=camera.start, args=["--size", "96x72"])

        def notice(line: str) -> None:
            notices.append(line)
            if line.endswith("Connection refused; connecting again in 1 s"):
                back.start()

        source = open_source(camera.url, notice=notice)
        stream, frames = source.frames(Event()), []
        frames += islice(stream, 20)
        camera.kill()
        # What had arrived by then is still to come, maybe cut within a picture.
        for frame in stream:
            frames.append(frame)
            if frame.fresh:
                break
        frames += islice(stream, 20)
        back.join()
        again = max(n for n, frame in enumerate(frames) if frame.fresh)
        assert again >= 20
        assert [frame.fresh for frame in frames[1:again]] == [False] * (again - 1)
        assert numbers(frames[again:]) == [n % 20 for n in range(21)]
        assert {frame.image.shape for frame in frames} == {(48, 64, 3)}
        pts = [frame.pts for frame in frames]
        assert (np.diff(pts) > 0).all()
        gap = (pts[again] - pts[again - 1]) / 90000
        passed = (frames[again].arrived or 0) - (frames[again - 1].arrived or 0)
        assert gap == pytest.approx(passed, abs=1e-4)
        assert gap > 1
        assert_steady(frames[again:])
        lost = [notice for notice in notices if "connection lost" in notice]
        assert lost[0].startswith(f"{camera.url}: connection lost: ")
        assert lost[0].endswith("connecting again in 0.5 s")
        assert lost[1].endswith("connection lost: Connection refused; connecting again in 1 s")
        assert notices[-1].startswith(f"{camera.url}: connected again after ")

    def test_a_camera_that_falls_silent(self, camera: Camera) -> None:
        camera.start("--frames", "12")
        notices: list[str] = []
        source = open_source(camera.url, give_up=1.5, notice=notices.append)
        stream = source.frames(Event())
        frames = list(islice(stream, 11))  # the decoder has the last one's end only with the next
        assert numbers(frames) == list(range(11))
        start = time.monotonic()
        with pytest.raises(MotionveilError, match=r"no frame for 1\.5 s: (nothing came|no answer)"):
            list(stream)
        assert time.monotonic() - start < 6

    def test_sends_nothing(self, camera: Camera) -> None:
        camera.start("--frames", "0")
        start = time.monotonic()
        with pytest.raises(MotionveilError, match=f"^{camera.url}: no frame for 1 s: "):
            next(open_source(camera.url, give_up=1).frames(Event()))
        assert time.monotonic() - start < 5, "without a limit, silence is borne for so long"

    def test_never_answers(self, camera: Camera) -> None:
        camera.start("--mute")
        start = time.monotonic()
        with pytest.raises(MotionveilError, match="no frame for 1 s: no answer in time"):
            next(open_source(camera.url, give_up=1).frames(Event()))
        assert time.monotonic() - start < 10, "without a limit, an answer is awaited for so long"

    def test_nobody_there(self, camera: Camera) -> None:
        notices: list[str] = []
        source = open_source(camera.url, give_up=1, notice=notices.append)
        start = time.monotonic()
        with pytest.raises(MotionveilError, match="no frame for 1 s: Connection refused"):
            next(source.frames(Event()))
        assert 0.9 < time.monotonic() - start < 10
        said = re.compile(rf"{camera.url}: cannot connect: Connection refused; (.*) in ([\d.]+) s")
        waits = []
        for notice in notices:
            found = said.fullmatch(notice)
            assert found is not None
            assert found[1] == "connecting again"
            waits.append(float(found[2]))
        assert waits[0] == 0.5
        assert len(waits) > 1
        assert sum(waits) <= 1.1, "rounded; the last is what is left"


class TestPasswords:
    def test_is_used(self, camera: Camera) -> None:
        camera.start("--password", "admin:hunter2")
        source = open_source(camera.url.replace("//", "//admin:hunter2@"))
        assert number(next(source.frames(Event()))) == 0
        assert source.name == camera.url

    def test_a_wrong_one_is_tried_once(self, camera: Camera) -> None:
        camera.start("--password", "admin:hunter2")
        source = open_source(camera.url.replace("//", "//admin:hunter3@"))
        with pytest.raises(MotionveilError, match=f"^{camera.url}: .*401") as error:
            next(source.frames(Event()))
        assert "hunter" not in "".join(traceback.format_exception(error.value))

    def test_is_never_shown(self, camera: Camera) -> None:
        # Not even by the library, which has its own way to the terminal.
        code = (
            "import sys; from threading import Event; from motionveil.video import open_source\n"
            "next(open_source(sys.argv[1], give_up=0.7, notice=print).frames(Event()))"
        )
        url = camera.url.replace("//", "//admin:hunter2@") + "?token=hunter2"
        done = subprocess.run(
            [sys.executable, "-c", code, url], capture_output=True, text=True, check=False
        )
        assert "Connection refused" in done.stdout
        assert "MotionveilError: rtsp://127.0.0.1" in done.stderr
        assert "hunter" not in done.stdout + done.stderr


class TestStop:
    def test_between_frames(self, camera: Camera) -> None:
        camera.start()
        stop = Event()
        frames = open_source(camera.url).frames(stop)
        next(frames)
        Timer(0.3, stop.set).start()
        list(frames)  # of a camera that goes on for ever

    def test_while_waiting_to_connect_again(self, camera: Camera) -> None:
        stop, starts = Event(), []

        def notice(line: str) -> None:
            if line.endswith("connecting again in 2 s"):
                starts.append(time.monotonic())
                Timer(0.1, stop.set).start()

        assert list(open_source(camera.url, notice=notice).frames(stop)) == []
        assert time.monotonic() - starts[0] < 2


class Pages(http.server.BaseHTTPRequestHandler):
    """A film of known length, the same broken off, and a camera's endless JPEGs."""

    film: bytes
    stream: bytes
    pictures: list[bytes]

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        if self.path == "/live.mjpg":
            self._jpegs()
        elif self.path in ("/unknown.ts", "/stalls.ts"):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.stream)
            if self.path == "/stalls.ts":
                time.sleep(2)
        elif self.path == "/page":
            self._send("text/html", b"<html>Please log in</html>" * 50)
        else:
            whole = self.film
            self._send("video/mp4", whole[: len(whole) // 2] if "half" in self.path else whole)

    def _send(self, kind: str, data: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header(
            "Content-Length", str(len(self.film) if kind == "video/mp4" else len(data))
        )
        self.end_headers()
        self.wfile.write(data)

    def _jpegs(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for picture in self.pictures:
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
            self.wfile.write(head.encode() + picture + b"\r\n")
            time.sleep(0.04)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("site")
    noise = np.random.default_rng(0).integers(0, 20, (20, 96, 128, 3), dtype=np.uint8)
    noise[:, -24:, -24:] = 0
    film = write_video(
        folder / "a.mp4",
        np.minimum(moving_square(20, 96, 128), 238) + noise,
        rate=1,
        options={"movflags": "faststart"},
        codec_options={"g": "5"},
    )
    write_pictures(folder / "frames", moving_square(15), "{}.jpg")
    Pages.film = film.read_bytes()
    Pages.stream = transport_stream(moving_square(10))
    Pages.pictures = [(folder / "frames" / f"{n}.jpg").read_bytes() for n in range(15)]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class TestHttp:
    def test_a_film_ends(self, site: str) -> None:
        notices: list[str] = []
        source = open_source(f"{site}/a.mp4?key=secret", notice=notices.append)
        start = time.monotonic()
        frames = list(source.frames(Event()))
        assert numbers(frames) == list(range(20))
        assert [frame.time for frame in frames] == list(range(20))
        assert time.monotonic() - start < 15, "a film of twenty seconds is not waited for"
        assert not source.live
        assert source.info is not None
        assert (source.info.rate, source.info.frames) == (1, 20)
        assert source.name == f"{site}/a.mp4?..."
        assert notices == []

    def test_a_film_of_unknown_length_is_read_once(self, site: str) -> None:
        source = open_source(f"{site}/unknown.ts")
        frames = list(islice(source.frames(Event()), 25))
        assert 8 <= len(frames) <= 10, "the last ones wait in the decoder when the end looks cut"

    def test_a_camera_that_stalls_and_repeats_its_last_pictures_is_no_film(
        self, site: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(live, "_SILENCE", 0.3)
        source = open_source(f"{site}/stalls.ts")
        assert len(list(islice(source.frames(Event()), 25))) == 25
        assert source.live

    @pytest.mark.parametrize("decode", ["auto", "cuda", "vaapi"])
    def test_hardware_that_is_not_there_is_replaced(self, site: str, decode: Decode) -> None:
        told: list[str] = []
        source = open_source(f"{site}/a.mp4", decode=decode, notice=told.append)
        frames = list(source.frames(Event()))
        if "decoded by the processor" not in told[0]:
            pytest.skip(told[0])
        (line,) = told
        kinds = ["vaapi", "cuda"] if decode == "auto" else [decode]
        reasons = [f"(this FFmpeg has no {kind}|no {kind} device can be [^;]+)" for kind in kinds]
        assert re.fullmatch(f"{site}/a.mp4: decoded by the processor: {'; '.join(reasons)}", line)
        plain = list(open_source(f"{site}/a.mp4").frames(Event()))
        np.testing.assert_array_equal([f.image for f in frames], [f.image for f in plain])

    def test_a_film_broken_off_is_an_error(self, site: str) -> None:
        source = open_source(f"{site}/half.mp4", give_up=1)
        frames = []
        with pytest.raises(MotionveilError, match=r"/\.\.\.: (cannot be read|cut short)"):
            frames.extend(source.frames(Event()))
        assert source.info is not None

    def test_a_camera_that_sends_jpegs(self, site: str) -> None:
        notices: list[str] = []
        source = open_source(f"{site}/live.mjpg", notice=notices.append)
        stream = source.frames(Event())
        frames = list(islice(stream, 25))
        assert source.live
        again = next(n for n, frame in enumerate(frames) if n and frame.fresh)
        assert again in (14, 15)  # a JPEG is known to have ended when the next begins
        assert numbers(frames) == [*range(again), *range(25 - again)]
        assert [n for n, frame in enumerate(frames) if frame.fresh] == [0, again]
        times = [frame.time for frame in frames]
        assert times == sorted(set(times))
        assert times[again] - times[again - 1] >= 0.5
        assert any(
            re.search(r"connection lost: .*; connecting again in 0\.5 s$", n) for n in notices
        )

    def test_a_page(self, site: str) -> None:
        with pytest.raises(MotionveilError, match=r"/\.\.\.: no frame for 1 s: "):
            next(open_source(f"{site}/page", give_up=1).frames(Event()))

    def test_a_page_that_is_not_there(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as mute:
            url = f"http://127.0.0.1:{mute.getsockname()[1]}/a.mp4"
            with pytest.raises(MotionveilError, match="no frame for 1 s: no answer in time"):
                next(open_source(url, give_up=1).frames(Event()))


@pytest.mark.skipif(not Path("/proc/net/udp").exists(), reason="needs /proc: who listens")
def test_lost_datagrams() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("127.0.0.1", 0))
        port = sender.getsockname()[1]
    data = transport_stream(np.concatenate([moving_square(20, 96, 128)] * 3))
    datagrams = [data[at : at + 1316] for at in range(0, len(data), 1316)]

    def send() -> None:
        until(lambda: f":{port:04X} " in Path("/proc/net/udp").read_text())  # somebody listens
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number, datagram in enumerate(datagrams):
                if number != len(datagrams) // 2:
                    sender.sendto(datagram, ("127.0.0.1", port))
                time.sleep(1 / len(datagrams))

    notices: list[str] = []
    threading.Thread(target=send, daemon=True).start()
    source = open_source(f"udp://127.0.0.1:{port}", notice=notices.append)
    frames: list[Frame] = []
    for frame in source.frames(Event()):
        frames.append(frame)
        fresh = [n for n, frame in enumerate(frames) if frame.fresh]
        if len(fresh) == 2:
            break
    assert numbers(frames[: fresh[1]]) == [n % 20 for n in range(fresh[1])]
    assert number(frames[fresh[1]]) in (0, 10), "a keyframe"
    assert "damaged or missing data" in notices[0]


@contextmanager
def stamps(clock: LiveClock) -> Iterator[Any]:
    clock.connect(None)
    yield lambda pts, arrived: clock.stamp(
        None if pts is None else Fraction(pts), arrived, paced=True
    )


class TestClock:
    def test_jitter_of_the_network_does_not_matter(self) -> None:
        with stamps(LiveClock()) as stamp:
            assert [stamp(n + 7, 100 + n + n % 3) for n in range(5)] == [
                (90000 * n, False) for n in range(5)
            ]

    def test_back_and_ahead(self) -> None:
        with stamps(LiveClock()) as stamp:
            assert stamp(50, 0.0) == (0, False)
            assert stamp(51, 1.0) == (90000, False)
            assert stamp(Fraction("50.9"), 2.0) == (90001, False)  # a little back: moved on
            assert stamp(53, 3.0) == (270000, False)
            assert stamp(2, 4.0) == (360000, True)
            assert stamp(3, 5.0) == (450000, False)
            assert stamp(500, 6.0) == (540000, True)
            assert stamp(509, 7.0) == (540000 + 9 * 90000, False)

    def test_without_timestamps_and_after_a_gap(self) -> None:
        clock = LiveClock()
        with stamps(clock) as stamp:
            assert [stamp(None, t)[0] for t in (5.0, 5.5, 5.5, 6.0)] == [0, 45000, 45001, 90001]
        with stamps(clock) as stamp:
            assert stamp(1000, 16.0) == (990001, False)
            assert stamp(1001, 16.1) == (1080001, False)
