"""Events before and after, as one image (PNG)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from camera_film import Frames, resized

TALL, WIDE, GAP = 180, 240, 6


@dataclass
class Example:
    """One event.

    Attributes:
        family: Its name.
        r: |r| of what was written before.
        source: The frame of the source, uint8 (H, W, 3).
        before: What was written of it.
        after: What is written of it.
    """

    family: str
    r: float
    source: Frames
    before: Frames
    after: Frames | None = None


def write_picture(path: str, examples: list[Example]) -> None:
    """Write one row an event: the source, what was written before, what is written now."""
    rows = []
    for example in examples:
        assert example.after is not None
        tiles = [_tile(image) for image in (example.source, example.before, example.after)]
        gap = np.full((TALL, GAP, 3), 255, np.uint8)
        rows.append(np.hstack([tiles[0], gap, tiles[1], gap, tiles[2]]))
        rows.append(np.full((GAP, rows[0].shape[1], 3), 255, np.uint8))
    encoder = av.CodecContext.create("png", "w")
    picture = np.ascontiguousarray(np.vstack(rows[:-1]))
    encoder.height, encoder.width = picture.shape[:2]
    encoder.pix_fmt, encoder.time_base = "rgb24", Fraction(1)
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    Path(path).write_bytes(b"".join(bytes(packet) for packet in packets))
    print(f"wrote {path}: {', '.join(example.family for example in examples)}")


def _tile(image: Frames) -> Frames:
    """Fit an image into a tile on white, whole."""
    scale = min(TALL / image.shape[0], WIDE / image.shape[1])
    tall, wide = round(image.shape[0] * scale), round(image.shape[1] * scale)
    tile = np.full((TALL, WIDE, 3), 255, np.uint8)
    top, left = (TALL - tall) // 2, (WIDE - wide) // 2
    small = resized(image.astype(np.float32), tall, wide)
    tile[top : top + tall, left : left + wide] = np.clip(small, 0, 255).astype(np.uint8)
    return tile
