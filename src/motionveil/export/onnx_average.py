"""The first part of the ONNX model: a camera's frame, averaged to the working size by areas."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper


class Graph:
    """Nodes and constants in the making."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: NDArray[Any] | np.generic) -> str:
        """Add a constant and return its name."""
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, operator: str, output: str, *inputs: str, **attributes: Any) -> str:
        """Add a node of one output and return that name."""
        self.nodes.append(
            helper.make_node(operator, list(inputs), [output], name=output, **attributes)
        )
        return output


def add_average(graph: Graph, size: int, multiple: int) -> None:
    """Add `frame` -> `working`: float32 (h, w, 3), whole numbers in [0, 255].

    What `motionveil.streaming.geometry.area_average` does, as a product of three matrices: overlaps
    of rows, the frame, overlaps of columns. Every number is whole: up to the first product at most
    255 H, below 2^24, then at most 255 H W, below 2^53. So single and then double precision are
    exact, in whatever order a runtime adds, for up to 65,793 rows.

    Args:
        graph: Where to add.
        size: Short side of a working frame in pixels.
        multiple: What its sides are multiples of.
    """
    for name, number in {
        "int0": 0,
        "int1": 1,
        "int2": 2,
        "size": size,
        "multiple": multiple,
    }.items():
        graph.constant(name, np.int64(number))
    graph.constant("axis1", np.array([1], np.int64))
    graph.constant("half", np.float64(0.5))
    shape = graph.add("Shape", "frame_shape", "frame")
    rows = graph.add("Gather", "H", shape, "int0", axis=0)
    columns = graph.add("Gather", "W", shape, "int1", axis=0)
    short = graph.add("Min", "short_side", rows, columns)
    divisor = graph.add("Mul", "short_sides", short, "multiple")
    _add_overlaps(graph, "y", rows, _add_side(graph, "h", rows, divisor), TensorProto.FLOAT)
    _add_overlaps(graph, "x", columns, _add_side(graph, "w", columns, divisor), TensorProto.DOUBLE)
    sums = _add_products(graph)
    area = graph.add("Mul", "area", rows, columns)
    area = graph.add("Cast", "area_double", area, to=TensorProto.DOUBLE)
    mean = graph.add("Div", "mean", sums, area)
    raised = graph.add("Add", "mean_raised", mean, "half")
    whole = graph.add("Floor", "working_double", raised)
    graph.add("Cast", "working", whole, to=TensorProto.FLOAT)


def _add_side(graph: Graph, name: str, side: str, divisor: str) -> str:
    """Add a side of the working frame, size side / divisor rounded, halves to even, x multiple."""
    dividend = graph.add("Mul", f"{name}_dividend", side, "size")
    quotient = graph.add("Div", f"{name}_quotient", dividend, divisor)
    rest = graph.add("Mod", f"{name}_rest", dividend, divisor)
    twice = graph.add("Mul", f"{name}_twice", rest, "int2")
    odd = graph.add("Mod", f"{name}_odd", quotient, "int2")
    weight = graph.add("Add", f"{name}_weight", twice, odd)
    up = graph.add("Greater", f"{name}_up", weight, divisor)
    up = graph.add("Cast", f"{name}_up_int", up, to=TensorProto.INT64)
    count = graph.add("Add", f"{name}_count", quotient, up)
    return graph.add("Mul", name, count, "multiple")


def _add_overlaps(graph: Graph, axis: str, source: str, target: str, kind: int) -> None:
    """Add `x_overlaps` or `y_overlaps`, (target, source): the part of each source pixel covered.

    A source pixel measures `target`, a pixel of the result `source`; so overlaps are whole.
    """
    starts, ends = {}, {}
    for name, count, length in (("pixel", target, source), ("place", source, target)):
        number = graph.add("Range", f"{axis}_{name}", "int0", count, "int1")
        if name == "pixel":
            number = graph.add("Unsqueeze", f"{axis}_{name}_column", number, "axis1")
        starts[name] = graph.add("Mul", f"{axis}_{name}_start", number, length)
        ends[name] = graph.add("Add", f"{axis}_{name}_end", starts[name], length)
    end = graph.add("Min", f"{axis}_end", ends["pixel"], ends["place"])
    start = graph.add("Max", f"{axis}_start", starts["pixel"], starts["place"])
    length = graph.add("Sub", f"{axis}_length", end, start)
    overlap = graph.add("Max", f"{axis}_overlap", length, "int0")
    graph.add("Cast", f"{axis}_overlaps", overlap, to=kind)


def _add_products(graph: Graph) -> str:
    """Add the sums over each working pixel's area, (h, w, 3)."""
    graph.constant("as_rows", np.array([0, -1], np.int64))
    graph.constant("as_pixels", np.array([0, -1, 3], np.int64))
    pixels = graph.add("Cast", "pixels", "frame", to=TensorProto.FLOAT)
    rows = graph.add("Reshape", "rows_of_frame", pixels, "as_rows")
    sums = graph.add("MatMul", "sums_of_rows", "y_overlaps", rows)
    sums = graph.add("Cast", "sums_of_rows_double", sums, to=TensorProto.DOUBLE)
    sums = graph.add("Reshape", "sums_of_pixels", sums, "as_pixels")
    return graph.add("MatMul", "sums", "x_overlaps", sums)
