"""Several destinations of one video: what each gets, and that none holds up the others."""

from __future__ import annotations

import io
import os
import socket
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import Any

import av
import numpy as np
import pytest

from motionveil.errors import MotionveilError
from motionveil.video import (
    Destination,
    Segments,
    check_dest,
    destinations,
    open_sink,
    probe,
    read_clip,
)
from motionveil.video.codecs import LIVE_H264, Muxing
from motionveil.video.destinations import Destinations
from motionveil.video.packets import Packet, PacketSink
from motionveil.video.sinks.standard_output import PipeFile
from rtsp_recorder import recorder
from videos import frame_numbers, moving_square

CLIP = moving_square(20)
RATE = 10
SAID = "motionveil 1: bdq 0123456789ab, soft"
PATIENCE = 120  # seconds, for a machine that does much else


def frames(count: int = 10**9) -> Iterator[tuple[np.ndarray, int]]:
    """Yield the clip again and again, with milliseconds."""
    for number in range(count):
        yield CLIP[number % len(CLIP)], number * 1000 // RATE


def opened(*dests: str | Destination, **options: Any) -> Destinations:
    usual = {"rate": Fraction(RATE), "time_base": Fraction(1, 1000), "live": True, "comment": SAID}
    return open_sink(*dests, **{**usual, **options})


def write_until(sink: Destinations, done: Callable[[], bool], source: Iterator[Any]) -> None:
    """Write frames faster than a camera would, until something has happened."""
    limit = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < limit, sink.states()
        sink.write(*next(source))
        time.sleep(0.02)


class Reader(Thread):
    """FFmpeg, which listens at an address and decodes what comes."""

    def __init__(self, url: str, **options: str) -> None:
        super().__init__(daemon=True)
        self.url, self.options = url, options
        self.images: list[np.ndarray] = []
        self.aspect: Fraction | None = None
        self.start()

    def run(self) -> None:
        try:
            with av.open(self.url, options=self.options, timeout=PATIENCE) as container:
                for frame in container.decode(video=0):
                    self.images.append(frame.to_ndarray(format="rgb24"))
                    self.aspect = container.streams.video[0].sample_aspect_ratio
        except av.FFmpegError:
            pass  # the sender has gone


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(type=kind) as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def command_lines_of_children() -> str:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == os.getpid():
                found.append((process / "cmdline").read_text())
        except OSError:
            continue
    return "\n".join(found)


