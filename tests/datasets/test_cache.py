"""The clip cache holds what decoding gives, is never half a cache, and follows its sources."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from motionveil.datasets.cache import ClipCache
from motionveil.datasets.decoding import Fit, fit_frame
from motionveil.datasets.manifest import Clip, Manifest
from motionveil.errors import MotionveilError
from motionveil.video import read_clip, read_frames
from videos import NTSC, moving_square, write_pictures, write_video

Frames = NDArray[np.uint8]
SmallSet = tuple[Manifest, dict[str, Frames]]
WriteVideo = Callable[..., Any]


def noise(length: int, height: int = 8, width: int = 8) -> Frames:
    """Frames of which no two are alike: uint8 (T, H, W, 3)."""
    return np.random.default_rng(0).integers(0, 256, (length, height, width, 3), np.uint8)


def _overlaps(source: int, target: int) -> NDArray[np.int64]:
    """How far each of `source` pixels lies in each of `target`: a matrix, rows sum to `source`.

    Both are laid over a length of `source * target`.
    """
    low, high = np.arange(target)[:, None] * source, np.arange(source)[None] * target
    shared = np.minimum(low + source, high + target) - np.maximum(low, high)
    return np.maximum(shared, 0)


def _averaged(frames: Frames, height: int, width: int) -> Frames:
    """Means over areas, rounded half up."""
    rows, columns = _overlaps(frames.shape[1], height), _overlaps(frames.shape[2], width)
    sums = np.einsum("yh,thwc,xw->tyxc", rows, frames.astype(np.int64), columns, optimize=True)
    area = frames.shape[1] * frames.shape[2]
    return ((2 * sums + area) // (2 * area)).astype(np.uint8)


@pytest.mark.parametrize(
    ("fit", "shape"),
    [("squeeze", (16, 16)), ("short-side", (16, 22)), ("letterbox", (16, 16))],
)
def test_holds_what_decoding_gives(small_set: SmallSet, fit: Fit, shape: tuple[int, int]) -> None:
    manifest, frames = small_set
    cache = ClipCache.build(manifest, size=16, fit=fit)
    for clip in manifest.clips:
        stored = cache.frames(clip)
        source = frames[clip.path]
        assert stored.dtype == np.uint8
        assert stored.shape == (clip.length, *shape, 3)
        if fit == "letterbox":  # 24 x 32 becomes 12 x 16 between two black bars
            assert not stored[:, :2].any()
            assert not stored[:, 14:].any()
            stored, shape_inside = stored[:, 2:14], (12, 16)
        else:
            shape_inside = shape
        assert np.array_equal(stored, _averaged(source, *shape_inside))


@pytest.mark.slow
def test_real_video(ut_interaction: Path, tmp_path: Path) -> None:
    clips = []
    for name in ("0_1_4.avi", "44_8_4.avi"):
        clips.append(Clip(f"segmented_set1/{name}", 10, 30, "punch", {"pair": "p"}, name, "train"))
    manifest = Manifest("two", ut_interaction, tuple(clips))
    cache = ClipCache.build(manifest, size=64, folder=tmp_path)
    for clip in clips:
        with av.open(str(ut_interaction / clip.path)) as video:
            decoded = [f.to_ndarray(format="rgb24") for f in video.decode(video=0)]
        expected = _averaged(np.stack(decoded[10:30]), 64, 64).astype(float)
        # The two conversions to RGB interpolate the colours differently.
        assert np.abs(cache.frames(clip) - expected).mean() < 1.5
        assert cache.frames(clip).shape == (20, 64, 64, 3)


def test_frames_of_equal_size_are_kept(small_set: SmallSet) -> None:
    manifest, frames = small_set
    cache = ClipCache.build(manifest, size=24, fit="short-side")
    for clip in manifest.clips:
        assert np.array_equal(cache.frames(clip), frames[clip.path])


@pytest.mark.parametrize("fit", ["squeeze", "short-side", "letterbox"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 16), (37, 5)])
def test_odd_frames(shape: tuple[int, int], fit: Fit) -> None:
    fitted = fit_frame(np.full((*shape, 3), 200, np.uint8), 8, fit)
    assert fitted.max() == 200
    assert min(fitted.shape[:2]) == 8
    if fit != "short-side":
        assert fitted.shape == (8, 8, 3)


@pytest.mark.parametrize("fit", ["squeeze", "short-side", "letterbox"])
def test_a_line(fit: Fit) -> None:
    line = np.full((1, 300, 3), 200, np.uint8)
    if fit == "short-side":  # it would be 2400 pixels long
        with pytest.raises(MotionveilError, match=r"300x1 pixels .* is no scene"):
            fit_frame(line, 8, fit)
    else:
        assert fit_frame(line, 8, fit).shape == (8, 8, 3)


def test_clips_of_one_video(tmp_path: Path, write_video: WriteVideo) -> None:
    frames = write_video(tmp_path / "long.mkv", 20, 8, 8)
    ranges = [(12, 20), (0, 5), (3, 9), (5, 30)]  # out of order, overlapping, past the end
    clips = tuple(Clip("long.mkv", a, b, "run", {"person": "p"}, "g", "train") for a, b in ranges)
    cache = ClipCache.build(Manifest("m", tmp_path, clips), size=8, folder=tmp_path / "cache")
    for clip in clips:
        assert np.array_equal(cache.frames(clip), frames[clip.start : clip.end])


def test_folder_of_frames(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)
    (tmp_path / "shots").mkdir()
    for number, image in enumerate(frames):
        with av.open(str(tmp_path / "shots" / f"{number}.png"), "w", format="image2") as file:
            stream = file.add_stream("png", width=8, height=8, pix_fmt="rgb24")
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
    clip = Clip("shots", 1, 4, "run", {"person": "p"}, "g", "train")
    cache = ClipCache.build(Manifest("m", tmp_path, (clip,)), size=8, folder=tmp_path / "cache")
    assert np.array_equal(cache.frames(clip), frames[1:])


def test_some_pictures_of_a_folder(tmp_path: Path) -> None:
    write_pictures(tmp_path / "shots", moving_square(4), "rgb_{}.png")
    write_pictures(tmp_path / "shots", moving_square(4), "depth_{}.png")
    clip = Clip("shots/rgb_*.png", 1, 4, "run", {"person": "p"}, "g", "train")
    manifest = Manifest("m", tmp_path, (clip,))
    cache = ClipCache.build(manifest, size=48, fit="short-side", folder=tmp_path / "cache")
    assert np.array_equal(cache.frames(clip), moving_square(4)[1:])
    stored = list(cache.folder.iterdir())
    write_pictures(tmp_path / "shots", moving_square(1) // 2, "depth_{}.png")  # none of its frames
    again = ClipCache.build(manifest, size=48, fit="short-side", folder=tmp_path / "cache")
    assert list(again.folder.iterdir()) == stored
    write_pictures(tmp_path / "shots", moving_square(2) // 2, "rgb_{}.png")
    again = ClipCache.build(manifest, size=48, fit="short-side", folder=tmp_path / "cache")
    assert np.array_equal(again.frames(clip)[0], moving_square(2)[1] // 2)


def _refuse_to_decode(*_: object) -> None:
    raise AssertionError("decoded again")


def test_second_build_decodes_nothing(small_set: SmallSet, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest, _ = small_set
    first = ClipCache.build(manifest, size=8)
    monkeypatch.setattr("motionveil.datasets.decoding.read_frames", _refuse_to_decode)
    second = ClipCache.build(manifest, size=8)
    for clip in manifest.clips:
        assert np.array_equal(first.frames(clip), second.frames(clip))


def test_size_fit_and_manifest_have_caches_of_their_own(small_set: SmallSet) -> None:
    manifest, _ = small_set
    other = Manifest("m", manifest.root, manifest.clips[1:], manifest.file)
    caches = [
        ClipCache.build(manifest, size=8),
        ClipCache.build(manifest, size=9),
        ClipCache.build(manifest, size=8, fit="letterbox"),
        ClipCache.build(other, size=8),
    ]
    assert len({cache.folder for cache in caches}) == 4
    assert {cache.folder.parent for cache in caches} == {manifest.root / ".cache"}


def test_disk_size(small_set: SmallSet) -> None:
    manifest, _ = small_set
    cache = ClipCache.build(manifest, size=8)
    frames = sum(clip.length for clip in manifest.clips)
    # Pixels, a time of 8 bytes for each frame, and two headers of 128 bytes for each clip.
    assert cache.bytes_on_disk == frames * (8 * 8 * 3 + 8) + 2 * 128 * len(manifest.clips)


def test_changed_source_is_decoded_again(small_set: SmallSet, write_video: WriteVideo) -> None:
    manifest, frames = small_set
    cache = ClipCache.build(manifest, size=24, fit="short-side")
    kept = {file: file.stat().st_mtime_ns for file in cache.folder.iterdir()}
    clip = manifest.clips[4]
    video = manifest.root / clip.path
    changed = write_video(video, clip.length, seed=99)
    os.utime(video, ns=(1, 1))
    again = ClipCache.build(manifest, size=24, fit="short-side")
    assert np.array_equal(again.frames(clip), changed)
    assert not np.array_equal(changed, frames[clip.path])
    now = {file: file.stat().st_mtime_ns for file in again.folder.iterdir()}
    assert len(now) == len(kept)  # the stale clip is gone
    assert len(now.items() & kept.items()) == len(kept) - 2  # its frames and their times


def test_half_written_cache_is_completed(
    small_set: SmallSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, frames = small_set
    calls = []

    def save_some(output: Any, array: Frames, **options: Any) -> None:
        calls.append(array)
        if len(calls) > 5:
            output.write(b"\x93NUMPY half")
            raise KeyboardInterrupt
        np.lib.format.write_array(output, array, **options)

    with monkeypatch.context() as patch:
        patch.setattr("motionveil.datasets.cache.np.save", save_some)
        with pytest.raises(KeyboardInterrupt):
            ClipCache.build(manifest, size=24, fit="short-side", workers=1)
    cache = ClipCache.build(manifest, size=24, fit="short-side")
    for clip in manifest.clips:
        assert np.array_equal(cache.frames(clip), frames[clip.path])
        assert len(cache.times(clip)) == clip.length
    assert len(list(cache.folder.iterdir())) == 2 * len(manifest.clips)


def test_damaged_file_is_decoded_again(small_set: SmallSet) -> None:
    manifest, frames = small_set
    cache = ClipCache.build(manifest, size=24, fit="short-side")
    files = sorted(cache.folder.glob("?????-*.npy"))  # frames, not their times
    files[0].write_bytes(files[0].read_bytes()[:-1])
    files[1].write_bytes(b"")
    files[2].write_bytes(b"garbage")
    np.save(files[3], np.zeros((3, 12, 16, 3), np.uint8))  # of another size
    again = ClipCache.build(manifest, size=24, fit="short-side")
    for clip in manifest.clips:
        assert np.array_equal(again.frames(clip), frames[clip.path])


def test_frames_cannot_be_written_to(small_set: SmallSet) -> None:
    manifest, _ = small_set
    with pytest.raises(ValueError, match="read-only"):
        ClipCache.build(manifest, size=8).frames(manifest.clips[0])[0] = 0


def test_faults_name_the_video(small_set: SmallSet) -> None:
    manifest, _ = small_set
    video = manifest.root / manifest.clips[3].path
    whole = video.read_bytes()
    video.write_bytes(b"not a video")
    with pytest.raises(MotionveilError, match=r"3\.mkv"):
        ClipCache.build(manifest, size=8)
    video.unlink()
    with pytest.raises(MotionveilError, match=r"3\.mkv: cannot read the video"):
        ClipCache.build(manifest, size=8)
    video.write_bytes(whole)
    late = replace(manifest.clips[3], start=50, end=60)
    clips = (*manifest.clips[:3], late)
    with pytest.raises(MotionveilError, match=r"3\.mkv.* 50"):
        ClipCache.build(Manifest("m", manifest.root, clips), size=8, folder=manifest.root / "c")


class TestRate:
    """Frames are taken by their timestamps."""

    def one_video(
        self, folder: Path, frames: Frames, taken: float | None, **video: Any
    ) -> tuple[ClipCache, Clip]:
        """Write a video, and cache all of it as one clip."""
        folder.mkdir(exist_ok=True)
        write_video(folder / "x.mkv", frames, **video)
        clip = Clip("x.mkv", 0, len(frames), "run", {"person": "p"}, "g", "train")
        manifest = Manifest("m", folder, (clip,))
        cache = ClipCache.build(
            manifest, size=8, fit="short-side", rate=taken, folder=folder / "cache"
        )
        return cache, clip

    @pytest.mark.parametrize(
        ("of", "rate", "every"),
        [
            (30, 10, 3),
            (25, 25, 1),
            (25, 30, 1),
            (25, 15, 2),
            (25, 10, 3),
            (24, 10, 3),
            (NTSC, 10, 3),
        ],
    )
    def test_of_a_constant_rate(self, tmp_path: Path, of: Any, rate: float, every: int) -> None:
        frames = noise(20)
        cache, clip = self.one_video(tmp_path, frames, rate, rate=of)
        assert np.array_equal(cache.frames(clip), frames[::every])
        # Matroska rounds timestamps to milliseconds.
        wanted = np.arange(20)[::every] / float(of)
        np.testing.assert_allclose(cache.times(clip), wanted, atol=0.00051)

    def test_all(self, tmp_path: Path) -> None:
        frames = noise(20)
        cache, clip = self.one_video(tmp_path, frames, None, rate=30)
        assert np.array_equal(cache.frames(clip), frames)
        np.testing.assert_allclose(cache.times(clip), np.arange(20) / 30, atol=0.00051)

    def test_of_a_rate_that_varies(self, tmp_path: Path) -> None:
        """10 frames per second: 40 per second, then 5 per second, then a burst, in milliseconds."""
        stamps = [0, 25, 50, 75, 100, 125, 150, 175, 200, 400, 600, 601, 602, 700]
        taken = [0, 4, 8, 9, 10, 13]  # at 0, 100, 200, 400, 600 and 700 ms
        frames = noise(len(stamps))
        cache, clip = self.one_video(
            tmp_path, frames, 10, rate=1000, time_base=Fraction(1, 1000), pts=stamps
        )
        assert np.array_equal(cache.frames(clip), frames[taken])
        np.testing.assert_allclose(cache.times(clip), np.array(stamps)[taken] / 1000, atol=1e-9)

    def test_each_clip_of_a_video_starts_anew(self, tmp_path: Path) -> None:
        frames = noise(30)
        write_video(tmp_path / "x.mkv", frames, rate=30)
        ranges = [(0, 10), (10, 20), (17, 30), (5, 25)]
        clips = tuple(Clip("x.mkv", a, b, "run", {"person": "p"}, "g", "train") for a, b in ranges)
        manifest = Manifest("m", tmp_path, clips)
        cache = ClipCache.build(
            manifest, size=8, fit="short-side", rate=10, folder=tmp_path / "cache"
        )
        for clip in clips:
            assert np.array_equal(cache.frames(clip), frames[clip.start : clip.end : 3])
            wanted = np.arange(clip.start, clip.end, 3) / 30
            np.testing.assert_allclose(cache.times(clip), wanted, atol=0.00051)

    def test_of_pictures_is_what_the_manifest_says(self, tmp_path: Path) -> None:
        frames = noise(12)
        write_pictures(tmp_path / "shots", frames)
        clip = Clip("shots", 0, 12, "run", {"person": "p"}, "g", "train")
        for of, every in ((None, 2), (15.0, 1), (30.0, 2), (60.0, 4)):  # None: 25
            manifest = Manifest("m", tmp_path, (clip,), rate=of)
            cache = ClipCache.build(
                manifest, size=8, fit="short-side", rate=15, folder=tmp_path / "cache"
            )
            assert np.array_equal(cache.frames(clip), frames[::every])
            np.testing.assert_allclose(cache.times(clip), np.arange(12)[::every] / (of or 25))

    def test_and_multiple_have_caches_of_their_own(self, small_set: SmallSet) -> None:
        manifest, _ = small_set
        options: list[dict[str, Any]] = [{}, {"rate": 10}, {"rate": 12.5}, {"multiple": 4}]
        caches = [ClipCache.build(manifest, size=8, fit="short-side", **o) for o in options]
        assert len({cache.folder for cache in caches}) == 4
        assert [cache.rate for cache in caches] == [None, 10, 12.5, None]
        clip = manifest.clips[-1]
        # 14 frames at 25 per second, of 24 x 32 pixels.
        assert [cache.frames(clip).shape[:3] for cache in caches] == [
            (14, 8, 10),
            (5, 8, 10),
            (7, 8, 10),
            (14, 8, 12),
        ]

    def test_of_sides_that_are_multiples_nothing_is_decoded_again(
        self, small_set: SmallSet, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """And it is what decoding gives: rounding to 2 or to 8 made no difference."""
        manifest, _ = small_set
        options: dict[str, Any] = {"size": 24, "fit": "short-side"}
        decoded = ClipCache.build(manifest, multiple=8, **options)
        frames = {clip.key: decoded.frames(clip).copy() for clip in manifest.clips}
        times = {clip.key: decoded.times(clip) for clip in manifest.clips}
        even = ClipCache.build(manifest, **options)
        assert {even.frames(clip).shape[1:3] for clip in manifest.clips} == {(24, 32)}
        shutil.rmtree(decoded.folder)
        read: set[Path] = set()

        def watched(path: Path, *arguments: Any, **more: Any) -> Any:
            read.add(path)
            return read_frames(path, *arguments, **more)

        monkeypatch.setattr("motionveil.datasets.decoding.read_frames", watched)
        again = ClipCache.build(manifest, multiple=8, **options)
        for clip in again.manifest.clips:
            np.testing.assert_array_equal(again.frames(clip), frames[clip.key])
            np.testing.assert_array_equal(again.times(clip), times[clip.key])
        assert not read

    def test_times_go_with_what_is_derived(self, small_set: SmallSet) -> None:
        manifest, frames = small_set
        cache = ClipCache.build(manifest, size=24, fit="short-side", rate=12.5)
        seen = {}

        def note(taken: Frames, times: NDArray[np.float64]) -> Frames:
            seen[taken.tobytes()] = times
            return taken

        cache.derive("same", note)
        for clip in manifest.clips:
            times = seen[frames[clip.path][::2].tobytes()]
            np.testing.assert_allclose(times, np.arange(clip.length)[::2] / 25, atol=0.00051)

    def test_times_that_are_gone_are_missed(self, small_set: SmallSet) -> None:
        manifest, _ = small_set
        cache = ClipCache.build(manifest, size=8)
        for file in cache.folder.glob("00003t-*.npy"):
            file.unlink()
        with pytest.raises(MotionveilError, match=r"00003t-.* cannot be read; remove .*squeeze"):
            cache.times(manifest.clips[3])


@pytest.mark.parametrize(("fit", "shape"), [("short-side", (18, 32)), ("letterbox", (32, 32))])
def test_pixels_that_are_not_square(tmp_path: Path, fit: Fit, shape: tuple[int, int]) -> None:
    """Wide-screen PAL, 720 x 576 at 64:45, is shown as 16:9; here a fifth of its size."""
    with av.open(str(tmp_path / "pal.mp4"), "w") as file:
        stream = file.add_stream("libx264", rate=25, options={"threads": "1"})
        stream.height, stream.width, stream.pix_fmt = 116, 144, "yuv444p"
        stream.codec_context.sample_aspect_ratio = Fraction(64, 45)
        for image in moving_square(3, 116, 144):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        file.mux(stream.encode(None))
    frames = read_clip(tmp_path / "pal.mp4")
    assert frames.shape == (3, 116, 144, 3)
    clip = Clip("pal.mp4", 0, 3, "run", {"person": "p"}, "g", "train")
    manifest = Manifest("m", tmp_path, (clip,))
    size = min(shape)
    stored = ClipCache.build(manifest, size=size, fit=fit, folder=tmp_path / "c").frames(clip)
    assert stored.shape == (3, *shape, 3)
    inside = stored[:, 7:25] if fit == "letterbox" else stored  # 32 x 18 of 32 x 32
    assert np.array_equal(inside, _averaged(frames, 18, 32))
    if fit == "letterbox":
        assert not stored[:, :7].any()
        assert not stored[:, 25:].any()


def test_wrong_settings(small_set: SmallSet) -> None:
    manifest, _ = small_set
    with pytest.raises(MotionveilError, match="size must be 1 or more"):
        ClipCache.build(manifest, size=0)
    with pytest.raises(MotionveilError, match="one of short-side, letterbox, squeeze"):
        ClipCache.build(manifest, size=8, fit="crop")  # type: ignore[arg-type]
    in_memory = replace(manifest, file=None)
    with pytest.raises(MotionveilError, match="say where the cache goes"):
        ClipCache.build(in_memory, size=8)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes of files")
class TestOthers:
    """The cache shows people as they are: nobody but its owner may read it."""

    def modes(self, folder: Path) -> set[str]:
        found = [folder, *folder.rglob("*")]
        return {f"{'d' if p.is_dir() else 'f'}{stat.S_IMODE(p.stat().st_mode):o}" for p in found}

    @pytest.mark.parametrize("mask", [0, 0o022, 0o077])
    def test_are_kept_out_whatever_the_umask(self, small_set: SmallSet, mask: int) -> None:
        manifest, _ = small_set
        before = os.umask(mask)
        try:
            ClipCache.build(manifest, size=8).derive("dark", lambda frames, times: frames // 2)
        finally:
            os.umask(before)
        assert self.modes(manifest.root / ".cache") == {"d700", "f600"}

    def test_are_kept_out_of_an_earlier_cache_that_is_used(self, small_set: SmallSet) -> None:
        manifest, _ = small_set
        cache = ClipCache.build(manifest, size=8)
        dark = cache.derive("dark", lambda frames, times: frames // 2)
        for folder in (cache.folder, dark.folder):
            folder.chmod(0o755)
            for file in folder.iterdir():
                file.chmod(0o644)
        again = ClipCache.build(manifest, size=8).derive("dark", lambda frames, times: frames * 0)
        assert np.array_equal(again.frames(manifest.clips[0]), dark.frames(manifest.clips[0]))
        assert self.modes(manifest.root / ".cache") == {"d700", "f600"}

    def test_s_cache_is_used_with_a_warning(
        self,
        small_set: SmallSet,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        manifest, _ = small_set
        ClipCache.build(manifest, size=8).folder.chmod(0o755)

        def refuse(path: Path, mode: int) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(Path, "chmod", refuse)
        cache = ClipCache.build(manifest, size=8)
        assert f"{cache.folder}: others may be able to read" in capsys.readouterr().err

    def test_s_closed_cache_says_what_to_do(
        self, small_set: SmallSet, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        manifest, _ = small_set

        def refuse(path: Path, **options: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "mkdir", refuse)
        with pytest.raises(MotionveilError, match=r"\.cache: .* Permission denied; .* your own"):
            ClipCache.build(manifest, size=8)
