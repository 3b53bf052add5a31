"""The veiled video that is attacked is what a camera would have stored."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from motionveil.audit.compression import compress
from motionveil.capture import StreamEncoder
from motionveil.data.cache import ClipCache
from motionveil.encoders import BDQ
from motionveil.errors import MotionveilError
from motionveil.spec import load_spec
from motionveil.training.veiling import (
    clips_in,
    compressed_clips,
    original_clips,
    veil_clips,
    veil_of,
    veil_of_encoder,
)
from motionveil.video import VideoSink, read_frames
from tiny import FRAMES, write_toys

DARK = """
import numpy as np
def darken(frames):
    return frames // 2
def nothing(frames):
    return None
def floats(frames):
    return frames / 2
"""


@pytest.fixture
def cache(tmp_path: Path) -> ClipCache:
    manifest = write_toys(tmp_path / "toys", takes=1, held_out=1)
    return ClipCache.build(manifest, size=24, workers=1)


class TestEncoder:
    def test_leaves_what_the_camera_would(self, cache: ClipCache) -> None:
        """The same frames through the capture side's encoder, one by one."""
        veiled = veil_clips(cache, veil_of("bdq"))
        for clip in cache.manifest.clips:
            stream = StreamEncoder(load_spec("bdq"), guard=None)
            wanted = np.stack([stream(frame) for frame in cache.frames(clip)])[1:]
            found = veiled.frames(clip)
            assert found.shape == (FRAMES - 1, 24, 24, 3)
            assert np.abs(found.astype(int) - wanted).max() <= 1

    def test_of_raw_video_leaves_it(self, cache: ClipCache) -> None:
        veiled = veil_clips(cache, veil_of("raw"))
        for clip in cache.manifest.clips:
            assert np.array_equal(veiled.frames(clip), cache.frames(clip))

    def test_is_not_run_again(self, cache: ClipCache, monkeypatch: pytest.MonkeyPatch) -> None:
        first = veil_clips(cache, veil_of("bdq"))
        monkeypatch.setattr(BDQ, "forward", lambda self, clip: pytest.fail("veiled again"))
        again = veil_clips(cache, veil_of("bdq"))
        for clip in cache.manifest.clips:
            assert np.array_equal(again.frames(clip), first.frames(clip))
        next(first.folder.glob("*.npy")).unlink()
        with pytest.raises(pytest.fail.Exception, match="veiled again"):
            veil_clips(cache, veil_of("bdq"))

    def test_with_other_numbers_is_another(self, cache: ClipCache) -> None:
        encoder = BDQ(load_spec("bdq"))
        first = veil_clips(cache, veil_of_encoder(encoder, "mine"))
        with torch.no_grad():
            for parameter in encoder.parameters():
                parameter.mul_(0.8)
        second = veil_clips(cache, veil_of_encoder(encoder, "mine"))
        clip = cache.manifest.clips[0]
        assert not np.array_equal(first.frames(clip), second.frames(clip))

    def test_of_a_changed_video_is_run_again(self, cache: ClipCache) -> None:
        clip = cache.manifest.clips[0]
        before = veil_clips(cache, veil_of("raw")).frames(clip).copy()
        video = cache.manifest.root / clip.path
        with VideoSink(video, rate=25) as sink:
            for _ in range(2 * FRAMES):
                sink.write(np.full((24, 24, 3), 7, np.uint8))
        os.utime(video, ns=(1, 1))  # even if the clock stood still
        fresh = ClipCache.build(cache.manifest, size=24, workers=1)
        after = veil_clips(fresh, veil_of("raw")).frames(clip)
        assert not np.array_equal(before, after)
        assert (after == 7).all()

    def test_of_a_slower_camera(self, cache: ClipCache) -> None:
        """Differences are then between every other frame."""
        veiled = veil_clips(cache, veil_of("bdq"), step=2)
        clip = cache.manifest.clips[0]
        stream = StreamEncoder(load_spec("bdq"), guard=None)
        wanted = np.stack([stream(frame) for frame in cache.frames(clip)[::2]])[1:]
        assert np.abs(veiled.frames(clip).astype(int) - wanted).max() <= 1


class TestOriginals:
    @pytest.mark.parametrize(("encoder", "first"), [("bdq", 1), ("raw", 0)])
    @pytest.mark.parametrize("step", [1, 2])
    def test_stand_beside_their_veiled_frames(
        self, cache: ClipCache, encoder: str, first: int, step: int
    ) -> None:
        veiled = veil_clips(cache, veil_of(encoder), step=step)
        originals = original_clips(cache, veiled, step=step)
        for clip in cache.manifest.clips:
            wanted = cache.frames(clip)[::step][first:]
            assert np.array_equal(originals.frames(clip), wanted)
            assert len(wanted) == len(veiled.frames(clip))


