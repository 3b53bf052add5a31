from __future__ import annotations

import gc
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import PictureType

from motionveil.errors import MotionveilError
from motionveil.video import count_frames, probe, read_clip, read_frames
from videos import (
    NTSC,
    cut_short,
    frame_numbers,
    moving_square,
    write_pictures,
    write_sound,
    write_video,
)


def times(path: Path) -> list[Fraction]:
    return [frame.pts * frame.time_base for frame in read_frames(path)]


class TestWhatItIs:
    def test_ntsc_rate_is_a_fraction(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "a.mp4", moving_square(12), rate=NTSC)
        info = probe(path)
        assert info.rate == NTSC
        assert (info.width, info.height, info.frames) == (64, 48, 12)
        assert times(path) == [n / NTSC for n in range(12)]

    def test_lossless_video_is_read_bit_by_bit(self, tmp_path: Path) -> None:
        clip = moving_square(5)
        read = read_clip(write_video(tmp_path / "a.mkv", clip))
        assert read.dtype == np.uint8
        np.testing.assert_array_equal(read, clip)

    def test_time_in_seconds(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "a.mp4", moving_square(4), rate=8)
        assert [frame.time for frame in read_frames(path)] == [0, 0.125, 0.25, 0.375]

    @pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p", "gray", "yuv420p10le"])
    def test_pixel_formats(self, tmp_path: Path, pixel_format: str) -> None:
        clip = moving_square(6)
        path = write_video(
            tmp_path / "a.mp4", clip, pixel_format=pixel_format, codec_options={"crf": "1"}
        )
        read = read_clip(path)
        assert read.shape == clip.shape
        assert frame_numbers(read) == list(range(6))
        if pixel_format == "gray":
            assert np.ptp(read.astype(int), axis=-1).max() == 0
        else:
            assert np.abs(read.astype(int) - clip).mean() < 4

    @pytest.mark.parametrize(("height", "width"), [(37, 53), (37, 54), (38, 53)])
    def test_odd_sizes(self, tmp_path: Path, height: int, width: int) -> None:
        clip = moving_square(4, height, width)
        path = write_video(tmp_path / "a.mp4", clip, pixel_format="yuv444p")
        assert read_clip(path).shape == clip.shape
        assert (probe(path).height, probe(path).width) == (height, width)


class TestTimestamps:
    def test_variable_frame_rate(self, tmp_path: Path) -> None:
        pts = [0, 33, 67, 100, 400, 401, 900]
        path = write_video(
            tmp_path / "a.mp4", moving_square(7), rate=30, time_base=Fraction(1, 1000), pts=pts
        )
        assert times(path) == [Fraction(p, 1000) for p in pts]

    def test_start_that_is_not_zero(self, tmp_path: Path) -> None:
        pts = [n + 7 for n in range(8)]
        path = write_video(tmp_path / "a.mkv", moving_square(8), pts=pts)
        assert times(path) == [Fraction(p, 25) for p in pts]

    @pytest.mark.parametrize("suffix", [".mp4", ".avi"])
    def test_reordered_frames_come_as_shown(self, tmp_path: Path, suffix: str) -> None:
        path = write_video(
            tmp_path / f"a{suffix}",
            moving_square(20),
            codec_options={"bf": "2", "b_strategy": "0", "x264-params": "b-adapt=0", "qmax": "4"},
        )
        with av.open(str(path)) as container:
            kinds = {frame.pict_type for frame in container.decode(video=0)}
        assert PictureType.B in kinds, "the test needs reordered frames"
        assert frame_numbers(read_clip(path)) == list(range(20))
        stamps = times(path)
        assert np.diff(stamps).tolist() == [Fraction(1, 25)] * 19

    def test_real_video_with_wrong_times_of_the_library(self, ut_interaction: Path) -> None:
        # XviD in AVI: two packets decode to nothing, and PyAV's times go 1, 4, 6, 5, 7, 9, 8.
        path = ut_interaction / "segmented_set1" / "0_1_4.avi"
        stamps = times(path)
        assert len(stamps) == count_frames(path) == 108
        assert set(np.diff(stamps)) == {Fraction(1, 30)}


