"""Finding the faces of a frame of any size."""

from __future__ import annotations

import os

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from motionveil.errors import MotionveilError
from motionveil.faces.decoding import STRIDES, Faces, Floats, Image, decode, suppress
from motionveil.faces.network import YuNet

# Chosen on UT-Interaction and KTH; docs/faces.md has what other values find.
THRESHOLD = 0.5
ENLARGE = 2.0
LARGEST = 1920
OVERLAP = 0.3

_STRIDE = STRIDES[-1]


class FaceDetector:
    """Finds the faces of a frame; called with uint8 (H, W, 3), RGB, of any size, it gives `Faces`.

    The network finds hardly a face narrower than about ten pixels, so small frames are enlarged
    for it, and very large ones shrunk to be done in time: a frame becomes `enlarge` times as large,
    or less, so that its long side has at most `largest` pixels. One detector serves one thread.

    Args:
        path: YuNet's ONNX file.
        threshold: Score from which on something is a face, in (0, 1].
        enlarge: How many times a frame is enlarged, in (0, 16]; 1 leaves it as it is.
        largest: Pixels of the long side that the network sees at most, 32 or more.
        overlap: Of two boxes with a larger intersection over union, only the surer is kept;
            in (0, 1].
        threads: Threads of a run of the network.

    Raises:
        MotionveilError: The file cannot be read or is another network, or an option is out of its
            range.

    Example:
        >>> detect = FaceDetector("yunet.onnx")  # doctest: +SKIP
        >>> faces = detect(frame)  # doctest: +SKIP
        >>> faces.boxes[0], faces.scores[0]  # doctest: +SKIP
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        threshold: float = THRESHOLD,
        enlarge: float = ENLARGE,
        largest: int = LARGEST,
        overlap: float = OVERLAP,
        threads: int = 1,
    ) -> None:
        if not 0 < threshold <= 1:
            raise MotionveilError(f"threshold is {threshold}, it must be above 0 and at most 1")
        if not 0 < enlarge <= 16:
            raise MotionveilError(f"enlarge is {enlarge}, it must be above 0 and at most 16")
        if largest < _STRIDE:
            raise MotionveilError(f"largest is {largest}, it must be {_STRIDE} or more")
        if not 0 < overlap <= 1:
            raise MotionveilError(f"overlap is {overlap}, it must be above 0 and at most 1")
        self.threshold, self.enlarge, self.largest = threshold, enlarge, largest
        self.overlap = overlap
        self._network = YuNet(path, threads=threads)
        self._scaler = VideoReformatter()

    def __call__(self, frame: Image) -> Faces:
        """Return the faces of a frame, uint8 (H, W, 3), RGB, in its own pixels.

        Raises:
            ValueError: The array is no RGB image.
        """
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
            raise ValueError(f"a frame is uint8 (H, W, 3), not {frame.dtype} {frame.shape}")
        height, width = frame.shape[:2]
        scale = min(self.enlarge, self.largest / max(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        seen = self._as_seen(frame, size)  # (1, 3, H', W')
        outputs = self._network(seen)
        found = suppress(decode(outputs, seen.shape[3] // _STRIDE, self.threshold), self.overlap)
        back = np.array([width / size[0], height / size[1]], np.float32)
        return Faces(found.boxes * np.tile(back, 2), found.scores, found.landmarks * back)

    def _as_seen(self, frame: Image, size: tuple[int, int]) -> Floats:
        """Bring a frame to a width and height, its channels to the order of the network's training.

        Black is added at the right and below, up to the next multiple of the coarsest stride.
        """
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        scaled = self._scaler.reformat(
            picture, *size, format="bgr24", interpolation=Interpolation.BICUBIC
        ).to_ndarray()
        width, height = size
        seen = np.zeros((1, 3, height + -height % _STRIDE, width + -width % _STRIDE), np.float32)
        seen[0, :, :height, :width] = scaled.transpose(2, 0, 1)
        return seen
