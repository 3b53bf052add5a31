"""From a veiled frame to what an action network sees of it: the same bytes as in validation.

`motionveil.datasets.dataset` cuts and resizes clips with torch for training and validation. This
module does the same for one frame without torch; a test compares the two byte by byte.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from motionveil.errors import MotionveilError
from motionveil.streaming.geometry import repeat_pixels

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

Fit = Literal["short-side", "letterbox", "squeeze"]
"""How a frame becomes a square; see `motionveil.datasets.dataset.ClipDataset`."""

_MOST_BITS = 22  # of the weights' fraction
_WEIGHT_LIMIT = 1 << 15  # weights are 16-bit


class NetworkInput(BaseModel):
    """How veiled frames are brought to an action network.

    Attributes:
        size: Side of the network's input in pixels.
        fit: `"short-side"`: the square in the middle of the frame; `"squeeze"`: the whole frame,
            its aspect changed; `"letterbox"`: the whole frame, its border repeated to a square.
        cell: How many times a pixel of the veiled frame is repeated along both sides before that;
            1 for methods whose veiled frames have the working size.
        values: What the bytes 0 and 255 become.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    size: int = Field(ge=1, le=1024)
    fit: Fit = "short-side"
    cell: int = Field(default=1, ge=1, le=64)
    values: tuple[float, float] = (-1.0, 1.0)

    def image(self, veiled: Image) -> Image:
        """Return a veiled frame, uint8 (h, w, 3), as uint8 (size, size, 3)."""
        whole = repeat_pixels(veiled, self.cell)
        return resize(_cut(whole, self.fit), (self.size, self.size))

    def clips(self, images: Image) -> Floats:
        """Return images, uint8 (..., T, size, size, 3), as float32 (..., 3, T, size, size)."""
        low, high = self.values
        table = (np.arange(256) / 255 * (high - low) + low).astype(np.float32)
        return np.ascontiguousarray(np.moveaxis(table[images], -1, -4))


def _cut(image: Image, fit: Fit) -> Image:
    """Return the part of a frame that is shown, (height, width, 3)."""
    height, width = image.shape[:2]
    if fit == "squeeze":
        return image
    if fit == "letterbox":
        side = max(height, width)
        down, across = side - height, side - width
        padding = ((down // 2, down - down // 2), (across // 2, across - across // 2), (0, 0))
        return np.pad(image, padding, mode="edge")
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def resize(image: Image, shape: tuple[int, int]) -> Image:
    """Resize by bilinear interpolation that averages when it shrinks (antialiasing).

    In whole numbers, rows first, as `torch.nn.functional.interpolate(..., mode="bilinear",
    antialias=True)` and Pillow do for 8-bit images.

    Args:
        image: uint8 (h, w, 3).

    Returns:
        uint8 (height, width, 3); a view of `image` where it has the shape already.

    Examples:
        >>> resize(np.arange(12, dtype=np.uint8).reshape(2, 2, 3), (1, 1)).tolist()
        [[[5, 6, 7]]]
    """
    height, width = shape
    if image.shape[1] != width:
        image = _along_rows(image, width)
    if image.shape[0] != height:
        image = _along_rows(image.swapaxes(0, 1), height).swapaxes(0, 1)
    return image


def _along_rows(image: Image, width: int) -> Image:
    """Resize (h, w, 3) to (h, width, 3)."""
    places, weights, bits = _taps(image.shape[1], width)
    taken = image[:, places].astype(np.int32)  # (h, width, taps, 3)
    sums = np.einsum("hwtc,wt->hwc", taken, weights) + (1 << (bits - 1))
    return (sums >> bits).clip(0, 255).astype(np.uint8)


@lru_cache(maxsize=16)
def _taps(source: int, length: int) -> tuple[NDArray[np.int64], NDArray[np.int32], int]:
    """Return which pixels each pixel of the result is made of, and their weights.

    Returns:
        (length, taps) indices; (length, taps) weights in units of 2^-bits; bits.
    """
    scale = source / length
    reach = max(scale, 1.0)
    centres = scale * (np.arange(length) + 0.5)
    first = np.maximum((centres - reach + 0.5).astype(np.int64), 0)
    end = np.minimum((centres + reach + 0.5).astype(np.int64), source)
    places = first[:, None] + np.arange(int(np.ceil(reach)) * 2 + 1)
    distances = np.abs((places + 0.5 - centres[:, None]) / reach)
    weights = np.where(places < end[:, None], np.clip(1 - distances, 0, None), 0.0)
    weights /= weights.sum(1, keepdims=True)
    bits = 0
    while bits < _MOST_BITS and int(0.5 + weights.max() * (1 << (bits + 1))) < _WEIGHT_LIMIT:
        bits += 1
    whole = np.floor(weights * (1 << bits) + 0.5).astype(np.int32)
    return np.minimum(places, source - 1), whole, bits


class ActionNetwork:
    """Clips to logits; may be called from several threads.

    Args:
        file: The ONNX file: one input `(B, 3, T, size, size)`, one output `(B, classes)`.
        shape: Of one clip: (3, T, size, size).
        threads: Threads that one call uses.

    Raises:
        MotionveilError: The file is missing or no network, or its input or output has another
            shape; says which.
    """

    def __init__(
        self, file: Path, *, shape: tuple[int, int, int, int], classes: int, threads: int = 1
    ) -> None:
        self._session = _open(file, threads)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1:
            raise MotionveilError(
                f"{file}: {len(inputs)} inputs and {len(outputs)} outputs; an action network has"
                " one of each"
            )
        self._input = inputs[0].name
        if tuple(inputs[0].shape[1:]) != shape or inputs[0].type != "tensor(float)":
            raise MotionveilError(
                f"{file}: takes {inputs[0].type} {inputs[0].shape}; the recogniser gives"
                f" tensor(float) (B, {', '.join(map(str, shape))})"
            )
        if outputs[0].shape[1:] != [classes]:
            raise MotionveilError(
                f"{file}: gives {outputs[0].shape}; there are {classes} class names"
            )

    def __call__(self, clips: Floats) -> NDArray[np.float64]:
        """Return the logits, float64 (B, classes), of clips, float32 (B, 3, T, size, size)."""
        (logits,) = self._session.run(None, {self._input: clips})
        return np.asarray(logits, np.float64)


def _open(file: Path, threads: int) -> Any:
    # Not with the package: what only reads a recogniser's numbers needs no onnxruntime.
    import onnxruntime

    if not file.is_file():
        raise MotionveilError(f"{file}: no such file; the recogniser is incomplete")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4  # what is wrong is in the exception
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's share no base but this
        reason = str(error).strip().partition("\n")[0]
        raise MotionveilError(f"{file}: not a network that can be run: {reason}") from error
