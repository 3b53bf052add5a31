from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from threading import Event
from typing import Any, BinaryIO

import av
import numpy as np
import pytest

from motionveil.errors import MotionveilError
from motionveil.video import Frame
from motionveil.video.pipe import PipeSource
from streams import CODECS, encoded, transport_stream
from videos import NTSC, frame_numbers, moving_square, write_video


@contextmanager
def pipe(data: bytes, *, close: bool = True) -> Iterator[BinaryIO]:
    """Give the reading end of a pipe into which a thread writes."""
    reading, writing = os.pipe()

    def write() -> None:
        with open(writing, "wb", closefd=close) as file:
            file.write(data)

    thread = threading.Thread(target=write)
    thread.start()
    with open(reading, "rb") as file:
        yield file
    thread.join()
    if not close:
        os.close(writing)


def read(data: bytes, notices: list[str] | None = None) -> tuple[PipeSource, list[Frame]]:
    with pipe(data) as file:
        source = PipeSource(file, notice=[].append if notices is None else notices.append)
        return source, list(source.frames(Event()))


def numbers(frames: list[Frame]) -> list[int]:
    return frame_numbers(np.stack([frame.image for frame in frames]))


def raw_avi(path: Path, clip: np.ndarray) -> tuple[Path, list[int]]:
    """Write uncompressed pictures; return where each begins, too."""
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("rawvideo", rate=NTSC)
        stream.height, stream.width = clip.shape[1:3]
        stream.pix_fmt = "gray" if clip.shape[2] % 2 else "bgr24"
        for number, image in enumerate(clip):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(
                format=stream.pix_fmt
            )
            frame.pts, frame.time_base = number, 1 / NTSC
            output.mux(stream.encode(frame))
    with av.open(str(path)) as written:
        return path, [p.pos for p in written.demux(video=0) if p.size and p.pos is not None]


class TestFormats:
    @pytest.mark.parametrize("format_name", CODECS)
    def test_every_frame_and_its_time(self, format_name: str) -> None:
        source, frames = read(encoded(moving_square(20), format_name))
        assert numbers(frames) == list(range(20))
        assert source.info is not None
        assert (source.info.width, source.info.height) == (64, 48)
        assert source.info.rate == NTSC
        assert source.info.time_base == frames[0].time_base
        steps = np.diff([frame.time for frame in frames])
        np.testing.assert_allclose(
            steps, 1001 / 30000, atol=0 if format_name != "matroska" else 1e-3
        )
        assert [frame.fresh for frame in frames] == [True, *[False] * 19]
        assert all(frame.arrived is not None for frame in frames)

    def test_y4m_has_the_colours_of_the_clip(self) -> None:
        clip = moving_square(5)
        _, frames = read(encoded(clip, "yuv4mpegpipe"))
        assert frames[0].time_base == 1001 * Fraction(1, 30000)
        assert [frame.pts for frame in frames] == list(range(5))
        assert np.abs(np.stack([f.image for f in frames]).astype(int) - clip).mean() < 4

    @pytest.mark.parametrize("format_name", ["yuv4mpegpipe", "mpegts"])
    def test_standard_input_of_a_program(self, format_name: str) -> None:
        code = (
            "from threading import Event\n"
            "from motionveil.video import open_source\n"
            "source = open_source('-')\n"
            "frames = [frame.image.shape for frame in source.frames(Event())]\n"
            "print(source.name, source.live, source.info.rate, len(frames), frames[0])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            input=encoded(moving_square(20), format_name),
            capture_output=True,
            check=True,
        )
        assert done.stdout.decode().strip() == "standard input False 30000/1001 20 (48, 64, 3)"
        assert done.stderr == b""

    def test_frames_come_while_the_pipe_is_open(self) -> None:
        # FFmpeg asks for 32 KiB at a time; ten frames of this are less than that.
        data = encoded(moving_square(10, 32, 32), "yuv4mpegpipe")
        assert len(data) < 32768
        stop = Event()
        with pipe(data, close=False) as file:
            frames = PipeSource(file).frames(stop)
            assert numbers([next(frames) for _ in range(9)]) == list(range(9))
            threading.Timer(0.2, stop.set).start()
            assert len(list(frames)) <= 1  # of a pipe that nobody closes: without the stop, never


