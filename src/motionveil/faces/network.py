"""Opening YuNet's ONNX file, for frames of any size."""

from __future__ import annotations

import os
from pathlib import Path

import onnx
import onnxruntime

from motionveil.errors import MotionveilError
from motionveil.faces.decoding import OUTPUTS, STRIDES, Floats


class YuNet:
    """The network, run by onnxruntime on the CPU.

    The published files fix the input's size (640 x 640 pixels). The network is convolutional and
    its reshapes leave the number of cells open, so that size is only a declaration; it is taken
    out in memory. A frame then costs what its own size costs, and may be larger.

    Args:
        path: The ONNX file.
        threads: Threads of one run.

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

    def __call__(self, picture: Floats) -> dict[str, Floats]:
        """Return what the network says of each cell; see `motionveil.faces.decoding.decode`.

        Args:
            picture: float32 (1, 3, H, W), channels blue, green, red, in [0, 255]; H and W
                multiples of 32.
        """
        values = self._session.run(self._outputs, {self._input: picture})
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
    if found != wanted or len(model.graph.input) != 1:
        raise MotionveilError(
            f"{file}: a network with the outputs {', '.join(sorted(found)) or 'none'}; YuNet has"
            f" {', '.join(sorted(wanted))}"
        )


def _free_size(model: onnx.ModelProto) -> None:
    """Take the sizes that follow from the input's out of a model, in place."""
    _, _, height, width = model.graph.input[0].type.tensor_type.shape.dim
    height.dim_param, width.dim_param = "height", "width"
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
