"""YuNet, a face detector: its network, its output decoded to boxes, and frames of any size.

YuNet (Wu, Peng and Yu, "YuNet: a tiny millisecond-level face detector", 2023) predicts for every
cell of three grids the score of a face there, its box and its five landmarks.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import onnx
import onnxruntime
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from motionveil.errors import MotionveilError

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


class YuNet:
    """The network, run by onnxruntime on the CPU.

    The published files fix the input's size (640 x 640 pixels). The network is convolutional and
    its reshapes leave the number of cells open, so that size is only a declaration; it is taken
    out in memory. A frame then costs what its own size costs, and may be larger.

    Raises:
        MotionveilError: The file cannot be read, is no ONNX model, or is another network.
    """

    def __init__(self, path: str | os.PathLike[str], *, threads: int = 1) -> None:
        file = Path(path)
        model = _read(file)
        _check_is_yunet(file, model)
        _free_size(model)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        try:
            self._session = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        # The runtime's errors have no common class but this.
        except Exception as error:
            reason = str(error).splitlines()[0]
            raise MotionveilError(f"{file}: cannot be run as an ONNX model: {reason}") from error
        self._input = model.graph.input[0].name
        self._outputs = [output.name for output in self._session.get_outputs()]

    def __call__(self, image: Floats) -> dict[str, Floats]:
        """Return what the network says of each cell; see `decode`.

        Args:
            image: float32 (1, 3, H, W), channels blue, green, red, in [0, 255]; H and W
                multiples of 32.
        """
        values = self._session.run(self._outputs, {self._input: image})
        return dict(zip(self._outputs, values, strict=True))


def _read(file: Path) -> onnx.ModelProto:
    try:
        return onnx.ModelProto.FromString(file.read_bytes())
    except OSError as error:
        raise MotionveilError(f"{file}: cannot read the detector: {error.strerror}") from error
    except Exception as error:  # protobuf's own, of a package that is not ours to import
        raise MotionveilError(f"{file}: no ONNX model; it must be YuNet's .onnx file") from error


def _check_is_yunet(file: Path, model: onnx.ModelProto) -> None:
    wanted = {f"{name}_{stride}" for name in OUTPUTS for stride in STRIDES}
    found = {output.name for output in model.graph.output}
    axes = [len(given.type.tensor_type.shape.dim) for given in model.graph.input]
    if found != wanted or axes != [4]:
        raise MotionveilError(
            f"{file}: a network with inputs of {axes} axes and the outputs"
            f" {', '.join(sorted(found)) or 'none'}; YuNet has one input of 4 axes and"
            f" {', '.join(sorted(wanted))}"
        )


def _free_size(model: onnx.ModelProto) -> None:
    """Take the sizes that follow from the input's out of a model, in place."""
    _, _, height, width = model.graph.input[0].type.tensor_type.shape.dim
    height.dim_param, width.dim_param = "height", "width"
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]


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
        threshold: Score from which on something is a face, in (0, 1].
        enlarge: How many times a frame is enlarged, in (0, 16]; 1 leaves it as it is.
        largest: Pixels of the long side that the network sees at most, 32 or more.
        overlap: Of two boxes with a larger intersection over union, only the surer is kept;
            in (0, 1].
        threads: Threads of a run of the network.

    Raises:
        MotionveilError: The file cannot be read or is another network, or an option is out of its
            range.

    Examples:
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
