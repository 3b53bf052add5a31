"""Pixels that are not square: whatever is written says so, and readers see it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import zlib
from fractions import Fraction
from pathlib import Path
from threading import Thread

import av
import numpy as np
import pytest

from motionveil.errors import MotionveilError
from motionveil.video import Segments, VideoSink, open_sink, probe, read_clip
from motionveil.video.codecs import CODECS
from motionveil.video.matroska import with_display_size
from motionveil.video.sinks import Destination, sinks
from motionveil.video.sinks.image_folder import ImageSequenceSink
from videos import moving_square

WIDE = Fraction(64, 45)  # PAL, 16:9, in 720 x 576
CLIP = moving_square(6, 144, 180)
TRACKS = b"\x16\x54\xae\x6b\x40"  # ID; then two bytes of size, where `SeekHead` has others
FILES = [(suffix, codec) for suffix, codecs in CODECS.items() for codec in codecs]


def write(to: str | Destination, *, live: bool = False, aspect: Fraction = WIDE) -> None:
    with open_sink(
        to, rate=Fraction(25), time_base=Fraction(1, 25), live=live, aspect=aspect
    ) as sink:
        for number, image in enumerate(CLIP):
            sink.write(image, number)


def close(aspect: Fraction, wanted: Fraction, codec: str) -> bool:
    """Whether an aspect is what was wanted, to the pixel for codecs that do not keep it."""
    return aspect == wanted if codec == "h264" else abs(aspect - wanted) * 180 <= 1


class TestFiles:
    @pytest.mark.usefixtures("equal_h264")
    @pytest.mark.parametrize("live", [False, True])
    @pytest.mark.parametrize(("suffix", "codec"), FILES)
    def test_keep_it(self, tmp_path: Path, suffix: str, codec: str, live: bool) -> None:
        path = tmp_path / f"a{suffix}"
        write(Destination(str(path), codec), live=live)
        assert probe(path).aspect == WIDE
        square = tmp_path / f"square{suffix}"
        write(Destination(str(square), codec), live=live, aspect=Fraction(1))
        assert probe(square).aspect == 1
        np.testing.assert_array_equal(read_clip(path), read_clip(square))

    @pytest.mark.parametrize(("suffix", "codec"), FILES)
    def test_that_are_cut_keep_it(self, tmp_path: Path, suffix: str, codec: str) -> None:
        write(Destination(f"{tmp_path}/%Y{suffix}", codec, segments=Segments(length=1)))
        [path] = tmp_path.iterdir()
        assert probe(path).aspect == WIDE

    @pytest.mark.parametrize(
        "aspect", [Fraction(8, 9), Fraction(12, 11), Fraction(1, 3), Fraction(4001, 4000)]
    )
    @pytest.mark.parametrize(("suffix", "codec"), FILES)
    def test_to_the_pixel(self, tmp_path: Path, suffix: str, codec: str, aspect: Fraction) -> None:
        path = tmp_path / f"a{suffix}"
        write(Destination(str(path), codec), aspect=aspect)
        assert close(probe(path).aspect, aspect, codec)

    @pytest.mark.parametrize("suffix", [".mkv", ".webm"])
    def test_in_a_named_pipe(self, tmp_path: Path, suffix: str) -> None:
        pipe, copy = tmp_path / f"pipe{suffix}", tmp_path / f"copy{suffix}"
        os.mkfifo(pipe)
        reader = Thread(target=lambda: copy.write_bytes(pipe.read_bytes()), daemon=True)
        reader.start()
        write(str(pipe))
        reader.join(60)
        assert probe(copy).aspect == WIDE
        assert read_clip(copy).shape == CLIP.shape

    @pytest.mark.parametrize("suffix", [".mkv", ".webm"])
    def test_in_a_long_comment_s_company(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"a{suffix}"
        with VideoSink(path, rate=25, aspect=WIDE, comment="x" * 10_000) as sink:
            for image in CLIP:
                sink.write(image)
        assert probe(path).aspect == WIDE

    def test_of_a_recording_whose_process_was_killed(self, tmp_path: Path) -> None:
        program = f"""
import sys, time, numpy as np
from fractions import Fraction
from motionveil.video import VideoSink
with VideoSink({str(tmp_path / "a.mkv")!r}, rate=25, live=True, aspect=Fraction(64, 45)) as sink:
    for number in range(100):
        sink.write(np.full((144, 180, 3), number, np.uint8))
    print("written", flush=True)
    time.sleep(600)
