"""The encoder as an ONNX model; needs the package `onnx` and no torch."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from motionveil._version import __version__
from motionveil.atomic_write import atomic_path
from motionveil.export.onnx_average import Graph, add_average
from motionveil.methods import KERNEL_SIZE
from motionveil.spec import EncoderSpec

OPSET = 13
"""Version of the standard operators."""

IR_VERSION = 7
"""Version of the file format that came with that opset; onnxruntime reads both since 1.6 (2020)."""

HALF = 4096
"""Table entries on each side of zero motion, as in `StreamEncoder`: 1/546 of a level each."""

START = (
    "Start with `previous` filled with NaN (not a number), NEVER WITH ZEROS: the difference to"
    " zeros is a picture of the scene. Where `previous` is NaN the output is the neutral frame; to"
    " start, one pixel of NaN, (1, 1, 3), will do. Feed `blurred` back as the next `previous`."
    " Start again after every scene cut, reconnect and jump of exposure: there too the difference"
    " is a picture of the scene, and this model does not notice. `blurred` is a picture of the"
    " scene itself: keep it in memory, and let nobody have it. Leave out frames that come faster"
    " than `rate` of the metadata's `geometry` a second: what the encoder hides was measured there."
)
"""What whoever runs the model has to know; it is written into the model."""


def write_onnx(
    spec: EncoderSpec, path: str | os.PathLike[str], *, hard: bool = False
) -> onnx.ModelProto:
    """Write an encoder as an ONNX model, whole or not at all, and return the model.

    **Start with `previous` filled with NaN, never with zeros.** A difference to zeros is a picture
    of the scene. See `build_model` for the inputs and outputs.

    Args:
        spec: An encoder that is a map of blurred differences (BDQ in fixed range), with a
            geometry.
        path: Where to write.
        hard: Quantise in steps (4-bit output) instead of sigmoids.

    Raises:
        MotionveilError: It is no such map (says why), it has no geometry, or the file cannot be
            written.
    """
    model = build_model(spec, hard=hard)
    with atomic_path(path) as part:
        part.write_bytes(model.SerializeToString())
    return model


def build_model(spec: EncoderSpec, *, hard: bool = False) -> onnx.ModelProto:
    """Return an encoder as an ONNX model of standard operators, opset 13.

    It computes what `motionveil.streaming.StreamEncoder` does: the working frame by areas, to the
    bit; then from the same table, with the difference after the blur as in the paper.

    | name | | |
    | --- | --- | --- |
    | `frame` | in | uint8 (H, W, 3), a camera's frame, H and W free, of square pixels |
    | `previous` | in | float32 (h, w, 3), the `blurred` of the frame before |
    | `veiled` | out | uint8 (h, w, 3), 17 grey levels to a level of 0 to 15 |
    | `blurred` | out | float32 (h, w, 3), the blurred working frame in [0, 255] |

    h and w are `spec.geometry.shape(H, W)`. The model has no clock: whoever runs it leaves out the
    frames that come too early for `spec.geometry.rate`. It takes a picture of any aspect, a line
    too, which `Geometry.shape` refuses.

    **Start with `previous` filled with NaN, never with zeros**: the difference to zeros is a
    picture of the scene. Where `previous` is NaN there is no frame before, and the output is that
    of no motion, the neutral frame. A `previous` of another size gives the neutral frame (of 1 x 1
    pixel it always does, and so will do to start) or an error of the runtime, never a picture.

    **`blurred` is a picture of the scene**: whoever runs the model feeds it back and keeps it.

    Scene cuts, reconnects and jumps of exposure are not noticed: there too the difference is a
    picture of the scene. Whoever calls must notice, and start again with NaN.

    The metadata hold `encoder.json`, `geometry` (its `size` and `rate`, JSON), `motionveil` (the
    version), `quantisation` (`soft` or `hard`), `neutral` (the grey value of no motion) and `start`
    (the above).

    Args:
        spec: An encoder that is a map of blurred differences (BDQ in fixed range), with a
            geometry.
        hard: Quantise in steps (4-bit output) instead of sigmoids.

    Raises:
        MotionveilError: It is no such map (says why), or it has no geometry.
    """
    difference = spec.difference(hard=hard)
    reach = difference.range
    geometry = spec.required_geometry()
    table = difference.bytes_of(np.arange(-HALF, HALF + 1) * (reach / HALF))
    graph = Graph()
    add_average(graph, geometry.size, spec.multiple)
    _add_blur(graph, difference.weights[KERNEL_SIZE // 2 :])
    _add_difference(graph)
    _add_quantiser(graph, table, HALF / (255 * reach))
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            spec.method,
            inputs=[
                _image("frame", TensorProto.UINT8, "H", "W"),
                _image("previous", TensorProto.FLOAT, "previous_h", "previous_w"),
            ],
            outputs=[
                _image("veiled", TensorProto.UINT8, "h", "w"),
                _image("blurred", TensorProto.FLOAT, "h", "w"),
            ],
            initializer=graph.constants,
            doc_string=START,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="motionveil",
        producer_version=__version__,
        doc_string=START,
    )
    helper.set_model_props(
        model,
        {
            "encoder.json": spec.model_dump_json(indent=2),
            "geometry": geometry.model_dump_json(),
            "motionveil": __version__,
            "quantisation": "hard" if difference.steps else "soft",
            "neutral": str(table[HALF]),
            "start": START,
        },
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def _image(name: str, kind: int, height: str, width: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, [height, width, 3])


def _add_blur(graph: Graph, weights: NDArray[Any]) -> None:
    """Add `working` -> `blurred`: 5 taps along each axis, the border replicated.

    Sums of shifted copies and no `Conv`: on some GPUs runtimes round a convolution to 10 bits.
    """
    margin = KERNEL_SIZE // 2
    for name, weight in zip(("centre", "near", "far"), weights, strict=True):
        graph.constant(name, np.float32(weight))
    pads = graph.constant("margin", np.array([margin, margin, 0] * 2, np.int64))
    padded = graph.add("Pad", "padded", "working", pads, mode="edge")
    for k in range(KERNEL_SIZE):
        graph.constant(f"from{k}", np.array([k], np.int64))
        end = k - KERNEL_SIZE + 1  # counted from the end; 0 would be the beginning
        graph.constant(f"to{k}", np.array([end or np.iinfo(np.int64).max], np.int64))
    rows = _add_taps(graph, padded, "x", axis=1, output="rows")
    _add_taps(graph, rows, "y", axis=0, output="blurred")


def _add_taps(graph: Graph, padded: str, mark: str, *, axis: int, output: str) -> str:
    along = graph.constant(f"{mark}_axis", np.array([axis], np.int64))
    far0, near0, centre, near1, far1 = (
        graph.add("Slice", f"{mark}{k}", padded, f"from{k}", f"to{k}", along)
        for k in range(KERNEL_SIZE)
    )
    near = graph.add("Add", f"{mark}_near", near0, near1)
    far = graph.add("Add", f"{mark}_far", far0, far1)
    first = graph.add("Mul", f"{mark}_centre_part", centre, "centre")
    second = graph.add("Mul", f"{mark}_near_part", near, "near")
    third = graph.add("Mul", f"{mark}_far_part", far, "far")
    inner = graph.add("Add", f"{mark}_inner", first, second)
    return graph.add("Add", output, inner, third)


def _add_difference(graph: Graph) -> None:
    """Add `blurred`, `previous` -> `difference` in grey levels; 0 where nothing was before.

    Shapes are compared since a `previous` of 1 x 1 pixel would otherwise be spread over the frame
    by the rules of broadcasting, and the difference be a picture of the scene.
    """
    unlike = graph.add("Sub", "unlike", "blurred", "previous")
    sizes = (
        graph.add("Shape", "blurred_size", "blurred"),
        graph.add("Shape", "previous_size", "previous"),
    )
    equal = graph.add("Equal", "sizes_equal", *sizes)
    counted = graph.add("Cast", "sizes_equal_int", equal, to=TensorProto.INT32)
    same = graph.add("ReduceMin", "same_int", counted, keepdims=0)
    same = graph.add("Cast", "same", same, to=TensorProto.BOOL)
    other = graph.add("Not", "other_size", same)
    unset = graph.add("IsNaN", "unset", "previous")
    nothing = graph.add("Or", "nothing_before", unset, other)
    zero = graph.constant("zero", np.float32(0))
    graph.add("Where", "difference", nothing, zero, unlike)


def _add_quantiser(graph: Graph, table: NDArray[Any], scale: float) -> None:
    """Add `difference` -> `veiled`: which entry of the table, rounded, clamped, looked up."""
    graph.constant("scale", np.float32(scale))
    # Adding the half turns the truncation of the cast into rounding.
    graph.constant("middle", np.float32(len(table) // 2 + 0.5))
    graph.constant("last", np.float32(len(table) - 1))
    graph.constant("table", table)
    scaled = graph.add("Mul", "scaled", "difference", "scale")
    place = graph.add("Add", "place", scaled, "middle")
    clamped = graph.add("Clip", "clamped", place, "zero", "last")
    entries = graph.add("Cast", "entries", clamped, to=TensorProto.INT32)
    graph.add("Gather", "veiled", "table", entries, axis=0)
