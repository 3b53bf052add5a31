"""The blur: strong inside, nothing outside, at any place and size; and faces that are held."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.faces import FaceMemory, blur_faces

Image = NDArray[np.uint8]


def _noise(height: int = 60, width: int = 80, seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def _boxes(*boxes: tuple[float, float, float, float]) -> NDArray[np.float32]:
    return np.array(boxes, np.float32).reshape(-1, 4)


def _outside(image: Image, box: tuple[float, float, float, float], margin: float) -> NDArray:
    """Say of each pixel whether its middle lies outside the ellipse, by its equation."""
    x, y, width, height = box
    outside = np.empty(image.shape[:2], bool)
    for row, column in np.ndindex(outside.shape):
        across = (column + 0.5 - x - width / 2) / (margin * width / 2)
        down = (row + 0.5 - y - height / 2) / (margin * height / 2)
        outside[row, column] = across**2 + down**2 >= 1
    return outside


@pytest.mark.parametrize("margin", [1.0, 1.3, 2.0])
@pytest.mark.parametrize(
    "box",
    [(30, 20, 16, 20), (-6, -8, 20, 20), (70, 50, 20, 26), (0, 0, 80, 60), (30.3, 20.7, 5.5, 3.2)],
)
def test_outside_is_untouched_and_inside_changed(
    box: tuple[float, float, float, float], margin: float
) -> None:
    frame = _noise()
    before = frame.copy()
    blurred = blur_faces(frame, _boxes(box), margin=margin)
    outside = _outside(frame, box, margin)
    assert np.array_equal(blurred[outside], frame[outside])
    assert (blurred[~outside] != frame[~outside]).any(axis=-1).mean() > 0.8
    assert np.array_equal(frame, before)


@pytest.mark.parametrize("place", [(40, 30), (4, 30), (40, 57), (79, 0)])
def test_is_the_gaussian_in_the_middle(place: tuple[int, int]) -> None:
    """Summed over the whole frame, where ours sums as far as three sigmas."""
    frame = _noise(seed=1)
    column, row = place
    box = (column + 0.5 - 8, row + 0.5 - 10, 16, 20)  # around the middle of that pixel
    sigma = 0.25 * 20
    total, weights = np.zeros(3), 0.0
    for y, x in np.ndindex(frame.shape[:2]):
        weight = math.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * sigma**2))
        total += weight * frame[y, x]
        weights += weight
    blurred = blur_faces(frame, _boxes(box))
    assert np.abs(blurred[row, column] - total / weights).max() <= 1


@pytest.mark.parametrize("size", [12, 40, 160])
def test_nothing_is_left_of_a_face_of_any_size(size: int) -> None:
    """Black and white stripes, four to a face: finer than what lies between two eyes."""
    frame = np.zeros((2 * size, 2 * size, 3), np.uint8)
    frame[:, np.arange(2 * size) // (size // 4) % 2 == 0] = 255
    blurred = blur_faces(frame, _boxes((size / 2, size / 2, size, size)))
    middle = slice(3 * size // 4, 5 * size // 4)
    assert frame[middle, middle].std() > 120
    assert blurred[middle, middle].std() < 12


def test_a_plain_wall_stays_as_it_is() -> None:
    frame = np.full((40, 50, 3), (7, 130, 255), np.uint8)
    assert np.array_equal(blur_faces(frame, _boxes((-5, 10, 30, 40))), frame)


def test_each_of_several_faces() -> None:
    frame = _noise()
    blurred = blur_faces(frame, _boxes((5, 5, 10, 10), (50, 30, 10, 10)))
    assert not np.array_equal(blurred[10, 10], frame[10, 10])
    assert not np.array_equal(blurred[35, 55], frame[35, 55])
    assert np.array_equal(blurred[20:28], frame[20:28])


@pytest.mark.parametrize(
    "boxes",
    [
        (),
        ((100, 20, 10, 10),),  # right of the frame
        ((20, -40, 10, 10),),  # above
        ((20, 20, 0, 10),),
        ((20, 20, 10, -3),),
    ],
)
def test_nothing_to_blur(boxes: tuple[tuple[float, float, float, float], ...]) -> None:
    frame = _noise()
    blurred = blur_faces(frame, _boxes(*boxes))
    assert np.array_equal(blurred, frame)
    assert not np.shares_memory(blurred, frame)


def test_a_face_smaller_than_a_pixel() -> None:
    frame = _noise()
    blurred = blur_faces(frame, _boxes((20.2, 20.2, 0.6, 0.6)))
    changed = np.argwhere((blurred != frame).any(axis=-1)).tolist()
    assert changed in ([], [[20, 20]])


@pytest.mark.parametrize("margin", [0, -1, float("nan"), float("inf")])
def test_margin_out_of_range(margin: float) -> None:
    with pytest.raises(MotionveilError, match=r"margin is .*, it must be above 0"):
        blur_faces(_noise(), _boxes((1, 1, 5, 5)), margin=margin)


NOTHING = _boxes()


class TestFaceMemory:
    def test_holds_a_lost_face_and_lets_it_go(self) -> None:
        memory, face = FaceMemory(hold=3), _boxes((10, 10, 8, 8))
        assert memory.update(face).tolist() == face.tolist()
        for _ in range(3):
            assert memory.update(NOTHING).tolist() == face.tolist()
        assert len(memory.update(NOTHING)) == 0

    def test_a_redetected_face_is_held_from_then_on(self) -> None:
        memory = FaceMemory(hold=2)
        memory.update(_boxes((10, 10, 8, 8)))
        memory.update(NOTHING)
        moved = _boxes((13, 11, 8, 8))
        assert memory.update(moved).tolist() == moved.tolist()  # one face, not two
        assert memory.update(NOTHING).tolist() == moved.tolist()
        assert memory.update(NOTHING).tolist() == moved.tolist()
        assert len(memory.update(NOTHING)) == 0

    def test_another_face_does_not_stand_for_the_lost_one(self) -> None:
        memory = FaceMemory(hold=1)
        memory.update(_boxes((10, 10, 8, 8), (50, 10, 8, 8)))
        found = _boxes((51, 10, 8, 8))
        assert memory.update(found).tolist() == [[51, 10, 8, 8], [10, 10, 8, 8]]
        assert memory.update(found).tolist() == found.tolist()

    def test_holds_nothing_if_told_so(self) -> None:
        memory = FaceMemory(hold=0)
        memory.update(_boxes((10, 10, 8, 8)))
        assert len(memory.update(NOTHING)) == 0
        with pytest.raises(MotionveilError, match="hold is -1, it must be 0 or more"):
            FaceMemory(hold=-1)