"""
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"written\n"
            process.send_signal(signal.SIGKILL)
        [part] = tmp_path.iterdir()
        with av.open(str(part)) as container:
            [stream] = container.streams.video
            assert stream.sample_aspect_ratio == WIDE
            frames = 0
            with contextlib.suppress(av.FFmpegError):  # the end is missing
                for _ in container.decode(stream):
                    frames += 1
        assert frames >= 50


class TestMatroska:
    @pytest.fixture
    def header(self, tmp_path: Path) -> bytes:
        write(str(tmp_path / "a.mkv"), aspect=Fraction(1))
        return (tmp_path / "a.mkv").read_bytes()

    def test_checksums_are_right(self, header: bytes) -> None:
        changed = with_display_size(header, WIDE)
        assert len(changed) == len(header)
        assert changed != header
        for data in (header, changed):
            tracks = data.index(TRACKS) + 4
            end = tracks + 2 + (int.from_bytes(data[tracks : tracks + 2]) & 0x3FFF)
            assert data[tracks + 2 : tracks + 4] == b"\xbf\x84"
            crc = int.from_bytes(data[tracks + 4 : tracks + 8], "little")
            assert crc == zlib.crc32(data[tracks + 8 : end])

    def test_all_that_is_not_the_track_stays(self, header: bytes) -> None:
        changed = with_display_size(header, WIDE)
        tracks = header.index(TRACKS)
        tags = header.index(b"\x12\x54\xc3\x67", tracks)
        assert changed[:tracks] == header[:tracks]
        assert changed[tags:] == header[tags:]

    def test_other_data_are_an_error(self, header: bytes) -> None:
        for data in (b"", header[:200], header[:300], bytes(1000), header[100:]):
            with pytest.raises(ValueError, match="header"):
                with_display_size(data, WIDE)


class TestOthers:
    def test_pictures_keep_it(self, tmp_path: Path) -> None:
        write(f"{tmp_path}/frames/")
        assert probe(tmp_path / "frames").aspect == WIDE
        with ImageSequenceSink(tmp_path / "square", time_base=Fraction(1, 25)) as sink:
            sink.write(CLIP[0])
        assert probe(tmp_path / "square").aspect == 1

    def test_playlists_keep_it(self, tmp_path: Path) -> None:
        write(f"{tmp_path}/live.m3u8")
        assert probe(tmp_path / "live.m3u8").aspect == WIDE

    @pytest.mark.parametrize("container", ["y4m", "mpegts", "matroska"])
    def test_the_standard_output_keeps_it(self, tmp_path: Path, container: str) -> None:
        program = f"""
import numpy as np
from fractions import Fraction
from motionveil.video import Destination, open_sink
with open_sink(
    Destination("-", container={container!r}), rate=Fraction(25), time_base=Fraction(1, 25),
    aspect=Fraction(64, 45),
) as sink:
    for number in range(6):
        sink.write(np.full((144, 180, 3), number, np.uint8), number)
"""
        path = tmp_path / "a"
        path.write_bytes(subprocess.run([sys.executable, "-c", program], stdout=-1).stdout)
        with av.open(str(path)) as read:
            assert read.streams.video[0].sample_aspect_ratio == WIDE

    def test_a_virtual_camera_refuses_it(self) -> None:
        with pytest.raises(
            MotionveilError, match=r"^/dev/video9: .* \(64:45\); leave out --native"
        ):
            write("/dev/video9")

    def test_every_kind_of_destination_is_tried(self) -> None:
        """Who adds one says here, too, how it keeps the aspect, or that it refuses."""
        own = [kind.example for kind in sinks() if kind.open.__module__.startswith("motionveil.")]
        assert set(own) == {
            "out.mp4 out.mkv out.webm",
            "rec/%Y%m%d-%H%M%S.mkv",
            "frames/",
            "hls/live.m3u8",
            "-",
            "/dev/video9",
            # H.264 in MPEG-TS, FLV or RTP; `tests/video/test_destinations.py` sends it.
            *(
                "srt://HOST:PORT",
                "udp://HOST:PORT",
                "rtmp://HOST/APP/NAME",
                "rtsp://HOST:PORT/NAME",
            ),
        }
