"""Destinations by how they are written; what each leaves on disk."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.video import VideoSink, check_dest, open_sink, probe, read_clip, read_frames
from motionveil.video.sinks.image_folder import ImageSequenceSink
from motionveil.video.sinks.standard_output import Y4mSink
from motionveil.video.sinks.virtual_camera import VirtualCameraSink
from videos import NTSC, frame_numbers, moving_square

CLIP = moving_square(12)


def write(dest: Path | str, clip: NDArray[np.uint8] = CLIP, **options: object) -> None:
    arguments = {"rate": NTSC, "time_base": 1 / NTSC, **options}
    with open_sink(str(dest), **arguments) as sink:  # type: ignore[arg-type]
        for number, image in enumerate(clip):
            sink.write(image, number)


def codec_of(path: Path) -> str:
    with av.open(str(path)) as container:
        return container.streams.video[0].codec_context.name


class TestFiles:
    @pytest.mark.parametrize("live", [False, True])
    @pytest.mark.parametrize(
        ("name", "codec", "found"),
        [
            ("a.mp4", None, "h264"),
            ("a.mkv", None, "ffv1"),
            ("a.mkv", "h264", "h264"),
            ("a.webm", None, "vp9"),
            ("A.MP4", "h264", "h264"),
        ],
    )
    def test_formats(
        self, tmp_path: Path, name: str, codec: str | None, found: str, live: bool
    ) -> None:
        write(tmp_path / name, codec=codec, live=live)
        # PyAV's name of the decoder
        assert codec_of(tmp_path / name).removeprefix("lib").replace("vpx-", "") == found
        read = read_clip(tmp_path / name)
        assert read.shape == CLIP.shape
        assert frame_numbers(read) == list(range(12))
        stamps = [frame.pts * frame.time_base for frame in read_frames(tmp_path / name)]
        exact = name.lower().endswith("mp4")
        for number, stamp in enumerate(stamps):
            assert abs(stamp - number / NTSC) <= (0 if exact else Fraction(1, 2000))

    @pytest.mark.parametrize(
        ("name", "codec", "message"),
        [
            ("a.mp4", "vp9", r"a\.mp4: \.mp4 does not take the codec 'vp9'; it takes h264"),
            ("a.mkv", "vp9", "it takes ffv1 or h264"),
            ("a.avi", None, "must end in .mp4"),
            ("frames/", "h264", "--codec h264 is for video files"),
            ("/dev/video9", "h264", "is for video files"),
        ],
    )
    def test_what_does_not_go_together(
        self, tmp_path: Path, name: str, codec: str | None, message: str
    ) -> None:
        with pytest.raises(MotionveilError, match=message):
            check_dest(name if name[0] == "/" else f"{tmp_path}/{name}", codec=codec)


class TestLiveRecording:
    @pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm"])
    def test_reaches_the_disk_second_by_second(self, tmp_path: Path, name: str) -> None:
        clip = np.random.default_rng(0).integers(0, 256, (50, 48, 64, 3), dtype=np.uint8)
        with VideoSink(tmp_path / name, rate=10, live=True) as sink:
            for image in clip:
                sink.write(image)
            (part,) = tmp_path.iterdir()
            assert part.name.startswith(".")
            copy = tmp_path / f"copy{part.suffix}"
            copy.write_bytes(part.read_bytes())  # as it would lie there after `kill -9`
            assert len(list(read_frames(copy))) >= 39, "all but the last second"
            copy.unlink()
        assert len(read_clip(tmp_path / name)) == 50

    @pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "frames/"])
    def test_survives_a_failure(self, tmp_path: Path, name: str) -> None:
        with (  # noqa: PT012
            pytest.raises(RuntimeError),
            open_sink(f"{tmp_path}/{name}", rate=None, time_base=Fraction(1, 25), live=True) as s,
        ):
            for image in CLIP:
                s.write(image)
            raise RuntimeError
        assert len(read_clip(tmp_path / name)) == 12
        assert len(list(tmp_path.iterdir())) == 1

    @pytest.mark.parametrize("name", ["a.mp4", "frames/"])
    def test_of_no_frame_leaves_nothing(self, tmp_path: Path, name: str) -> None:
        with (
            pytest.raises(RuntimeError),
            open_sink(f"{tmp_path}/{name}", rate=None, time_base=Fraction(1, 25), live=True),
        ):
            raise RuntimeError
        assert list(tmp_path.iterdir()) == []


class TestPictures:
    def test_are_the_frames_and_their_times(self, tmp_path: Path) -> None:
        with ImageSequenceSink(tmp_path / "frames", time_base=Fraction(1, 1000)) as sink:
            for image, pts in zip(CLIP, [0, 33, 67, *range(100, 1000, 100)], strict=True):
                sink.write(image, pts)
            assert not (tmp_path / "frames").exists()
        np.testing.assert_array_equal(read_clip(tmp_path / "frames"), CLIP)
        lines = (tmp_path / "frames" / "times.csv").read_text().splitlines()
        assert lines[:4] == [
            "picture,seconds",
            "000000.png,0.000000",
            "000001.png,0.033000",
            "000002.png,0.067000",
        ]
        assert len(lines) == 13
        assert [path.name for path in tmp_path.iterdir()] == ["frames"]

    def test_a_failure_leaves_nothing(self, tmp_path: Path) -> None:
        with (  # noqa: PT012
            pytest.raises(RuntimeError),
            ImageSequenceSink(tmp_path / "frames", time_base=Fraction(1, 25)) as sink,
        ):
            sink.write(CLIP[0])
            raise RuntimeError
        assert list(tmp_path.iterdir()) == []

    def test_never_mixes_with_what_is_there(self, tmp_path: Path) -> None:
        folder = tmp_path / "frames"
        folder.mkdir()
        write(f"{folder}/")  # an empty one may be there
        assert probe(folder).frames == 12
        for taken in (f"{folder}/", f"{folder / '000000.png'}/"):
            with pytest.raises(MotionveilError, match="there is something of this name already"):
                write(taken)
        assert probe(folder).frames == 12

    def test_keep_one_size(self, tmp_path: Path) -> None:
        with (  # noqa: PT012
            pytest.raises(MotionveilError, match="frame 12 is 32x24"),
            ImageSequenceSink(tmp_path / "frames", time_base=Fraction(1, 25)) as sink,
        ):
            for image in [*CLIP, CLIP[0, ::2, ::2]]:
                sink.write(image)


class TestY4m:
    @settings(max_examples=20, deadline=None)
    @given(height=st.integers(1, 40), width=st.integers(1, 40))
    def test_is_read_back_by_ffmpeg(self, height: int, width: int) -> None:
        clip = np.resize(moving_square(3, 40, 40), (3, height, width, 3))
        stream = io.BytesIO()
        with Y4mSink(stream, rate=NTSC) as sink:
            for image in clip:
                sink.write(image)
        stream.seek(0)
        with av.open(stream, format="yuv4mpegpipe") as container:
            assert container.streams.video[0].average_rate == NTSC
            read = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
        assert np.abs(np.stack(read).astype(int) - clip).max() <= 4, "8-bit YUV, 4:4:4"

    def test_its_reader_has_gone(self) -> None:
        class Gone(io.BytesIO):
            def write(self, data: object) -> int:
                raise BrokenPipeError

        with (
            pytest.raises(MotionveilError, match="whoever read it has gone, after 0 frames"),
            Y4mSink(Gone()) as sink,
        ):
            sink.write(CLIP[0])


class TestVirtualCamera:
    def test_that_is_not_there(self) -> None:
        with (
            pytest.raises(MotionveilError, match=r"/dev/video99: no such video device .*v4l2"),
            VirtualCameraSink("/dev/video99"),
        ):
            pass

    @pytest.mark.skipif(
        not Path("/sys/devices/virtual/video4linux").exists(),
        reason="needs a v4l2loopback device (modprobe v4l2loopback)",
    )
    def test_that_is_there(self) -> None:
        device = next(Path("/sys/devices/virtual/video4linux").iterdir()).name
        write(f"/dev/{device}")