class TestRotation:
    @pytest.mark.parametrize("rotation", [90, 180, 270])
    def test_pictures_are_upright(self, tmp_path: Path, rotation: int) -> None:
        clip = moving_square(3)
        stored = np.rot90(clip, -rotation // 90, axes=(1, 2))
        path = write_video(
            tmp_path / "a.mp4",
            np.ascontiguousarray(stored),
            rotation=rotation,
            codec_options={"crf": "1"},
        )
        read = read_clip(path)
        assert read.shape == clip.shape
        assert (probe(path).width, probe(path).height) == (64, 48)
        assert np.abs(read.astype(int) - clip).mean() < 4

    @pytest.mark.parametrize("turns", [0, 1, 2, 3])
    @pytest.mark.parametrize("mirrored", [False, True])
    def test_every_matrix_of_a_camera(self, turns: int, mirrored: bool) -> None:
        from motionveil.video.colour import upright

        # The definition, pixel by pixel, for all eight ways to lay down a picture.
        angle = np.pi / 2 * turns
        matrix = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        (a, b), (c, d) = np.rint(matrix @ np.diag([-1 if mirrored else 1, 1])).astype(int).tolist()
        image = np.arange(3 * 4 * 3, dtype=np.uint8).reshape(3, 4, 3)
        points = {(a * x + c * y, b * x + d * y): image[y, x] for y in range(3) for x in range(4)}
        left, top = min(x for x, _ in points), min(y for _, y in points)
        turned = upright(image, (a, b, c, d))
        assert turned.shape == ((4, 3, 3) if turns % 2 else (3, 4, 3))
        for (x, y), pixel in points.items():
            np.testing.assert_array_equal(turned[y - top, x - left], pixel)


def test_decoded_pictures_do_not_wait_for_the_garbage_collector(tmp_path: Path) -> None:
    path = write_video(tmp_path / "in.mp4", moving_square(20))
    gc.collect()
    gc.disable()
    try:
        before = count_pictures()
        assert len(list(read_frames(path))) == 20
        left = count_pictures() - before
    finally:
        gc.enable()
    assert left <= 2


def count_pictures() -> int:
    """Count the decoded pictures that Python's garbage collector knows."""
    return sum(isinstance(found, av.VideoFrame) for found in gc.get_objects())


class TestRanges:
    @pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
    def test_a_part_is_the_part_of_the_whole(self, tmp_path: Path, suffix: str) -> None:
        path = write_video(tmp_path / f"a{suffix}", moving_square(12))
        whole = list(read_frames(path))
        part = list(read_frames(path, 5, 9))
        assert [frame.pts for frame in part] == [frame.pts for frame in whole[5:9]]
        np.testing.assert_array_equal(read_clip(path, 5, 9), [f.image for f in whole[5:9]])
        np.testing.assert_array_equal(read_clip(path, 10), [f.image for f in whole[10:]])

    @pytest.mark.parametrize("bounds", [(-1, 3), (3, 3), (4, 2), (6, 11), (10, None), (20, 30)])
    def test_wrong_ranges_name_the_file(
        self, tmp_path: Path, bounds: tuple[int, int | None]
    ) -> None:
        path = write_video(tmp_path / "a.mkv", moving_square(10))
        folder = write_pictures(tmp_path / "frames", moving_square(10))
        for source in (path, folder):
            with pytest.raises(MotionveilError, match=f"{source}: .*{bounds[0]} to {bounds[1]}"):
                read_clip(source, *bounds)


class TestFolder:
    def test_natural_order_and_rate(self, tmp_path: Path) -> None:
        clip = moving_square(12)
        folder = write_pictures(tmp_path / "frames", clip)
        (folder / "notes.txt").write_text("not a frame")
        np.testing.assert_array_equal(read_clip(folder), clip)
        assert count_frames(folder) == 12
        assert (probe(folder).rate, probe(folder).frames) == (25, 12)
        assert probe(folder, rate=NTSC).rate == NTSC
        stamps = [frame.pts * frame.time_base for frame in read_frames(folder, 3, 5, rate=NTSC)]
        assert stamps == [3 / NTSC, 4 / NTSC]

    def test_jpeg_and_percent_signs(self, tmp_path: Path) -> None:
        folder = write_pictures(tmp_path / "frames", moving_square(3), "f%02d-{}.jpg")
        assert frame_numbers(read_clip(folder)) == [0, 1, 2]

    def test_some_of_a_folders_pictures(self, tmp_path: Path) -> None:
        folder = write_pictures(tmp_path, moving_square(12), "rgb_{}.png")
        write_pictures(folder, np.zeros((12, 24, 32, 3), np.uint8), "depth_{}.png")
        source = folder / "rgb_*.png"
        np.testing.assert_array_equal(read_clip(source), moving_square(12))
        assert count_frames(source) == 12
        assert probe(source).frames == 12
        with pytest.raises(
            MotionveilError, match=r"rgb_\*\.png: 12 frames, asked for frames 8 to 13"
        ):
            read_clip(source, 8, 13)
        for name in ("rgb_*.jpg", "none/rgb_*.png"):
            with pytest.raises(MotionveilError, match=r"rgb_.*: no frames in this folder"):
                read_clip(folder / name)

    def test_a_star_can_be_part_of_a_name(self, tmp_path: Path) -> None:
        folder = write_pictures(tmp_path / "clip*", moving_square(2))
        write_pictures(tmp_path / "clip2", moving_square(3))
        assert count_frames(folder) == 2

    def test_pictures_of_two_sizes(self, tmp_path: Path) -> None:
        folder = write_pictures(tmp_path / "frames", moving_square(2))
        write_pictures(folder, moving_square(1, 24, 32), "9.png")
        with pytest.raises(MotionveilError, match="frame 2 is 32x24"):
            read_clip(folder)

    def test_faults(self, tmp_path: Path) -> None:
        with pytest.raises(MotionveilError, match="no frames in this folder"):
            read_clip(tmp_path)
        (tmp_path / "0.png").write_bytes(b"no picture at all")
        with pytest.raises(MotionveilError, match=r"0\.png: cannot read the frame"):
            read_clip(tmp_path)


class TestFaults:
    @pytest.mark.parametrize("share", [0.97, 0.5])
    @pytest.mark.parametrize("suffix", [".mp4", ".mov", ".avi", ".mkv"])
    def test_truncated(self, tmp_path: Path, suffix: str, share: float) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (20, 48, 64, 3), dtype=np.uint8)
        options = {"movflags": "faststart"} if suffix in (".mp4", ".mov") else None
        path = write_video(tmp_path / f"a{suffix}", noise, options=options)
        assert count_frames(path) == 20
        cut_short(path, share)
        with pytest.raises(MotionveilError, match=r"cut short: \d+ .*; \d+ frames could be"):
            count_frames(path)
        read = []
        with pytest.raises(MotionveilError, match="cut short"):
            read.extend(read_frames(path))

    def test_truncated_mp4_without_its_index(self, tmp_path: Path) -> None:
        path = cut_short(write_video(tmp_path / "a.mp4", moving_square(20)), 0.5)
        with pytest.raises(MotionveilError, match=r"a\.mp4: cut short"):
            probe(path)

    def test_whole_files_are_not_called_cut(self, ut_interaction: Path, kth: Path) -> None:
        from motionveil.video.container_check import missing_bytes

        videos = [*ut_interaction.rglob("*.avi"), *kth.rglob("*.avi")]
        assert len(videos) > 60
        assert [path for path in videos if missing_bytes(path)] == []

    def test_junk_after_an_mp4_is_no_fault(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "a.mp4", moving_square(6))
        path.write_bytes(path.read_bytes() + b"\x7f\xff\xff\xffSEFTmaker's own")
        assert count_frames(path) == 6

    def test_damaged_inside(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "a.mp4", moving_square(20))
        data = bytearray(path.read_bytes())
        start = data.index(b"mdat") + 4
        data[start : start + 40] = bytes(40)
        path.write_bytes(data)
        with pytest.raises(MotionveilError, match=r"a\.mp4: damaged"):
            count_frames(path)

    def test_no_video(self, tmp_path: Path) -> None:
        (tmp_path / "empty.mp4").touch()
        (tmp_path / "text.txt").write_text("hello\n" * 100)
        (tmp_path / "junk.mp4").write_bytes(bytes(range(256)) * 20)
        write_sound(tmp_path / "sound.m4a")
        faults = {
            "missing.mp4": "no such file",
            "empty.mp4": "empty",
            "text.txt": "a text file",
            "junk.mp4": "cannot be read as video",
            "sound.m4a": "sound only",
        }
        for name, fault in faults.items():
            for function in (probe, count_frames, read_clip):
                with pytest.raises(MotionveilError, match=f"{name}: .*{fault}"):
                    function(tmp_path / name)

    @pytest.mark.parametrize("suffix", [".mp4", ".mov", ".avi", ".mkv"])
    def test_zero_frames(self, tmp_path: Path, suffix: str) -> None:
        path = write_video(tmp_path / f"a{suffix}", moving_square(1)[:0])
        assert path.stat().st_size > 100
        for function in (probe, count_frames, read_clip):
            with pytest.raises(MotionveilError, match=f"{path}: (holds no frames|no video)"):
                function(path)


def test_an_mp4_cut_in_its_index_is_cut_short(tmp_path: Path) -> None:
    file = cut_short(write_video(tmp_path / "a.mp4", moving_square(15)), 0.85)
    with pytest.raises(MotionveilError, match=r"a\.mp4: cut short: \d+ of the bytes"):
        list(read_frames(file))
