"""Faces are counted where they are, and named where they can be seen."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from evaluation.attack_examples import origin_of
from motionveil.audit_results import FaceSearch
from motionveil.datasets.manifest import Clip
from motionveil.errors import MotionveilError
from motionveil.evaluation.attacks.faces import (
    Faces,
    SeenFaces,
    face_search,
    find_faces,
    some_of_each,
)
from motionveil.evaluation.data import Window, window_of
from motionveil.networks.face_embedding import FaceDescriber, load_face_describer
from motionveil.video import VideoSink
from videos import write_pictures

PEOPLE, SIDE, T = ("ann", "bob", "eve"), 60, 6
SHADES = (90, 150, 210)
TIMES = np.arange(T) / 25


class ByBrightness(FaceDescriber):
    """Describes a face by its middle's mean colour."""

    def forward(self, chips: torch.Tensor) -> torch.Tensor:
        mean = chips[:, :, 50:100, 50:100].mean((2, 3))
        return torch.nn.functional.pad(mean, (0, 125))


def clips(split: str, count: int) -> list[Clip]:
    return [
        Clip(f"{name}-{split}{n}.mkv", 0, T, "wave", {"person": name}, f"{name}{split}{n}", split)
        for name in PEOPLE
        for n in range(count)
    ]


def film(clip: Clip) -> Window:
    """A bright square for a face on black, in the person's shade; nobody in `bob`'s first clip."""
    frames = np.zeros((T, SIDE, SIDE, 3), np.uint8)
    if clip.path != "bob-validation0.mkv":
        frames[:, 10:30, 20:36] = SHADES[PEOPLE.index(clip.privacy["person"])]
    return Window(frames, TIMES)


def detect(frame: np.ndarray) -> np.ndarray:
    """The box of what is bright."""
    bright = np.argwhere(frame[..., 0] > 50)
    if not len(bright):
        return np.empty((0, 4), np.float32)
    (top, left), (bottom, right) = bright.min(0), bright.max(0) + 1
    return np.array([[left, top, right - left, bottom - top]], np.float32)


def faces_seen(veil, *, describe: FaceDescriber | None = None) -> SeenFaces:
    def veil_at(clip: Clip, window: Window) -> np.ndarray:
        assert window.times is TIMES
        return veil(window.frames)

    return find_faces(
        clips("validation", 4),
        clips("train", 2),
        PEOPLE,
        "person",
        film=film,
        veil=veil_at,
        detect=detect,
        describe=describe,
    )


def finding(seen: SeenFaces) -> FaceSearch:
    return face_search(origin_of(Faces(name="faces", detector="y.onnx")), seen)


def test_raw_faces_are_detected_and_identified() -> None:
    found = finding(faces_seen(lambda frames: frames, describe=ByBrightness()))
    assert (found.clips, found.with_faces) == (12, 11)
    assert found.original.value == found.veiled.value == pytest.approx(11 / 12)
    assert found.redetected is not None
    assert found.redetected.value == 1
    assert found.naming is not None
    assert (found.naming.clips, found.naming.original.value, found.naming.veiled.value) == (
        11,
        1,
        1,
    )
    assert found.naming.chance_level == pytest.approx(4 / 11)
    assert found.naming.p < 0.01


def test_blank_frames_have_no_faces_and_identify_at_chance_level() -> None:
    found = finding(faces_seen(lambda frames: frames[1:] * 0, describe=ByBrightness()))
    assert found.veiled.value == 0
    assert found.redetected is not None
    assert found.redetected.value == 0
    assert found.naming is not None
    assert found.naming.original.value == 1
    assert found.naming.veiled.value <= found.naming.chance_level
    assert found.naming.p == 1


def test_a_face_elsewhere_is_not_redetected() -> None:
    found = finding(faces_seen(lambda frames: np.roll(frames, 25, axis=1)))
    assert found.veiled.value == found.original.value
    assert found.redetected is not None
    assert found.redetected.value == 0
    assert found.naming is None


def test_nobody_anywhere() -> None:
    seen = find_faces(
        clips("validation", 2), [], PEOPLE, "person",
        film=lambda clip: Window(np.zeros((T, SIDE, SIDE, 3), np.uint8), TIMES),
        veil=lambda clip, window: window.frames, detect=detect, describe=ByBrightness(),
    )  # fmt: skip
    found = finding(seen)
    assert (found.with_faces, found.redetected, found.naming) == (0, None, None)


def test_a_window_is_the_middle_of_a_clip(tmp_path: Path) -> None:
    with VideoSink(tmp_path / "a.mp4", rate=25, aspect=Fraction(64, 45)) as sink:
        for number in range(60):
            sink.write(np.full((16, 16, 3), 4 * number, np.uint8))
    clip = Clip("a.mp4", 10, 50, "wave", {}, "a", "train")
    for rate, numbers in ((None, range(22, 38)), (12.5, range(14, 46, 2)), (5, range(10, 50, 5))):
        frames, times, aspect = window_of(tmp_path, clip, rate)
        assert aspect == Fraction(64, 45)
        np.testing.assert_allclose(frames[:, 8, 8, 0], 4 * np.array(numbers), atol=1.9)
        np.testing.assert_allclose(times, np.array(numbers) / 25, atol=0.00051)


def test_a_window_of_pictures_has_the_rate_of_the_data_set(tmp_path: Path) -> None:
    levels = np.arange(20, dtype=np.uint8)[:, None, None, None]
    write_pictures(tmp_path / "shots", np.broadcast_to(levels, (20, 16, 16, 3)).copy())
    clip = Clip("shots", 0, 20, "wave", {}, "a", "train")
    for rate, every in ((15, 1), (30, 2), (None, 2)):  # None: 25 per second
        frames, times, aspect = window_of(tmp_path, clip, 15, image_rate=rate)
        assert aspect == 1
        numbers = np.arange(20)[::every]
        middle = (len(numbers) - min(16, len(numbers))) // 2
        numbers = numbers[middle : middle + 16]
        assert frames[:, 0, 0, 0].tolist() == numbers.tolist()
        np.testing.assert_allclose(times, numbers / (rate or 25))


def test_clips_of_everybody_are_known() -> None:
    known = some_of_each(clips("train", 20), "person")
    assert [sum(c.privacy["person"] == name for c in known) for name in PEOPLE] == [8, 8, 8]
    assert len({clip.path for clip in known}) == 24


def test_another_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MotionveilError, match=r"none\.safetensors: no such weights file"):
        load_face_describer(tmp_path / "none.safetensors")
    file = tmp_path / "other.safetensors"
    save_file({"fc.weight": torch.zeros(2, 2)}, file)
    with pytest.raises(MotionveilError, match="not dlib's face recognition network: 117 tensors"):
        load_face_describer(file)
