"""The encoder as an ONNX model; needs the package `onnx` and no torch."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from motionveil._version import __version__
from motionveil.atomic_write import atomic_path
from motionveil.export.onnx_parts import Graph, add_average, add_blur, add_nothing_before
from motionveil.plugins import import_object
from motionveil.spec import EncoderSpec

OPSET = 13
"""Version of the standard operators."""

IR_VERSION = 7
"""Version of the file format that came with that opset; onnxruntime reads both since 1.6 (2020)."""


@dataclass(frozen=True)
class Part:
    """What a method adds to the model, after the nodes from `working` and `previous`.

    A method names in `Method.onnx` a function that is called with the graph, the spec and `hard`,
    adds the values `veiled`, uint8, and `blurred`, float32, and returns this.

    Attributes:
        neutral: The grey value of no motion, 0 to 255.
        steps: Whether it quantises in steps.
        previous, blurred: Channels of the state as it comes in and as it goes out.
        start: Instructions for use, written into the model.
        veiled: Names of the height and width of what leaves.
        running: Shape of the value `running_next`, float64, that the method also adds and takes as
            `running`; None where it has none.
    """

    neutral: int
    steps: bool
    previous: int | str
    blurred: int
    start: str
    veiled: tuple[str, str] = ("h", "w")
    running: tuple[int, int] | None = None


def write_onnx(
    spec: EncoderSpec, path: str | os.PathLike[str], *, hard: bool = False
) -> onnx.ModelProto:
    """Write an encoder as an ONNX model, whole or not at all, and return the model.

    **Start with `previous` filled with NaN, never with zeros.** For BDQ a difference to zeros is a
    image of the scene. See `build_model` for the inputs and outputs.

    Args:
        spec: An encoder that can be exported (BDQ in fixed range, the motion field or its
            moments), with a geometry.
        hard: Quantise in steps (4-bit output) instead of sigmoids.

    Raises:
        MotionveilError: It cannot be exported (says why), it has no geometry, or the file cannot be
            written.
    """
    model = build_model(spec, hard=hard)
    with atomic_path(path) as part:
        part.write_bytes(model.SerializeToString())
    return model


def build_model(spec: EncoderSpec, *, hard: bool = False) -> onnx.ModelProto:
    """Return an encoder as an ONNX model of standard operators, opset 13.

    It computes what `motionveil.streaming.StreamEncoder` does: the working frame by areas, to the
    bit; then what the method adds, from the same table of bytes.

    | name | | |
    | --- | --- | --- |
    | `frame` | in | uint8 (H, W, 3), a camera's frame, H and W free, of square pixels |
    | `previous` | in | float32 (h, w, 3 or 1), the `blurred` of the frame before |
    | `veiled` | out | uint8 (h, w, 3), 17 grey levels to a level of 0 to 15 |
    | `blurred` | out | float32 (h, w, 3 or 1), the blurred working frame in [0, 255] |
    | `running` | in | float64 (parts, 12), motion moments only: the `running_next` before |
    | `running_next` | out | float64 (parts, 12), likewise |

    h and w are `spec.geometry.shape(H, W)`. For the motion field and its moments `blurred` is the
    luma, of one channel, and `veiled` the grid, (ceil(h / cell), ceil(w / cell), 3). The model has
    no clock: the caller leaves out the frames that come too early for `spec.geometry.rate`. It
    takes an image of any aspect, a line too, which `Geometry.shape` refuses.

    **Start with `previous` filled with NaN, never with zeros**: the difference to zeros is a
    image of the scene. Where `previous` is NaN there is no frame before, and the output is that
    of no motion, the neutral frame. A `previous` of another size gives the neutral frame (of 1 x 1
    pixel it always does, and so will do to start) or an error of the runtime, never an image.
    Wherever the output is such a start, what `running` holds is forgotten; a row of zeros, (1, 12),
    will do. Numbers that never ran change levels, and show nothing of the scene.

    **`blurred` is an image of the scene**: the caller feeds it back and keeps it.

    Scene cuts, reconnects and jumps of exposure are not noticed: there too the difference is a
    image of the scene. The caller must notice, and start again with NaN.

    The metadata hold `encoder.json`, `geometry` (its `size` and `rate`, JSON), `motionveil` (the
    version), `quantisation` (`soft` or `hard`), `neutral` (the grey value of no motion) and `start`
    (the above).

    Args:
        spec: An encoder that can be exported (BDQ in fixed range, the motion field or its
            moments), with a geometry.
        hard: Quantise in steps (4-bit output) instead of sigmoids.

    Raises:
        MotionveilError: It cannot be exported (says why), or it has no geometry.
    """
    own, graph = Graph(), Graph()
    # The method speaks first: that it cannot be exported matters more than a missing geometry.
    part: Part = import_object(spec.kind.onnx)(own, spec, hard=hard)
    geometry = spec.required_geometry()
    add_average(graph, geometry.size, spec.multiple)
    model = helper.make_model(
        helper.make_graph(
            graph.nodes + own.nodes,
            spec.method,
            inputs=[
                _value("frame", TensorProto.UINT8, "H", "W", 3),
                _value("previous", TensorProto.FLOAT, "previous_h", "previous_w", part.previous),
            ],
            outputs=[
                _value("veiled", TensorProto.UINT8, *part.veiled, 3),
                _value("blurred", TensorProto.FLOAT, "h", "w", part.blurred),
            ],
            initializer=graph.constants + own.constants,
            doc_string=part.start,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="motionveil",
        producer_version=__version__,
        doc_string=part.start,
    )
    if part.running is not None:
        parts, numbers = part.running
        model.graph.input.append(_value("running", TensorProto.DOUBLE, "running_parts", numbers))
        model.graph.output.append(_value("running_next", TensorProto.DOUBLE, parts, numbers))
    helper.set_model_props(
        model,
        {
            "encoder.json": spec.model_dump_json(indent=2),
            "geometry": geometry.model_dump_json(),
            "motionveil": __version__,
            "quantisation": "hard" if part.steps else "soft",
            "neutral": str(part.neutral),
            "start": part.start,
        },
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def _value(name: str, kind: int, *sides: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, list(sides))


HALF = 4096
"""Table entries on each side of zero motion, as in `StreamEncoder`: 1/546 of a level each."""

START = (
    "Start with `previous` filled with NaN (not a number), NEVER WITH ZEROS: the difference to"
    " zeros is an image of the scene. Where `previous` is NaN the output is the neutral frame; to"
    " start, one pixel of NaN, (1, 1, 3), will do. Feed `blurred` back as the next `previous`."
    " Start again after every scene cut, reconnect and jump of exposure: there too the difference"
    " is an image of the scene, and this model does not notice. `blurred` is an image of the"
    " scene itself: keep it in memory, and let nobody have it. Leave out frames that come faster"
    " than `rate` of the metadata's `geometry` a second: what the encoder hides was measured there."
)
"""Instructions for use, written into the model."""


def add_difference(graph: Graph, spec: EncoderSpec, *, hard: bool) -> Part:
    """Add `working`, `previous` -> `veiled`, `blurred`, both of three channels.

    The difference is taken after the blur, as in the paper, and looked up in the table of
    `StreamEncoder`.

    Raises:
        MotionveilError: The encoder is no map of blurred differences (says why).
    """
    difference = spec.difference(hard=hard)
    reach = difference.range
    table = difference.bytes_of(np.arange(-HALF, HALF + 1) * (reach / HALF))
    add_blur(graph, "working", difference.weights)
    nothing = add_nothing_before(graph, "previous")
    unlike = graph.add("Sub", "unlike", "blurred", "previous")
    zero = graph.constant("zero", np.float32(0))
    graph.add("Where", "difference", nothing, zero, unlike)
    _add_quantiser(graph, table, HALF / (255 * reach))
    return Part(int(table[HALF]), difference.steps, 3, 3, START)


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
