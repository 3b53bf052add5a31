"""Turning a decoded picture upright as the file asks."""

from __future__ import annotations

from typing import Any

import numpy as np

from motionveil.video.types import Image

UPRIGHT = (1, 0, 0, 1)


def orientation(frame: Any) -> tuple[int, int, int, int]:
    """Return (a, b, c, d) of a decoded frame's display matrix, each -1, 0 or 1.

    The matrix takes the pixel (x, y) of the stored picture to (a x + c y, b x + d y) of the
    displayed one, up to a shift (ISO/IEC 14496-12, section 6.2.2). Cameras write quarter turns
    and mirror images only; an angle between is taken to the nearest quarter turn.
    """
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return UPRIGHT
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].astype(np.float64)
    if max(abs(b), abs(c)) > max(abs(a), abs(d)):
        return 0, int(np.sign(b)), int(np.sign(c)), 0
    return (int(np.sign(a)) or 1), 0, 0, (int(np.sign(d)) or 1)


def upright(image: Image, matrix: tuple[int, int, int, int]) -> Image:
    """Turn and mirror an image (H, W, 3) by the matrix of `orientation`; contiguous."""
    if matrix == UPRIGHT:
        return image
    a, b, c, d = matrix
    if a == 0:
        image = image.transpose(1, 0, 2)
    if a + c < 0:
        image = image[:, ::-1]
    if b + d < 0:
        image = image[::-1]
    return np.ascontiguousarray(image)