class TestFaults:
    def test_nothing(self) -> None:
        with pytest.raises(MotionveilError, match="standard input: ended before the first byte"):
            read(b"")

    @pytest.mark.parametrize("format_name", ["yuv4mpegpipe", "mpegts"])
    def test_no_frame(self, format_name: str) -> None:
        header = encoded(moving_square(1), format_name)[: 60 if format_name != "mpegts" else 376]
        with pytest.raises(MotionveilError, match=r"standard input: (ended|cannot be read)"):
            read(header)

    @pytest.mark.parametrize("format_name", ["yuv4mpegpipe", "mpegts"])
    @pytest.mark.parametrize("share", [0.5, 0.77])
    def test_ends_in_the_middle_of_a_frame(self, format_name: str, share: float) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (20, 48, 64, 3), dtype=np.uint8)
        data = encoded(noise, format_name)
        with pytest.raises(MotionveilError, match=r"standard input: .*; \d+ frames could be read"):
            read(data[: int(len(data) * share)])

    def test_no_video(self) -> None:
        with pytest.raises(MotionveilError, match=r"standard input: (no video|cannot be read)"):
            read(b"hello\n" * 1000)

    def test_plain_mp4(self, tmp_path: Path) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (20, 96, 128, 3), dtype=np.uint8)
        path = write_video(tmp_path / "a.mp4", noise)
        with pytest.raises(MotionveilError, match="not a plain mp4"):
            read(path.read_bytes())


class TestDamage:
    def test_no_damaged_picture_is_yielded(self) -> None:
        noise = np.random.default_rng(0).integers(-9, 10, (20, 96, 128, 3))
        clip = (moving_square(20, 96, 128) // 2 + 60 + noise).astype(np.uint8)
        data = transport_stream(clip)
        _, whole = read(data)
        right = {frame.pts: frame.image for frame in whole}
        assert len(right) == 20
        for at in (0.25, 0.3, 0.4):
            damaged = bytearray(data)
            start = int(len(data) * at)
            damaged[start : start + 500] = bytes(
                byte ^ 0x5A for byte in damaged[start : start + 500]
            )
            notices: list[str] = []
            _, frames = read(bytes(damaged), notices)
            assert 10 <= len(frames) < 20
            for frame in frames:
                np.testing.assert_array_equal(frame.image, right[frame.pts])
            fresh = [number for number, frame in enumerate(frames) if frame.fresh]
            gaps = np.diff([frame.pts for frame in frames])
            assert fresh == [0, 1 + int(gaps.argmax())]
            assert len(notices) == 1
            assert "damaged data" in notices[0]

    @pytest.mark.parametrize("size", [(48, 64), (45, 63)])  # the second's chunks are of odd length
    @pytest.mark.parametrize("bytes_more", [-5, 7])
    def test_bytes_too_few_or_too_many_in_raw_pictures(
        self, tmp_path: Path, size: tuple[int, int], bytes_more: int
    ) -> None:
        path, starts = raw_avi(tmp_path / "a.avi", moving_square(12, *size))
        data = path.read_bytes()
        _, whole = read(data)
        assert len(whole) == 12
        at = starts[6] + 100
        damaged = data[:at] + data[at - bytes_more : at] * (bytes_more > 0) + data[at:]
        if bytes_more < 0:
            damaged = data[:at] + data[at - bytes_more :]
        source, frames = read(damaged)
        assert 10 <= len(frames) < 12
        assert source.damaged >= 1
        for frame in frames:
            assert any(np.array_equal(frame.image, other.image) for other in whole)
        np.testing.assert_array_equal(frames[5].image, whole[5].image)
        assert [n for n, frame in enumerate(frames) if frame.fresh] == [0, 6]

    @pytest.mark.parametrize("bframes", [0, 2])
    @pytest.mark.parametrize("format_name", ["mpegts", "matroska"])
    def test_a_picture_that_is_missing(self, format_name: str, bframes: int) -> None:
        # Nothing in the container tells, and the decoder shows mush without a word.
        from motionveil.video.robust_decode import ResyncDecoder

        params = f"keyint=10:min-keyint=10:scenecut=0:bframes={bframes}:b-adapt=0"
        data = encoded(moving_square(20), format_name, **{"x264-params": params})

        def decode(leave_out: int) -> dict[int, np.ndarray]:
            found = {}
            with av.open(io.BytesIO(data)) as container:
                decoder = ResyncDecoder(container.streams.video[0])
                for number, packet in enumerate(container.demux(video=0)):
                    if number != leave_out:
                        for intact in decoder.decode(packet, 0.0):
                            image = intact.picture.to_ndarray(format="rgb24")
                            found[intact.picture.pts] = image
            return found

        right = decode(-1)
        assert len(right) == 20
        for number in range(19):
            found = decode(number)
            assert len(found) >= 8
            for pts, image in found.items():
                np.testing.assert_array_equal(image, right[pts])

    def test_a_stream_that_starts_anew(self) -> None:
        data = transport_stream(moving_square(20))
        _, frames = read(data + data)
        assert numbers(frames)[-20:] == list(range(20))
        assert (np.diff([frame.pts for frame in frames]) > 0).all()
        assert frames[-20].fresh
        assert frames[-1].time - frames[0].time < 3


def test_time_in_the_stream_is_kept() -> None:
    _, frames = read(encoded(moving_square(5), "mpegts", first=100))
    assert [frame.pts * frame.time_base for frame in frames] == [n / NTSC for n in range(100, 105)]
