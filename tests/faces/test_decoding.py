"""What the network says becomes faces: against loops over single cells, and counted pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from motionveil.faces.detector import Faces, decode, suppress

ROWS, COLUMNS = 2, 3  # of the coarsest grid


def _outputs(seed: int) -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    outputs = {}
    for stride in (8, 16, 32):
        cells = ROWS * COLUMNS * (32 // stride) ** 2
        outputs[f"cls_{stride}"] = rng.random((1, cells, 1), np.float32)
        outputs[f"obj_{stride}"] = rng.random((1, cells, 1), np.float32)
        outputs[f"bbox_{stride}"] = rng.normal(0, 1, (1, cells, 4)).astype(np.float32)
        outputs[f"kps_{stride}"] = rng.normal(0, 2, (1, cells, 10)).astype(np.float32)
    return outputs


def _slowly(outputs: dict[str, NDArray[np.float32]], threshold: float) -> list[list[float]]:
    """Return score, box and landmarks of each cell that is sure enough, in one list each."""
    found = []
    for stride in (8, 16, 32):
        for row in range(ROWS * 32 // stride):
            for column in range(COLUMNS * 32 // stride):
                cell = row * COLUMNS * 32 // stride + column
                cls, obj = (
                    outputs[f"cls_{stride}"][0, cell, 0],
                    outputs[f"obj_{stride}"][0, cell, 0],
                )
                score = math.sqrt(cls * obj)
                if score < threshold:
                    continue
                right, down, wide, high = map(float, outputs[f"bbox_{stride}"][0, cell])
                width, height = stride * math.exp(wide), stride * math.exp(high)
                left = stride * (column + right) - width / 2
                top = stride * (row + down) - height / 2
                points = [
                    stride * (float(value) + (row if n % 2 else column))
                    for n, value in enumerate(outputs[f"kps_{stride}"][0, cell])
                ]
                found.append([score, left, top, width, height, *points])
    return sorted(found, reverse=True)


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.9])
def test_decodes_as_cell_by_cell(threshold: float) -> None:
    outputs = _outputs(seed=1)
    faces = decode(outputs, COLUMNS, threshold)
    expected = np.array(_slowly(outputs, threshold))
    assert 0 < len(faces) == len(expected)
    assert np.allclose(faces.scores, expected[:, 0], atol=1e-6)
    assert np.allclose(faces.boxes, expected[:, 1:5], rtol=1e-5, atol=1e-3)
    assert np.allclose(faces.landmarks.reshape(-1, 10), expected[:, 5:], rtol=1e-5, atol=1e-3)


def test_no_cell_is_sure_enough() -> None:
    faces = decode(_outputs(seed=2), COLUMNS, 1.0)
    assert len(faces) == 0
    assert faces.boxes.shape == (0, 4)
    assert faces.landmarks.shape == (0, 5, 2)


def _faces(boxes: list[tuple[int, int, int, int]]) -> Faces:
    scores = np.linspace(0.9, 0.5, len(boxes)).astype(np.float32)
    landmarks = np.arange(len(boxes) * 10, dtype=np.float32).reshape(-1, 5, 2)
    return Faces(np.array(boxes, np.float32).reshape(-1, 4), scores, landmarks)


def _pixels(box: tuple[int, int, int, int]) -> set[tuple[int, int]]:
    x, y, width, height = box
    return {(x + i, y + j) for i in range(width) for j in range(height)}


@pytest.mark.parametrize("overlap", [0.0, 0.3, 0.6, 1.0])
def test_suppresses_as_by_counted_pixels(overlap: float) -> None:
    rng = np.random.default_rng(3)
    boxes = [tuple(map(int, box)) for box in rng.integers([0, 0, 4, 4], [16, 16, 14, 14], (40, 4))]
    expected: list[int] = []
    for number, box in enumerate(boxes):
        kept = [_pixels(boxes[other]) for other in expected]
        mine = _pixels(box)
        if all(len(mine & other) <= overlap * len(mine | other) for other in kept):
            expected.append(number)
    faces = _faces(boxes)
    kept = suppress(faces, overlap)
    assert np.array_equal(kept.boxes, faces.boxes[expected])
    assert np.array_equal(kept.scores, faces.scores[expected])
    assert np.array_equal(kept.landmarks, faces.landmarks[expected])
    assert overlap == 1.0 or len(kept) < len(boxes)


def test_nothing_to_suppress() -> None:
    assert len(suppress(_faces([]), 0.3)) == 0
    assert len(suppress(_faces([(0, 0, 5, 5)]), 0.3)) == 1
