"""Blurring faces: what lies under an ellipse around each box, and a memory for faces that are lost.

It is what deployed anonymisers do. It hides a face, where one was found, and nothing else of a
person.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.faces.decoding import Floats, Image

MARGIN = 1.3
HOLD = 5

SIGMA = 0.25
"""Standard deviation of the blur, in longer sides of the box: eyes are about twice that apart."""

RIM = 0.15
"""Outer share of the ellipse's radius over which the blur fades out."""


def blur_faces(frame: Image, boxes: Floats, *, margin: float = MARGIN) -> Image:
    """Blur what lies under an ellipse around each box, and leave every other pixel as it is.

    The ellipse is the one inscribed in the box, `margin` times as large; at its rim the blur fades
    out. The blur is a Gaussian whose sigma goes with the box, so that little is left of a large
    face too.

    Args:
        frame: uint8 (H, W, 3).
        boxes: (N, 4): x, y, width, height in pixels. What lies outside the frame is cut off; a box
            without size is passed over.
        margin: How many times the ellipse is as large as the box, above 0.

    Returns:
        uint8 (H, W, 3), a new array.

    Raises:
        MotionveilError: The margin is not above 0.
    """
    check_margin(margin)
    blurred = frame.copy()
    for x, y, width, height in boxes.tolist():
        if width > 0 and height > 0:
            centre = x + width / 2, y + height / 2
            _blur_ellipse(blurred, centre, (margin * width / 2, margin * height / 2), margin)
    return blurred


def check_margin(margin: float) -> None:
    """Raise a `MotionveilError` if a margin is not above 0."""
    if not 0 < margin < np.inf:
        raise MotionveilError(f"margin is {margin}, it must be above 0")


def _blur_ellipse(
    image: Image, centre: tuple[float, float], radii: tuple[float, float], margin: float
) -> None:
    """Blur an ellipse of an image, in place; `centre` and `radii` as x, y in pixels."""
    height, width = image.shape[:2]
    left, right = _pixels(centre[0], radii[0], width)
    top, bottom = _pixels(centre[1], radii[1], height)
    if left >= right or top >= bottom:
        return
    sigma = max(1.0, SIGMA * 2 * max(radii) / margin)
    reach = int(np.ceil(3 * sigma))
    # What is around the ellipse takes part in the blur, as far as the Gaussian reaches.
    first_row, first_column = max(0, top - reach), max(0, left - reach)
    around = image[first_row : bottom + reach, first_column : right + reach].astype(np.float32)
    rows = _gaussian(np.arange(top, bottom), first_row, around.shape[0], sigma)
    columns = _gaussian(np.arange(left, right), first_column, around.shape[1], sigma)
    smooth = np.einsum("yh,hwc,xw->yxc", rows, around, columns, optimize=True)
    share = _ellipse(np.arange(left, right), np.arange(top, bottom), centre, radii)[..., None]
    there = image[top:bottom, left:right]
    there[...] = np.rint(there + share * (smooth - there)).astype(np.uint8)


def _pixels(centre: float, radius: float, size: int) -> tuple[int, int]:
    """Return the first pixel of an axis that an ellipse touches, and the one after the last."""
    first, after = np.clip([centre - radius, centre + radius], 0, size)
    return int(np.floor(first)), int(np.ceil(after))


def _gaussian(
    targets: NDArray[np.intp], first: int, size: int, sigma: float
) -> NDArray[np.float32]:
    """Return the weights (targets, size) of the pixels from `first` on, for each target pixel.

    They add up to one, also where the frame's border cuts the Gaussian off.
    """
    distance = targets[:, None] - np.arange(first, first + size)
    weights = np.exp(-(distance**2) / (2 * sigma**2))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _ellipse(
    x: NDArray[np.intp],
    y: NDArray[np.intp],
    centre: tuple[float, float],
    radii: tuple[float, float],
) -> NDArray[np.float32]:
    """Return how far each pixel (y, x) is to be blurred: 1 inside, 0 outside the ellipse."""
    # A pixel's middle is half a pixel from its corner.
    across = (x + 0.5 - centre[0]) / radii[0]
    down = (y + 0.5 - centre[1]) / radii[1]
    radius = np.hypot(across, down[:, None])
    return np.clip((1 - radius) / RIM, 0, 1).astype(np.float32)


class FaceMemory:
    """Keeps a face that was lost blurred for some frames more, where it was last found.

    A detector loses a face for a frame or two whenever somebody turns or blinks, and one frame that
    shows it undoes the rest. A remembered box goes when a new one lies over its centre, which is
    taken for the same face, or after `hold` frames. What is lost for longer is seen, and so is a
    face before it was first found.

    Args:
        hold: Frames for which a lost face is remembered, 0 or more.

    Raises:
        MotionveilError: `hold` is below 0.
    """

    def __init__(self, hold: int = HOLD) -> None:
        if hold < 0:
            raise MotionveilError(f"hold is {hold}, it must be 0 or more")
        self.hold = hold
        self._boxes = np.empty((0, 4), np.float32)
        self._ages = np.empty(0, np.intp)

    def update(self, found: Floats) -> Floats:
        """Take the boxes (N, 4) found in the next frame and return those to blur, (M, 4)."""
        ages = self._ages + 1
        lost = (ages <= self.hold) & ~_covered(self._boxes, found)
        self._boxes = np.concatenate([found, self._boxes[lost]])
        self._ages = np.concatenate([np.zeros(len(found), np.intp), ages[lost]])
        return self._boxes


def _covered(boxes: Floats, others: Floats) -> NDArray[np.bool_]:
    """Say of each box (N, 4) whether one of the others (M, 4) lies over its centre."""
    centres = (boxes[:, :2] + boxes[:, 2:] / 2)[:, None]  # (N, 1, 2)
    start, size = others[:, :2], others[:, 2:]
    inside = (centres >= start) & (centres <= start + size)  # (N, M, 2)
    return np.asarray(np.any(np.all(inside, axis=2), axis=1), np.bool_)