class TestOneEncode:
    def test_serves_all_that_are_encoded_alike(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        encoded = []

        class Counted(destinations.FrameEncoder):
            def encode(self, image: np.ndarray, pts: int) -> list[Any]:
                encoded.append(self.encoding)
                return super().encode(image, pts)

        monkeypatch.setattr(destinations, "FrameEncoder", Counted)
        names = ["a.mp4", "b.mkv", "c.m3u8", "d-%S.mkv"]
        dests = [Destination(f"{tmp_path}/{n}", "h264" if "mkv" in n else None) for n in names]
        with opened(*dests, f"{tmp_path}/e.mkv", f"{tmp_path}/f/") as sink:
            for image, pts in frames(20):
                sink.write(image, pts)
        assert len(encoded) == 40, "H.264 once, FFV1 once"
        first, *others = (read_clip(path) for path in sorted(tmp_path.glob("[a-d]*.m*")))
        assert frame_numbers(first) == list(range(20))
        assert len(others) == 3
        for other in others:
            np.testing.assert_array_equal(first, other)
        np.testing.assert_array_equal(read_clip(tmp_path / "e.mkv"), CLIP)
        np.testing.assert_array_equal(read_clip(tmp_path / "f"), CLIP)
        assert [(state.frames, state.dropped) for state in sink.states()] == [(20, 0)] * 6


class TestBroadcast:
    @pytest.mark.slow
    def test_comes_back_to_an_rtsp_server(self, tmp_path: Path) -> None:
        told: list[str] = []
        file, source = tmp_path / "a.mkv", frames()
        with recorder(password="eve:hunter2") as server:
            url = f"rtsp://eve:hunter2@127.0.0.1:{server.port}/live"
            with opened(url, str(file), notice=told.append) as sink:
                write_until(sink, lambda: len(server.pictures) >= 25, source)
                assert "hunter2" not in command_lines_of_children()
                server.hang_up()
                write_until(sink, lambda: sink.states()[0].trouble is not None, source)
                with recorder(server.port, "eve:hunter2") as again:
                    write_until(sink, lambda: len(again.pictures) >= 15, source)
                live, recording = sink.states()
                with recorder(server.port, "eve:other"):
                    write_until(sink, lambda: "401" in str(sink.states()[0].trouble), source)
                    write_until(sink, lambda: "no more frames" in told[-1], source)
        assert f"s={SAID}" in server.sdp
        numbers = frame_numbers(np.stack(server.decoded()))
        assert numbers[:25] == [number % 20 for number in range(25)]
        later = frame_numbers(np.stack(again.decoded()))
        assert {(b - a) % 20 for a, b in pairwise(later)} == {1}
        assert live.dropped > 0
        assert live.frames >= 40
        assert recording.dropped == 0
        assert len(read_clip(file)) == sink.frames
        live, recording = sink.states()
        assert (recording.frames, recording.trouble) == (sink.frames, None)
        assert live.frames + live.dropped == sink.frames
        assert "takes frames again" in "".join(told)
        assert "hunter2" not in "".join(told) + str(sink.states())

    @pytest.mark.parametrize("scheme", ["udp", "rtmp"])
    def test_is_read_by_ffmpeg(self, scheme: str) -> None:
        if scheme == "udp":
            url = f"udp://127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
            reader = Reader(url, analyzeduration="1000000")
        else:
            url = f"rtmp://127.0.0.1:{free_port()}/live/veiled"
            reader = Reader(url, listen="1")
        with opened(url, aspect=Fraction(12, 11)) as sink:
            write_until(sink, lambda: len(reader.images) >= 20, frames())
        assert reader.aspect == Fraction(12, 11)
        numbers = frame_numbers(np.stack(reader.images[:20]))
        assert {(b - a) % 20 for a, b in pairwise(numbers)} == {1}

    @pytest.mark.slow
    def test_to_one_that_never_answers_waits_for_nobody(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"rtmp://127.0.0.1:{silent.getsockname()[1]}/live/key"
            with opened(url, f"{tmp_path}/a.mkv") as sink:
                for image, pts in frames(200):
                    sink.write(image, pts)
                end = time.monotonic()
            assert time.monotonic() - end < 20, "2 s, on an idle machine"
        live, recording = sink.states()
        assert (live.frames, live.dropped) == (0, 200)
        assert (recording.frames, recording.dropped) == (200, 0)

    def test_ends_if_no_destination_is_left(self) -> None:
        with recorder(password="eve:right") as server:
            url = f"rtsp://eve:wrong@127.0.0.1:{server.port}/live"
            with (
                pytest.raises(MotionveilError, match=r"rtsp://127.0.0.1:\d+/live: .*401") as error,
                opened(url) as sink,
            ):
                write_until(sink, lambda: False, frames())
        assert "wrong" not in str(error.value)

    def test_needs_an_ffmpeg_with_srt(self) -> None:
        try:
            av.open("srt://", "w", format="mpegts").start_encoding()
        except av.error.ProtocolNotFoundError:
            pass
        except (av.FFmpegError, OSError):
            pytest.skip("this PyAV has SRT")
        with (
            pytest.raises(MotionveilError, match=r"srt://127.0.0.1:9\?\.\.\.: Protocol not found"),
            opened("srt://127.0.0.1:9?passphrase=secret") as sink,
        ):
            write_until(sink, lambda: False, frames())

    @pytest.mark.parametrize(
        ("dest", "codec", "message"),
        [
            ("rtsp://eve:pw@host/live", "ffv1", r"rtsp://host/live: is sent H.264, not"),
            ("rtsp://", None, "no address"),
            ("ftp://eve:pw@host/live", None, r"ftp://host/live: veiled video goes to no such"),
            ("a.m3u8", "vp9", "holds H.264"),
            ("a-%H-%x.mkv", None, "and no other"),
        ],
    )
    def test_of_what_is_none(self, dest: str, codec: str | None, message: str) -> None:
        with pytest.raises(MotionveilError, match=message) as error:
            check_dest(dest, codec=codec)
        assert "pw" not in str(error.value)


class TestHls:
    def test_rotates_and_is_played_from_a_web_server(self, tmp_path: Path) -> None:
        old = tmp_path / "hls" / "live-17.ts"
        old.parent.mkdir()
        old.touch()
        with opened(f"{tmp_path}/hls/live.m3u8") as sink:
            for image, pts in frames(400):  # 40 s, in 20 segments
                sink.write(image, pts)
                assert len(os.listdir(old.parent)) <= 10
        assert not old.exists()
        assert SAID.encode() in next(old.parent.glob("*.ts")).read_bytes()
        handler = partial(SimpleHTTPRequestHandler, directory=old.parent)
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            Thread(target=server.serve_forever, daemon=True).start()
            with av.open(f"http://127.0.0.1:{server.server_port}/live.m3u8", timeout=60) as read:
                images = [frame.to_ndarray(format="rgb24") for frame in read.decode(video=0)]
            server.shutdown()
        assert frame_numbers(np.stack(images)) == [n % 20 for n in range(280, 400)], "6 of 2 s"


class TestSegments:
    def test_are_whole_files_of_one_length(self, tmp_path: Path) -> None:
        dest = Destination(f"{tmp_path}/%Y%m%d-%H%M%S.mkv", "h264", segments=Segments(length=3))
        with opened(dest) as sink:
            for image, pts in frames(115):
                sink.write(image, pts)
            # As they would lie there after `kill -9`:
            *whole, part = [read_clip(path) for path in by_age(tmp_path)]
            assert [len(clip) for clip in whole] == [30, 30, 30]
            assert len(part) >= 14, "all but the last second"
        assert sink.states()[0].frames == 115
        clips = [read_clip(path) for path in by_age(tmp_path)]
        assert [len(clip) for clip in clips] == [30, 30, 30, 25]
        assert frame_numbers(np.concatenate(clips)) == [number % 20 for number in range(115)]
        assert [probe(path).rate for path in tmp_path.glob("[0-9]*.mkv")] == [RATE] * 4

    def test_are_kept_by_age_and_size(self, tmp_path: Path) -> None:
        names = ["a-01.mkv", "a-02.mkv", ".a-02-2.0f0f0f0f.part.mkv", "a-03.mkv", "b-01.mkv"]
        for age, name in enumerate(reversed(names)):
            (tmp_path / name).write_bytes(bytes(1000))
            os.utime(tmp_path / name, times=(time.time() - 1000 * age,) * 2)
        for segments, kept in (
            (Segments(keep=3500), names[1:]),
            (Segments(most=2000), names[2:]),
            (Segments(keep=1500, most=10**6), names[3:]),
        ):
            with (
                pytest.raises(InterruptedError),
                opened(Destination(f"{tmp_path}/a-%M.mkv", segments=segments)),
            ):
                raise InterruptedError
            assert sorted(os.listdir(tmp_path)) == sorted(kept)


def by_age(folder: Path) -> list[Path]:
    return sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)


class TestPipe:
    @pytest.mark.parametrize("container", ["mpegts", "matroska"])
    def test_is_read_back(self, container: str) -> None:
        stream = io.BytesIO()
        pipe = PipeFile(stream, Muxing(container), comment=SAID)
        with Destinations([pipe], rate=Fraction(RATE), time_base=Fraction(1, 1000)) as sink:
            for image, pts in frames(20):
                sink.write(image, pts)
                assert stream.tell() > 0 or pts == 0
        assert SAID.encode() in stream.getvalue()
        stream.seek(0)
        with av.open(stream) as read:
            images = [frame.to_ndarray(format="rgb24") for frame in read.decode(video=0)]
        assert frame_numbers(np.stack(images)) == list(range(20))

    def test_whose_reader_has_gone(self) -> None:
        class Gone(io.BytesIO):
            def write(self, data: object) -> int:
                raise BrokenPipeError

        pipe = PipeFile(Gone(), Muxing("mpegts"))
        with (
            pytest.raises(MotionveilError, match="whoever read it has gone"),
            Destinations([pipe], rate=Fraction(RATE), time_base=Fraction(1, 1000)) as sink,
        ):
            sink.write(*next(frames()))


class TestPace:
    def test_is_that_of_the_video_where_somebody_watches(self) -> None:
        class Live(PacketSink):
            realtime = True

            def write(self, packet: Packet) -> None:
                self.frames += 1

            def __exit__(self, *error: object) -> None:
                pass

        began, sink = time.monotonic(), Live("live", LIVE_H264)
        with Destinations(
            [sink], rate=Fraction(RATE), time_base=Fraction(1, 1000), pace=True
        ) as paced:
            for image, pts in frames(12):
                paced.write(image, pts)
            assert time.monotonic() - began > 1.09, "11 intervals of 0.1 s"
            paced.write(CLIP[0], 10**7)  # three hours later
        assert time.monotonic() - began < PATIENCE
        assert sink.frames == 13


class TestFailure:
    def test_of_one_leaves_the_others(self, tmp_path: Path) -> None:
        class Full:
            name, frames = "full", 0
            left_with: BaseException | None = None

            def __enter__(self) -> Full:
                return self

            def write(self, image: np.ndarray, pts: int | None = None) -> None:
                if self.frames == 3:
                    raise MotionveilError("full: cannot write: no space")
                self.frames += 1

            def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
                self.left_with = error

        told: list[str] = []
        full, file = Full(), opened(f"{tmp_path}/a.mkv")
        both = Destinations(
            [full, file],
            rate=Fraction(RATE),
            time_base=Fraction(1, 1000),
            notice=told.append,
        )
        with both:
            for image, pts in frames(20):
                both.write(image, pts)
        assert told == ["full: cannot write: no space; it gets no more frames"]
        assert isinstance(full.left_with, MotionveilError)
        broken, whole = both.states()
        assert (broken.frames, broken.dropped) == (3, 17)
        assert broken.trouble == "cannot write: no space"
        assert (whole.frames, whole.dropped, whole.trouble) == (20, 0, None)
        assert len(read_clip(tmp_path / "a.mkv")) == 20

    def test_to_open_one_opens_none(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with (
            pytest.raises(MotionveilError, match="file"),
            opened(f"{tmp_path}/a.mkv", f"{tmp_path}/file/live.m3u8"),
        ):
            pytest.fail("was opened")
        assert os.listdir(tmp_path) == ["file"]

    def test_to_name_one_twice(self) -> None:
        with pytest.raises(MotionveilError, match=r"a\.mkv: is given twice"):
            check_dest("a.mkv", Destination("a.mkv", "h264"))
