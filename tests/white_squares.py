"""A detector made up for tests: YuNet's inputs and outputs, but what it takes for a face is white.

It sees a face of 16 x 16 pixels in each cell of the grid of stride 16 that is white, with the mean
brightness of the cell, in [0, 1], as its score. The other two grids see nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

STRIDE = 16
SIDE = 8
"""Side of a square in `squares`: of 16 pixels once it is enlarged twice."""


def write_detector(path: Path, weights: Sequence[float] = (1 / 3, 1 / 3, 1 / 3)) -> Path:
    """Write the network, its input of a fixed size as in the published file.

    Args:
        path: Where to write.
        weights: What blue, green and red count for.
    """
    mix = np.array(weights, np.float32).reshape(1, 3, 1, 1) / 255
    constants, nodes, outputs = {"mix": mix}, [], []
    nodes.append(helper.make_node("Conv", ["input", "mix"], ["bright"]))
    for stride in (8, 16, 32):
        name = f"cell_{stride}"
        cell = {"kernel_shape": [stride, stride], "strides": [stride, stride]}
        nodes.append(helper.make_node("AveragePool", ["bright"], [name], **cell))
        constants[f"shape_{stride}"] = np.array([1, -1, 1], np.int64)
        nodes.append(helper.make_node("Reshape", [name, f"shape_{stride}"], [f"row_{stride}"]))
        # The centre and the landmarks are half a cell from its corner; exp(0) cells is the size.
        for kind, factor, offset in (
            ("cls", [float(stride == STRIDE)], [0.0]),
            ("obj", [1.0], [0.0]),
            ("bbox", [0.0] * 4, [0.5, 0.5, 0.0, 0.0]),
            ("kps", [0.0] * 10, [0.5] * 10),
        ):
            output = f"{kind}_{stride}"
            constants[f"{output}_factor"] = np.array(factor, np.float32)
            constants[f"{output}_offset"] = np.array(offset, np.float32)
            scaled = f"{output}_scaled"
            nodes.append(helper.make_node("Mul", [f"row_{stride}", f"{output}_factor"], [scaled]))
            nodes.append(helper.make_node("Add", [scaled, f"{output}_offset"], [output]))
            shape = [1, (64 // stride) ** 2, len(factor)]
            outputs.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, shape))
    picture = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 64, 64])
    graph = helper.make_graph(
        nodes,
        "white squares",
        [picture],
        outputs,
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7, producer_name="test"
    )
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def squares(
    places: Sequence[tuple[int, int] | None], height: int = 48, width: int = 64, seed: int = 0
) -> NDArray[np.uint8]:
    """Return (T, H, W, 3): a frame of dark noise for each place, with a white square there.

    Args:
        places: x, y of the square in each frame, multiples of `SIDE`; None for no square.
        height: Height in pixels.
        width: Width in pixels.
        seed: Of the noise.
    """
    rng = np.random.default_rng(seed)
    clip = rng.integers(0, 60, (len(places), height, width, 3), np.uint8)
    for frame, place in zip(clip, places, strict=True):
        if place is not None:
            x, y = place
            frame[y : y + SIDE, x : x + SIDE] = 255
    return clip
