"""The clip cache holds what decoding gives, is never half a cache, and follows its sources."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from motionveil.data.cache import ClipCache, Fit, fit_frame
from motionveil.data.manifest import Clip, Manifest
from motionveil.errors import MotionveilError
from videos import moving_square, write_pictures

Frames = NDArray[np.uint8]
SmallSet = tuple[Manifest, dict[str, Frames]]
WriteVideo = Callable[..., Any]


def _weights(source: int, target: int) -> NDArray[np.float64]:
    """Bilinear interpolation with anti-aliasing, as a matrix: triangles as wide as the step."""
    step = source / target
    width = max(step, 1.0)
    centres = (np.arange(target) + 0.5) * step
    distance = np.abs(np.arange(source) + 0.5 - centres[:, None]) / width
    triangle = np.maximum(0, 1 - distance)
    return triangle / triangle.sum(axis=1, keepdims=True)


def _resized(frames: Frames, height: int, width: int) -> NDArray[np.float64]:
    rows, columns = _weights(frames.shape[1], height), _weights(frames.shape[2], width)
    return np.einsum("yh,thwc,xw->tyxc", rows, frames.astype(float), columns, optimize=True)


@pytest.mark.parametrize(
    ("fit", "shape"),
    [("squeeze", (16, 16)), ("short-side", (16, 21)), ("letterbox", (16, 16))],
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
        assert np.abs(stored - _resized(source, *shape_inside)).max() <= 1.5


def test_real_video(ut_interaction: Path, tmp_path: Path) -> None:
    clips = []
    for name in ("0_1_4.avi", "44_8_4.avi"):
        clips.append(Clip(f"segmented_set1/{name}", 10, 30, "punch", {"pair": "p"}, name, "train"))
    manifest = Manifest("two", ut_interaction, tuple(clips))
    cache = ClipCache.build(manifest, size=64, folder=tmp_path)
    for clip in clips:
        with av.open(str(ut_interaction / clip.path)) as video:
            decoded = [f.to_ndarray(format="rgb24") for f in video.decode(video=0)]
        expected = _resized(np.stack(decoded[10:30]), 64, 64)
        # The two conversions to RGB interpolate the colours differently.
        assert np.abs(cache.frames(clip) - expected).mean() < 1.5
        assert cache.frames(clip).shape == (20, 64, 64, 3)


def test_frames_of_equal_size_are_kept(small_set: SmallSet) -> None:
    manifest, frames = small_set
    cache = ClipCache.build(manifest, size=24, fit="short-side")
    for clip in manifest.clips:
        assert np.array_equal(cache.frames(clip), frames[clip.path])


@pytest.mark.parametrize("fit", ["squeeze", "short-side", "letterbox"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (37, 5)])
def test_odd_frames(shape: tuple[int, int], fit: Fit) -> None:
    fitted = fit_frame(np.full((*shape, 3), 200, np.uint8), 8, fit)
    assert fitted.max() == 200
    assert min(fitted.shape[:2]) == 8
    if fit != "short-side":
        assert fitted.shape == (8, 8, 3)


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
    monkeypatch.setattr("motionveil.data.cache.read_frames", _refuse_to_decode)
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
    pixels = sum(clip.length for clip in manifest.clips) * 8 * 8 * 3
    assert cache.bytes_on_disk == pixels + 128 * len(manifest.clips)  # a header of 128 bytes each


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
    assert len(now.items() & kept.items()) == len(kept) - 1


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
        patch.setattr("motionveil.data.cache.np.save", save_some)
        with pytest.raises(KeyboardInterrupt):
            ClipCache.build(manifest, size=24, fit="short-side", workers=1)
    cache = ClipCache.build(manifest, size=24, fit="short-side")
    for clip in manifest.clips:
        assert np.array_equal(cache.frames(clip), frames[clip.path])
    assert len(list(cache.folder.iterdir())) == len(manifest.clips)


def test_damaged_file_is_decoded_again(small_set: SmallSet) -> None:
    manifest, frames = small_set
    cache = ClipCache.build(manifest, size=24, fit="short-side")
    files = sorted(cache.folder.iterdir())
    files[0].write_bytes(files[0].read_bytes()[:-1])
    files[1].write_bytes(b"")
    files[2].write_bytes(b"garbage")
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
            ClipCache.build(manifest, size=8).derive("dark", lambda frames: frames // 2)
        finally:
            os.umask(before)
        assert self.modes(manifest.root / ".cache") == {"d700", "f600"}

    def test_are_kept_out_of_an_earlier_cache_that_is_used(self, small_set: SmallSet) -> None:
        manifest, _ = small_set
        cache = ClipCache.build(manifest, size=8)
        dark = cache.derive("dark", lambda frames: frames // 2)
        for folder in (cache.folder, dark.folder):
            folder.chmod(0o755)
            for file in folder.iterdir():
                file.chmod(0o644)
        again = ClipCache.build(manifest, size=8).derive("dark", lambda frames: frames * 0)
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
