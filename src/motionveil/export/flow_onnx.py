"""The motion field in the ONNX model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from motionveil.export.onnx import Part
from motionveil.export.onnx_parts import Graph, add_blur, add_nothing_before
from motionveil.methods.flow import WINDOW_RADIUS, FlowSettings, taps, velocity_bytes
from motionveil.spec import EncoderSpec

ENTRIES = 1 << 15
"""Of the table that maps velocities to bytes, as in `StreamEncoder`."""

START = (
    "Start with `previous` filled with NaN (not a number), NEVER WITH ZEROS: a velocity from black"
    " is none. Where `previous` is NaN nothing moves; to start, one pixel of NaN, (1, 1, 1) or"
    " (1, 1, 3), will do. Feed `blurred` back as the next `previous`. Start again after every scene"
    " cut, reconnect and jump of exposure: there no velocity is valid, and this model does not"
    " notice. `blurred` is an image of the scene: keep it in memory, and let nobody have it. Leave"
    " out frames that come faster than `rate` of the metadata's `geometry` a second: what the"
    " encoder hides was measured there."
)
"""Instructions for use, written into the model."""


def add_flow(graph: Graph, spec: EncoderSpec, *, hard: bool) -> Part:
    """Add `working`, `previous` -> `veiled`, the grid of cells, and `blurred`, of one channel.

    The luma is blurred in float32, as the state is kept; from there on it is float64.
    """
    settings = spec.settings
    assert isinstance(settings, FlowSettings)
    neutral = int(velocity_bytes(settings, np.zeros(1), hard=hard)[0])
    planes = add_field(graph, settings, lambda span: velocity_bytes(settings, span, hard=hard))
    values = [graph.add("Unsqueeze", f"{name}_channel", name, "channels") for name in planes]
    shape = graph.add("Shape", "grid", values[0])
    about = np.array([neutral], np.uint8)
    still = graph.add(
        "ConstantOfShape", "still", shape, value=numpy_helper.from_array(about, "neutral")
    )
    graph.add("Concat", "veiled", *values, still, axis=2)
    return Part(neutral, hard or settings.hard, "previous_c", 1, START, veiled=("grid_h", "grid_w"))


def add_field(
    graph: Graph,
    settings: FlowSettings,
    quantise: Callable[[NDArray[np.float64]], NDArray[Any]],
) -> tuple[str, str]:
    """Add `working`, `previous` -> `blurred`, and what is read of the velocities; return its names.

    Args:
        quantise: From velocities to the values of the two planes, each (grid_h, grid_w).
    """
    colours = graph.constant("colours", np.array(settings.colours, np.float32))
    channels = graph.constant("channels", np.array([2], np.int64))
    weighted = graph.add("Mul", "weighted", "working", colours)
    graph.add("ReduceSum", "luma", weighted, channels, keepdims=1)
    weights = taps(settings)
    add_blur(graph, "luma", weights.blur)
    _add_before(graph)
    products = _add_products(graph)
    means = _add_means(graph, products, weights.cell, settings.cell)
    _add_solution(graph, means, 255**2 * settings.eps)
    return _add_quantiser(graph, settings, quantise)


def _add_before(graph: Graph) -> None:
    """Add `now` and `before`, float64 (h, w); where nothing was before they are equal."""
    graph.constant("first", np.array([0], np.int64))
    graph.constant("second", np.array([1], np.int64))
    luma = graph.add("Slice", "previous_luma", "previous", "first", "second", "channels")
    nothing = add_nothing_before(graph, luma)
    kept = graph.add("Where", "kept", nothing, "blurred", luma)
    # Where sizes differ `kept` could be larger than the frame by the rules of broadcasting.
    kept = graph.add("Reshape", "kept_shaped", kept, "blurred_size")
    for name, value in (("now", "blurred"), ("before", kept)):
        flat = graph.add("Squeeze", f"{name}_flat", value, "channels")
        graph.add("Cast", name, flat, to=TensorProto.DOUBLE)


def _add_products(graph: Graph) -> str:
    """Add the five products of the derivatives, float64 (5, h, w), in grey levels squared."""
    change = graph.add("Sub", "change", "now", "before")
    total = graph.add("Add", "total", "now", "before")
    quarter = graph.constant("quarter", np.float64(0.25))
    pads = graph.constant("one_around", np.array([1, 1, 1, 1], np.int64))
    around = graph.add("Pad", "around", total, pads, mode="edge")
    ends = {"inner": (1, -1), "ahead": (2, np.iinfo(np.int64).max), "behind": (0, -2)}
    for name, (start, end) in ends.items():
        graph.constant(f"{name}_from", np.array([start], np.int64))
        graph.constant(f"{name}_to", np.array([end], np.int64))
    both = {"x": (1, 0), "y": (0, 1)}
    for axis, (along, across) in both.items():
        graph.constant(f"along_{axis}", np.array([along], np.int64))
        graph.constant(f"across_{axis}", np.array([across], np.int64))
        strip = graph.add(
            "Slice", f"strip_{axis}", around, "inner_from", "inner_to", f"across_{axis}"
        )
        sides = (
            graph.add(
                "Slice", f"{side}_{axis}", strip, f"{side}_from", f"{side}_to", f"along_{axis}"
            )
            for side in ("ahead", "behind")
        )
        unlike = graph.add("Sub", f"twice_{axis}", *sides)
        graph.add("Mul", f"gradient_{axis}", unlike, quarter)
    x, y = "gradient_x", "gradient_y"
    pairs = {"xx": (x, x), "xy": (x, y), "yy": (y, y), "xt": (x, change), "yt": (y, change)}
    planes = [
        graph.add("Unsqueeze", f"plane_{name}", graph.add("Mul", f"product_{name}", *pair), "first")
        for name, pair in pairs.items()
    ]
    return graph.add("Concat", "products", *planes, axis=0)


def _add_means(graph: Graph, products: str, weights: NDArray[np.float64], cell: int) -> list[str]:
    """Add the means over the cells, each float64 (grid_h, grid_w)."""
    # A weight of 0 at either end, for the pixels that a cell's window does not reach.
    graph.constant("cell_taps", np.concatenate([[0.0], weights, [0.0]]))
    graph.constant("cell", np.int64(cell))
    graph.constant("before_cell", np.int64(cell - 1))
    graph.constant("shift", np.int64(WINDOW_RADIUS + 1))
    graph.constant("last_tap", np.int64(len(weights) + 1))
    # The columns' stand upright from the start: ONNX Runtime before 1.26 joins a Transpose with the
    # MatMul behind it into an operator that it does not have in double precision.
    rows, columns = _add_windows(graph, "h"), _add_windows(graph, "w", upright=True)
    down = graph.add("MatMul", "means_down", rows, products)
    means = graph.add("MatMul", "means", down, columns)
    names = []
    for k, name in enumerate(("xx", "xy", "yy", "xt", "yt")):
        plane = graph.constant(f"number_{name}", np.int64(k))
        names.append(graph.add("Gather", f"mean_{name}", means, plane, axis=0))
    return names


def _add_windows(graph: Graph, side: str, *, upright: bool = False) -> str:
    """Add the weight of each pixel in each cell's window along a side.

    Returns:
        The name of float64 (cells, side), or (side, cells) if `upright`.
    """
    padded = graph.add("Add", f"{side}_raised", side, "before_cell")
    cells = graph.add("Div", f"{side}_cells", padded, "cell")
    number = graph.add("Range", f"{side}_cell", "int0", cells, "int1")
    corner = graph.add("Mul", f"{side}_corner", number, "cell")
    pixel = graph.add("Range", f"{side}_pixel", "int0", side, "int1")
    if upright:
        pixel = graph.add("Unsqueeze", f"{side}_pixel_column", pixel, "axis1")
    else:
        corner = graph.add("Unsqueeze", f"{side}_corner_column", corner, "axis1")
    offset = graph.add("Sub", f"{side}_offset", pixel, corner)
    shifted = graph.add("Add", f"{side}_shifted", offset, "shift")
    place = graph.add("Clip", f"{side}_place", shifted, "int0", "last_tap")
    return graph.add("Gather", f"{side}_windows", "cell_taps", place, axis=0)


def _add_solution(graph: Graph, means: list[str], eps: float) -> None:
    """Add `along` and `down`, float64 (grid_h, grid_w): (A + eps 1) v = -b, by Cramer's rule."""
    floor = graph.constant("eps", np.float64(eps))
    xx, xy, yy, xt, yt = means
    xx, yy = graph.add("Add", "xx_eps", xx, floor), graph.add("Add", "yy_eps", yy, floor)

    def determinant(name: str, a: str, b: str, c: str, d: str) -> str:
        first = graph.add("Mul", f"{name}_first", a, b)
        second = graph.add("Mul", f"{name}_second", c, d)
        return graph.add("Sub", name, first, second)

    whole = determinant("determinant", xx, yy, xy, xy)
    graph.add("Div", "along", determinant("along_part", xy, yt, yy, xt), whole)
    graph.add("Div", "down", determinant("down_part", xy, xt, xx, yt), whole)


def _add_quantiser(
    graph: Graph,
    settings: FlowSettings,
    quantise: Callable[[NDArray[np.float64]], NDArray[Any]],
) -> tuple[str, str]:
    """Add what is read for `along` and `down`: the entry of the table, rounded, clamped."""
    span = np.linspace(-settings.range, settings.reach, ENTRIES)
    graph.constant("table", quantise(span))
    graph.constant("range", np.float64(settings.range))
    graph.constant("scale", np.float64((ENTRIES - 1) / (settings.range + settings.reach)))
    graph.constant("zero", np.float64(0))
    graph.constant("last", np.float64(ENTRIES - 1))
    for name in ("along", "down"):
        raised = graph.add("Add", f"{name}_raised", name, "range")
        scaled = graph.add("Mul", f"{name}_scaled", raised, "scale")
        clamped = graph.add("Clip", f"{name}_clamped", scaled, "zero", "last")
        # Adding the half turns the truncation of the cast into rounding.
        rounded = graph.add("Add", f"{name}_rounded", clamped, "half")
        entry = graph.add("Cast", f"{name}_entry", rounded, to=TensorProto.INT32)
        graph.add("Gather", f"{name}_read", "table", entry, axis=0)
    return "along_read", "down_read"
