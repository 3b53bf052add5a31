"""The action network as an ONNX file, run by onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionveil.errors import MotionveilError

Clips = NDArray[np.float32]


class ActionNetwork:
    """Clips to logits; may be called from several threads.

    Args:
        file: The ONNX file: one input `(B, 3, T, size, size)`, one output `(B, classes)`.
        shape: Of one clip: (3, T, size, size).
        classes: Number of outputs.
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

    def __call__(self, clips: Clips) -> NDArray[np.float64]:
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
