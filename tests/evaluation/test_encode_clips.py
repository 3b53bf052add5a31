"""What networks are given is, byte for byte, what a camera would have stored."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from motionveil.datasets.cache import ClipCache
from motionveil.datasets.manifest import Clip, Manifest
from motionveil.encoders import BDQ, Encoder
from motionveil.errors import MotionveilError
from motionveil.evaluation.encode_clips import (
    clips_in,
    original_clips,
    veil_clips,
    veil_of,
    veil_of_encoder,
    working_clips,
)
from motionveil.geometry import Geometry
from motionveil.spec import load_spec
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


def by_module(frames: NDArray[np.uint8], encoder: Encoder | None = None) -> NDArray[np.uint8]:
    """Veil frames, (T, H, W, 3), by an encoder's module, and round `17 y` to 8 bits."""
    encoder = encoder or BDQ(load_spec("bdq"))
    clip = torch.from_numpy(frames.copy()).permute(3, 0, 1, 2)[None] / 255
    with torch.no_grad():
        veiled = (17 * encoder(clip)[0]).permute(1, 2, 3, 0).numpy()
    return np.rint(veiled).astype(np.uint8)


def without_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare every two frames: the toys fill so much of the image that a guard blocks."""
    monkeypatch.setattr("motionveil.evaluation.encode_clips.Guard", lambda: None)


class TestEncoder:
    def test_leaves_what_the_mathematics_say(
        self, cache: ClipCache, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The differentiable encoder on the whole clip at once, rounded."""
        without_guard(monkeypatch)
        veiled = veil_clips(cache, veil_of("bdq"))
        for clip in cache.manifest.clips:
            found = veiled.frames(clip)
            assert found.shape == (FRAMES - 1, 24, 24, 3)
            assert np.abs(found.astype(int) - by_module(cache.frames(clip))).max() <= 1
            assert found.std() > 5

    def test_is_guarded_as_behind_a_camera(self, tmp_path: Path) -> None:
        """A cut within a clip has no valid difference: the neutral frame is shown."""
        rng = np.random.default_rng(0)
        rooms = np.repeat(rng.integers(0, 256, (2, 24, 24, 3), np.uint8), 4, axis=0)
        with VideoSink(tmp_path / "x.mkv", rate=25) as sink:
            for frame in rooms:
                sink.write(frame)
        clip = Clip("x.mkv", 0, 8, "run", {"person": "p"}, "g", "train")
        manifest = Manifest("cut", tmp_path, (clip,))
        cache = ClipCache.build(manifest, size=24, folder=tmp_path / "cache")
        veiled = veil_clips(cache, veil_of("bdq")).frames(clip)
        assert by_module(rooms)[3].std() > 5
        assert not np.ptp(veiled, axis=(1, 2, 3)).any()

    def test_that_cannot_stream_is_run_whole(self, cache: ClipCache) -> None:
        """With the range of each clip, which a camera cannot know."""
        encoder = BDQ(load_spec("bdq").change(range_mode="clip"))
        veiled = veil_clips(cache, veil_of_encoder(encoder, "by clip"))
        for clip in cache.manifest.clips:
            wanted = by_module(cache.frames(clip), encoder)
            assert np.array_equal(veiled.frames(clip), wanted)

    def test_of_raw_video_leaves_it(self, cache: ClipCache) -> None:
        veiled = veil_clips(cache, veil_of("raw"))
        for clip in cache.manifest.clips:
            assert np.array_equal(veiled.frames(clip), cache.frames(clip))

    def test_is_not_run_again(self, cache: ClipCache, monkeypatch: pytest.MonkeyPatch) -> None:
        first = veil_clips(cache, veil_of("bdq"))
        monkeypatch.setattr(
            "motionveil.evaluation.encode_clips.StreamEncoder",
            lambda *spec, **options: pytest.fail("veiled again"),
        )
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

    def test_of_a_slower_camera(self, cache: ClipCache, monkeypatch: pytest.MonkeyPatch) -> None:
        """Differences are then between every other frame, 12.5 of 25 per second."""
        without_guard(monkeypatch)
        slower = working_clips(cache.manifest, Geometry(size=24, rate=15))
        veiled = veil_clips(slower, veil_of("bdq"))
        for clip in cache.manifest.clips:
            wanted = by_module(cache.frames(clip)[::2])
            assert np.abs(veiled.frames(clip).astype(int) - wanted).max() <= 1

    def test_has_its_own_geometry_or_that_of_the_experiment(self) -> None:
        experiment = Geometry(size=32, rate=20)
        assert veil_of("bdq-ut").geometry(experiment) == Geometry(size=96, rate=10)
        assert veil_of("blur-4").geometry(experiment) == experiment
        assert veil_of("statistics:mean").geometry(experiment) == experiment


class TestOriginals:
    @pytest.mark.parametrize(("encoder", "first"), [("bdq", 1), ("raw", 0)])
    @pytest.mark.parametrize(("rate", "every"), [(25, 1), (15, 2)])
    def test_stand_beside_their_veiled_frames(
        self, cache: ClipCache, encoder: str, first: int, rate: float, every: int
    ) -> None:
        filmed = working_clips(cache.manifest, Geometry(size=24, rate=rate))
        veiled = veil_clips(filmed, veil_of(encoder))
        originals = original_clips(filmed, veiled)
        for clip in cache.manifest.clips:
            wanted = cache.frames(clip)[::every][first:]
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
            ("math:no_such_function", "math has no 'no_such_function'"),
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
