"""From what the network YuNet says of its cells to faces: boxes, scores and landmarks.

YuNet (Wu, Peng and Yu, "YuNet: a tiny millisecond-level face detector", 2023) looks at every cell
of three grids and says of each how sure it is of a face there, and where that face's box and its
five landmarks lie.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

STRIDES = (8, 16, 32)
"""Pixels from one cell of a grid to the next."""

LANDMARKS = 5
"""Both eyes, the nose, both corners of the mouth; of a pair the one on the left first."""

OUTPUTS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 2 * LANDMARKS}
"""What the network says of a cell, and in how many numbers: that it is a face, that it is a thing
at all, the box, the landmarks. The outputs are named `cls_8`, `cls_16`, ... after the grid."""


@dataclass(frozen=True)
class Faces:
    """The faces of a frame, the surest first.

    Attributes:
        boxes: float32 (N, 4): x, y of the upper left corner, width, height, in pixels of the frame.
            A box may reach over the frame's border.
        scores: float32 (N,), in [0, 1].
        landmarks: float32 (N, 5, 2): x, y in pixels; see `LANDMARKS`.
    """

    boxes: Floats
    scores: Floats
    landmarks: Floats

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, places: NDArray[np.intp]) -> Faces:
        """Return the faces at some places, in their order."""
        return Faces(self.boxes[places], self.scores[places], self.landmarks[places])


Detect = Callable[[Image], Faces]
"""Whatever finds the faces of a frame, uint8 (H, W, 3), RGB."""


def decode(outputs: Mapping[str, Floats], columns: int, threshold: float) -> Faces:
    """Turn what the network says of its cells into boxes and landmarks, the surest first.

    The cell in row r and column c of the grid of stride s says with what score there is a face,
    sqrt(cls * obj), and where: its centre is at s (c + b0), s (r + b1), its width is s exp(b2), its
    height s exp(b3), and landmark n is at s (c + k[2n]), s (r + k[2n + 1]).

    Args:
        outputs: For each stride s `cls_s` and `obj_s` (1, N, 1), `bbox_s` (1, N, 4) and `kps_s`
            (1, N, 10), the cells row by row.
        columns: Columns of the coarsest grid.
        threshold: Score below which a cell is left out.

    Returns:
        Faces in pixels of what the network saw; several cells may have found the same one.
    """
    grids = [_decode_grid(outputs, s, columns * STRIDES[-1] // s, threshold) for s in STRIDES]
    faces = Faces(
        np.concatenate([grid.boxes for grid in grids]),
        np.concatenate([grid.scores for grid in grids]),
        np.concatenate([grid.landmarks for grid in grids]),
    )
    return faces.take(np.argsort(-faces.scores, kind="stable"))


def _decode_grid(
    outputs: Mapping[str, Floats], stride: int, columns: int, threshold: float
) -> Faces:
    of_face, of_thing, boxes, points = (outputs[f"{name}_{stride}"][0] for name in OUTPUTS)
    # A sigmoid may leave [0, 1] by a rounding error.
    scores = np.sqrt(np.clip(of_face[:, 0], 0, 1) * np.clip(of_thing[:, 0], 0, 1))
    sure = np.flatnonzero(scores >= threshold)
    cells = np.stack([sure % columns, sure // columns], axis=1).astype(np.float32)  # (N, 2): c, r
    centres = (cells + boxes[sure, :2]) * stride
    sizes = np.exp(boxes[sure, 2:]) * stride
    landmarks = (cells[:, None] + points[sure].reshape(-1, LANDMARKS, 2)) * stride
    return Faces(np.hstack([centres - sizes / 2, sizes]), scores[sure], landmarks)


def suppress(faces: Faces, overlap: float) -> Faces:
    """Keep one of the faces whose boxes overlap, the surest: greedy non-maximum suppression.

    Args:
        faces: The surest first.
        overlap: Intersection over union, in [0, 1], above which the less sure of two goes.
    """
    left = np.arange(len(faces))
    kept = []
    while len(left):
        surest, left = left[0], left[1:]
        kept.append(surest)
        left = left[_overlaps(faces.boxes[surest], faces.boxes[left]) <= overlap]
    return faces.take(np.array(kept, np.intp))


def _overlaps(box: Floats, others: Floats) -> Floats:
    """Return the intersection over union of a box (4,) with each of others (N, 4)."""
    start = np.maximum(box[:2], others[:, :2])
    end = np.minimum(box[:2] + box[2:], others[:, :2] + others[:, 2:])
    common = np.maximum(0, end - start).prod(axis=1)
    together = box[2:].prod() + others[:, 2:].prod(axis=1) - common
    return np.asarray(common / together, np.float32)