class TestFunctionOfOnesOwn:
    def test_from_a_file(self, cache: ClipCache, tmp_path: Path) -> None:
        file = tmp_path / "mine.py"
        file.write_text(DARK)
        veiled = veil_clips(cache, veil_of(f"{file}:darken"))
        for clip in cache.manifest.clips:
            assert np.array_equal(veiled.frames(clip), cache.frames(clip) // 2)
        file.write_text(DARK.replace("// 2", "// 4"))
        changed = veil_clips(cache, veil_of(f"{file}:darken"))
        clip = cache.manifest.clips[0]
        assert np.array_equal(changed.frames(clip), cache.frames(clip) // 4)

    def test_from_a_module(
        self, cache: ClipCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "a_strangers_veil.py").write_text(DARK)
        monkeypatch.syspath_prepend(tmp_path)
        veiled = veil_clips(cache, veil_of("a_strangers_veil:darken"))
        clip = cache.manifest.clips[0]
        assert np.array_equal(veiled.frames(clip), cache.frames(clip) // 2)

    @pytest.mark.parametrize(
        ("function", "fault"),
        [
            ("nothing", "gave a NoneType; wanted uint8 frames"),
            ("floats", r"changed to float64 \(8, 24, 24, 3\); frames are uint8"),
        ],
    )
    def test_that_gives_no_frames(
        self, cache: ClipCache, tmp_path: Path, function: str, fault: str
    ) -> None:
        file = tmp_path / "mine.py"
        file.write_text(DARK)
        with pytest.raises(MotionveilError, match=fault):
            veil_clips(cache, veil_of(f"{file}:{function}"))

    @pytest.mark.parametrize(
        ("encoder", "fault"),
        [
            ("no_such_module:veil", "cannot import no_such_module"),
            ("math:no_such_function", "math has no function 'no_such_function'"),
            ("bdqq", "bdqq"),
        ],
    )
    def test_that_is_not_there(self, encoder: str, fault: str) -> None:
        with pytest.raises(MotionveilError, match=fault):
            veil_of(encoder)


class TestFolderOfVeiledVideo:
    def veil_all(self, cache: ClipCache, folder: Path, suffix: str) -> None:
        for path in {clip.path for clip in cache.manifest.clips}:
            target = (folder / path).with_suffix(suffix)
            target.parent.mkdir(parents=True, exist_ok=True)
            with VideoSink(target, rate=25) as sink:
                for frame in read_frames(cache.manifest.root / path):
                    sink.write(255 - frame.image)

    def test_is_taken_as_it_is(self, cache: ClipCache, tmp_path: Path) -> None:
        self.veil_all(cache, tmp_path / "theirs", ".veiled.mkv")
        with pytest.raises(MotionveilError, match=r"p0/0\.\*: wanted one veiled video, found none"):
            clips_in(tmp_path / "theirs", cache)
        self.veil_all(cache, tmp_path / "ours", ".mkv")
        veiled = clips_in(tmp_path / "ours", cache, workers=1)
        for clip, mine in zip(cache.manifest.clips, veiled.manifest.clips, strict=True):
            assert np.array_equal(veiled.frames(mine), 255 - cache.frames(clip))
        assert veiled.manifest.part("validation", training=True)

    def test_with_two_for_one_is_refused(self, cache: ClipCache, tmp_path: Path) -> None:
        self.veil_all(cache, tmp_path / "theirs", ".mkv")
        (tmp_path / "theirs/p0/0.mp4").touch()
        with pytest.raises(MotionveilError, match=r"found 0\.mkv, 0\.mp4"):
            clips_in(tmp_path / "theirs", cache)


class TestCompression:
    @pytest.mark.parametrize("shape", [(24, 24), (25, 31)])
    def test_loses_more_at_a_worse_quality(self, shape: tuple[int, int]) -> None:
        rng = np.random.default_rng(0)
        frames = np.repeat(rng.integers(0, 256, (1, *shape, 1), np.uint8), 3, axis=3)
        frames = np.concatenate([np.roll(frames, t, axis=2) for t in range(5)])
        lost = []
        for quality in (0, 18, 28, 45):
            found = compress(frames, quality)
            assert found.shape == frames.shape
            assert found.dtype == np.uint8
            lost.append(float(np.abs(found.astype(int) - frames).mean()))
        assert lost[0] < 2  # grey noise survives 4:2:0
        assert lost == sorted(lost)
        assert lost[3] > 3 * lost[1]

    def test_of_veiled_clips(self, cache: ClipCache) -> None:
        veiled = veil_clips(cache, veil_of("bdq"))
        sent = compressed_clips(veiled, 38)
        clip = cache.manifest.clips[0]
        assert sent.frames(clip).shape == veiled.frames(clip).shape
        assert not np.array_equal(sent.frames(clip), veiled.frames(clip))

    def test_of_no_quality_is_refused(self) -> None:
        with pytest.raises(ValueError, match="crf 52"):
            compress(np.zeros((1, 8, 8, 3), np.uint8), 52)
