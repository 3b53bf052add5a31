from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from motionveil.errors import MotionveilError
from motionveil.video import VideoSink, open_sink, probe, read_clip, read_frames
from videos import NTSC, frame_numbers, moving_square


def write(path: Path, clip: np.ndarray, pts: list[int] | None = None, **options: object) -> Path:
    with VideoSink(path, **options) as sink:  # type: ignore[arg-type]
        for number, image in enumerate(clip):
            sink.write(image, None if pts is None else pts[number])
    return path


def times(path: Path) -> list[Fraction]:
    return [frame.pts * frame.time_base for frame in read_frames(path)]


CLOCKS = [
    (Fraction(1, 1000), [0, 33, 67, 100, 400, 401]),
    (Fraction(1, 90000), [12345 + 3003 * n for n in range(6)]),
    (Fraction(1001, 30000), [7, 8, 9, 11, 12, 13]),
    (Fraction(1, 30), [3, 4, 5, 6, 7, 8]),
]


class TestTimestamps:
    @pytest.mark.parametrize(("time_base", "pts"), CLOCKS)
    def test_mp4_keeps_them_exactly(
        self, tmp_path: Path, time_base: Fraction, pts: list[int]
    ) -> None:
        path = write(tmp_path / "a.mp4", moving_square(6), pts, rate=30, time_base=time_base)
        assert times(path) == [p * time_base for p in pts]

    @pytest.mark.parametrize(("time_base", "pts"), CLOCKS)
    def test_mkv_keeps_them_to_half_a_millisecond(
        self, tmp_path: Path, time_base: Fraction, pts: list[int]
    ) -> None:
        path = write(tmp_path / "a.mkv", moving_square(6), pts, rate=30, time_base=time_base)
        for found, wanted in zip(times(path), pts, strict=True):
            assert abs(found - wanted * time_base) <= Fraction(1, 2000)

    @pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
    def test_constant_rate_without_timestamps(self, tmp_path: Path, suffix: str) -> None:
        path = write(tmp_path / f"a{suffix}", moving_square(9), rate=NTSC)
        assert probe(path).rate == NTSC
        assert len(times(path)) == 9

    def test_must_ascend(self, tmp_path: Path) -> None:
        with pytest.raises(MotionveilError, match="timestamp 4 of frame 1 is not after 4"):
            write(tmp_path / "a.mp4", moving_square(3), [4, 4, 5])

    def test_must_not_be_negative(self, tmp_path: Path) -> None:
        with pytest.raises(MotionveilError, match="timestamp -2 of frame 0 is below 0"):
            write(tmp_path / "a.mp4", moving_square(3), [-2, -1, 0])


class TestPixels:
    def test_mkv_is_lossless(self, tmp_path: Path) -> None:
        clip = np.random.default_rng(0).integers(0, 256, (4, 33, 47, 3), dtype=np.uint8)
        np.testing.assert_array_equal(read_clip(write(tmp_path / "a.mkv", clip)), clip)

    @pytest.mark.parametrize(("height", "width"), [(48, 64), (37, 53), (37, 54), (38, 53)])
    def test_mp4_keeps_size_order_and_colour(self, tmp_path: Path, height: int, width: int) -> None:
        clip = moving_square(10, height, width)
        read = read_clip(write(tmp_path / "a.mp4", clip))
        assert read.shape == clip.shape
        assert frame_numbers(read) == list(range(10))
        assert np.abs(read.astype(int) - clip).mean(axis=(0, 1, 2)).max() < 3

    def test_mp4_says_which_colours_it_means(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.mp4", moving_square(2))
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert stream.codec_context.colorspace == 1  # BT.709
            assert stream.codec_context.name == "h264"
            assert stream.codec_context.pix_fmt == "yuv420p"

    def test_wrong_frames(self, tmp_path: Path) -> None:
        clip = moving_square(2)
        with pytest.raises(ValueError, match=r"uint8 \(H, W, 3\), not float32"):
            write(tmp_path / "a.mp4", clip.astype(np.float32))
        with VideoSink(tmp_path / "b.mp4") as sink:
            sink.write(clip[0])
            with pytest.raises(MotionveilError, match="frame 1 is 32x24"):
                sink.write(clip[1, ::2, ::2])
        assert len(read_clip(tmp_path / "b.mp4")) == 1


class TestWholeOrNothing:
    @pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
    def test_a_failure_leaves_nothing(self, tmp_path: Path, suffix: str) -> None:
        with pytest.raises(RuntimeError), VideoSink(tmp_path / f"a{suffix}") as sink:  # noqa: PT012
            sink.write(moving_square(1)[0])
            raise RuntimeError
        assert list(tmp_path.iterdir()) == []

    def test_a_failure_leaves_the_earlier_file(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.mp4", moving_square(3))
        before = path.read_bytes()
        with pytest.raises(MotionveilError, match="no frames"):
            write(path, moving_square(0))
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]

    def test_nothing_under_the_name_before_the_end(self, tmp_path: Path) -> None:
        path = tmp_path / "a.mp4"
        with VideoSink(path) as sink:
            sink.write(moving_square(1)[0])
            assert not path.exists()
        assert path.exists()

    @pytest.mark.parametrize("name", ["a.avi", "a", "a.MP5"])
    def test_unknown_suffix(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(MotionveilError, match=r"must end in \.mp4 \(H\.264\) or \.mkv"):
            VideoSink(tmp_path / name)


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize(
    ("base", "longest"), [(Fraction(1, 10**6), 2147), (Fraction(1, 90_000), 23_860)]
)
def test_a_gap_that_an_mp4_cannot_hold_is_told(
    tmp_path: Path, live: bool, base: Fraction, longest: int
) -> None:
    """FFmpeg ends the one file, and gives all that follows in the other the time before the gap."""
    image = np.zeros((16, 16, 3), np.uint8)
    for name, gap in (
        ("fits.mp4", longest - 5),
        ("not.mkv", longest + 5),
        ("not.mp4", longest + 5),
    ):
        times = (0, 1, 2, 2 + gap, 3 + gap)
        if name == "not.mp4":
            with pytest.raises(MotionveilError, match=r"a gap of \d+ s, longer than an \.mp4"):
                _write(tmp_path / name, image, times, base, live)
            continue
        _write(tmp_path / name, image, times, base, live)
        assert [float(frame.time) for frame in read_frames(tmp_path / name)] == list(times)


def _write(path: Path, image: np.ndarray, times: Sequence[int], base: Fraction, live: bool) -> None:
    with open_sink(str(path), rate=Fraction(25), time_base=base, live=live) as sink:
        for time in times:
            sink.write(image, int(time / base))
