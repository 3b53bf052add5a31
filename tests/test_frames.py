"""Frames in memory, clips of a manifest, and torchvision's transform are veiled as files are."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

import motionveil
from motionveil.cli import main
from motionveil.datasets.manifest import Manifest
from motionveil.errors import MotionveilError
from motionveil.transforms import Veil, tv_tensors, v2
from motionveil.video import VideoSink, read_clip
from motionveil.video.reader import whole_rate
from videos import moving_square


@pytest.fixture(scope="module")
def filmed() -> np.ndarray:
    return moving_square(20, height=96, width=128)


@pytest.fixture(scope="module")
def file(filmed: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("filmed") / "in.mkv"  # FFV1, without loss
    with VideoSink(file, rate=Fraction(30000, 1001)) as sink:
        for frame in filmed:
            sink.write(frame)
    return file


@pytest.mark.parametrize("encoder", ["bdq", "moments"])
def test_frames_become_the_bytes_that_encode_writes(
    encoder: str, filmed: np.ndarray, file: Path, tmp_path: Path
) -> None:
    np.testing.assert_array_equal(read_clip(file), filmed)
    assert main(["encode", str(file), str(tmp_path / "out.mkv"), "--encoder", encoder]) == 0
    written = read_clip(tmp_path / "out.mkv")
    veiled = motionveil.veil_frames(filmed, 29.97, encoder=encoder)
    assert len(veiled) == len(filmed) // 2
    np.testing.assert_array_equal(veiled, written)
    assert veiled[1:].std() > 0


@pytest.mark.parametrize(
    ("frames", "rate", "said"),
    [
        (np.zeros((4, 48, 64, 3), np.float32), 30, r"float32 \(4, 48, 64, 3\); they must be uint8"),
        (np.zeros((0, 48, 64, 3), np.uint8), 30, r"\(0, 48, 64, 3\)"),
        (np.zeros((4, 48, 64, 3), np.uint8), 0, "a rate of 0 frames per second"),
        (np.zeros((4, 48, 64, 3), np.uint8), float("nan"), "a rate of nan"),
        (np.zeros((4, 48, 64, 3), np.uint8), 0.00001, "must be between 0.0001 and"),
        ([np.zeros((48, 64, 3), np.uint8)], 30, "a list; they must be uint8"),
    ],
)
def test_wrong_frames_are_refused(frames: np.ndarray, rate: float, said: str) -> None:
    with pytest.raises(MotionveilError, match=said):
        motionveil.veil_frames(frames, rate)


def test_rounded_rates_of_television_stand_for_the_exact_ones() -> None:
    exact = [Fraction(n * 1000, 1001) for n in (24, 30, 60)]
    assert [whole_rate(rate) for rate in (23.976, 29.97, 59.94)] == exact
    assert [whole_rate(float(rate)) for rate in exact] == exact
    assert [whole_rate(rate) for rate in (1, 12.5, 30)] == [1, 12.5, 30]


def test_the_transform_veils_videos_and_leaves_the_rest(filmed: np.ndarray) -> None:
    video = torch.from_numpy(filmed).permute(0, 3, 1, 2)
    expected = motionveil.veil_frames(filmed, 30, encoder="bdq", first="drop")
    mask = tv_tensors.Mask(torch.ones(96, 128, dtype=torch.uint8))
    transform = v2.Compose([Veil("bdq", rate=30), v2.Identity()])
    veiled, label, left = transform(tv_tensors.Video(video), 3, mask)
    assert isinstance(veiled, tv_tensors.Video)
    assert (label, left) == (3, mask)
    np.testing.assert_array_equal(veiled.permute(0, 2, 3, 1), expected)
    two = transform(torch.stack([video, video.flip(0)]))
    np.testing.assert_array_equal(two[0].permute(0, 2, 3, 1), expected)
    assert not torch.equal(two[0], two[1])
    assert transform(torch.stack([video])[:0]).shape == (0, *veiled.shape)
    with pytest.raises(MotionveilError, match="at least one"):
        transform(video[:0])
    with pytest.raises(MotionveilError, match="must be uint8"):
        transform(video / 255)
    with pytest.raises(MotionveilError, match="a rate of 0"):
        Veil("bdq", rate=0)


def test_clips_come_with_their_labels_raw_or_veiled(toys: Manifest) -> None:
    veiled = motionveil.iterate_clips(toys, training=False, encoder="bdq")
    raw = list(motionveil.iterate_clips(toys.file, training=False))
    clips = toys.part(training=False)
    assert [s["clip"] for s in raw] == [clip.key for clip in clips]
    assert len({s["__key__"] for s in raw}) == len(clips)
    for clip, sample in zip(clips, raw, strict=True):
        filmed = read_clip(toys.root / clip.path, clip.start, clip.end)
        np.testing.assert_array_equal(sample["video"], filmed)
        assert toys.actions[sample["action_id"]] == sample["action"] == clip.action
        assert {name: sample[name] for name in clip.privacy} == clip.privacy
    other, filmed = next(veiled), raw[0]["video"]
    expected = motionveil.veil_frames(filmed, raw[0]["fps"], encoder="bdq", first="drop")
    np.testing.assert_array_equal(other["video"], expected)
    assert (other["clip"], other["fps"]) == (clips[0].key, 12.5)


def test_a_label_that_would_replace_a_clip_s_own_value_is_refused(toys: Manifest) -> None:
    clips = tuple(replace(clip, privacy={"fps": "1"}) for clip in toys.clips)
    with pytest.raises(MotionveilError, match="a privacy label is called 'fps'"):
        next(motionveil.iterate_clips(replace(toys, clips=clips)))


def test_the_page_s_examples_run() -> None:
    page = Path(__file__).parents[1] / "docs" / "other-programs.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(block, {})


def test_a_first_that_does_not_exist_is_refused() -> None:
    frames = np.zeros((2, 48, 64, 3), np.uint8)
    with pytest.raises(MotionveilError, match="no first 'skip'; there are neutral, drop"):
        motionveil.veil_frames(frames, 15, first="skip")  # type: ignore[arg-type]


def test_an_empty_name_is_no_encoder() -> None:
    with pytest.raises(MotionveilError, match="name is empty"):
        motionveil.veil_frames(np.zeros((2, 48, 64, 3), np.uint8), 15, encoder="")
