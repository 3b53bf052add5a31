"""Motion moments in the ONNX model: of all parts at once, in float64.

What `motionveil.methods.moments.RunningMoments` computes. Values have a column for each part; sums
are products of matrices, of the grid's rows by powers of y and of its columns by powers of x.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from motionveil.export.flow_onnx import add_field
from motionveil.export.moments_integer import WORDS, shown_bytes
from motionveil.export.onnx import Part
from motionveil.export.onnx_parts import Graph
from motionveil.methods import GREY
from motionveil.methods.flow import velocity_bytes
from motionveil.methods.moments import CENTRE, LEAST_SPREAD, TINY, MomentsSettings
from motionveil.spec import EncoderSpec

START = (
    "Start with `previous` filled with NaN (not a number), NEVER WITH ZEROS: a velocity from black"
    " is none. One pixel of NaN, (1, 1, 1) or (1, 1, 3), will do, with one row of zeros, (1, 12),"
    " for `running`: where `previous` has a NaN or another size the output is the neutral frame,"
    " and what was running is forgotten. Feed `blurred` back as the next `previous`, and"
    " `running_next` as the next `running`. Start again after every scene cut, reconnect and jump"
    " of exposure: there no velocity is valid, and this model does not notice. `blurred` is a"
    " image of the scene: keep it in memory, and let nobody have it. Leave out frames that come"
    " faster than `rate` of the metadata's `geometry` a second: what the encoder hides was measured"
    " there."
)
"""Instructions for use, written into the model."""


def add_moments(graph: Graph, spec: EncoderSpec, *, hard: bool) -> Part:
    """Add `working`, `previous`, `running` -> `veiled`, `blurred`, `running_next`.

    Args:
        hard: Without effect: its levels are always steps.
    """
    own = spec.settings
    assert isinstance(own, MomentsSettings)
    planes = add_field(
        graph, own.field, lambda span: velocity_bytes(own.field, span) / (GREY * CENTRE) - 1
    )
    _add_parts(graph, own.parts)
    sums = _add_sums(graph, planes)
    kept = _add_kept(graph, own)
    moments = _add_moments(graph, sums, kept)
    levels = _add_levels(graph, moments, kept, own)
    neutral = int(shown_bytes(own)[own.side])
    _add_picture(graph, levels, neutral)
    return Part(
        neutral,
        True,
        "previous_c",
        1,
        START,
        veiled=("grid_h", "grid_w"),
        running=(own.parts, WORDS),
    )


def _add_parts(graph: Graph, parts: int) -> None:
    """Add which columns each part has, and where cells lie in it.

    `part_ends` (parts, 1) and `column` (grid_w,), int64; `powers_x` (3, parts, grid_w), zero
    outside the part, `powers_y` (3, grid_h) and `cells` (1, parts), float64.
    """
    graph.constant("parts", np.int64(parts))
    graph.constant("middle_of_cell", np.float64(0.5))
    graph.constant("powers", np.arange(3.0)[:, None])
    graph.constant("powers_of_parts", np.arange(3.0)[:, None, None])
    ends = []
    for name, first in (("starts", 0), ("ends", 1)):
        numbers = graph.constant(f"part_{name}_number", np.arange(parts)[:, None] + first)
        shares = graph.add("Mul", f"part_{name}_share", "w_cells", numbers)
        ends.append(graph.add("Div", f"part_{name}", shares, "parts"))
    column = graph.add("Range", "column", "int0", "w_cells", "int1")
    row = graph.add("Range", "row", "int0", "h_cells", "int1")
    not_before = graph.add("Not", "not_before", graph.add("Less", "before_part", column, ends[0]))
    inside = graph.add("And", "inside", not_before, graph.add("Less", "in_time", column, ends[1]))
    inside = graph.add("Cast", "inside_double", inside, to=TensorProto.DOUBLE)
    # An empty part has no column, and nothing of it is shown: of one so that nothing is divided.
    width = graph.add("Max", "part_width", graph.add("Sub", "part_length", *ends[::-1]), "int1")
    offset = graph.add("Sub", "column_of_part", column, ends[0])
    x = _add_places(graph, "x", offset, width)
    y = _add_places(graph, "y", row, "h_cells")
    powers = graph.add("Pow", "powers_of_x", x, "powers_of_parts")
    graph.add("Mul", "powers_x", powers, inside)
    graph.add("Pow", "powers_y", y, "powers")
    cells = graph.add("Mul", "cells_whole", width, "h_cells")
    cells = graph.add("Cast", "cells_column", cells, to=TensorProto.DOUBLE)
    graph.add("Transpose", "cells", cells, perm=[1, 0])


def _add_places(graph: Graph, axis: str, number: str, length: str) -> str:
    """Add where the middles of cells lie along a side, in (-0.5, 0.5)."""
    number = graph.add("Cast", f"number_{axis}", number, to=TensorProto.DOUBLE)
    length = graph.add("Cast", f"length_{axis}", length, to=TensorProto.DOUBLE)
    middle = graph.add("Add", f"middle_{axis}", number, "middle_of_cell")
    share = graph.add("Div", f"share_{axis}", middle, length)
    return graph.add("Sub", f"place_{axis}", share, "middle_of_cell")


def _add_sums(graph: Graph, planes: tuple[str, str]) -> str:
    """Add the sums over each part of all motion, u and v times powers of x and y, (27, parts).

    Sum 9 p + 3 k + q is that of plane k times x^p times y^q.
    """
    sizes = [graph.add("Abs", f"{plane}_size", plane) for plane in planes]
    moving = graph.add("Add", "moving", *sizes)
    flat = [graph.add("Unsqueeze", f"{plane}_plane", plane, "first") for plane in (moving, *planes)]
    by_rows = graph.add(
        "MatMul", "by_rows", "powers_y", graph.add("Concat", "all_motion", *flat, axis=0)
    )
    by_rows = graph.add("Unsqueeze", "by_rows_once", by_rows, "first")  # (1, 3, 3, grid_w)
    columns = graph.add("Transpose", "powers_x_turned", "powers_x", perm=[0, 2, 1])
    columns = graph.add("Unsqueeze", "powers_x_each", columns, "second")  # (3, 1, grid_w, parts)
    sums = graph.add("MatMul", "sums_of_parts", by_rows, columns)
    shape = graph.constant("as_sums", np.array([27, -1], np.int64))
    return graph.add("Reshape", "sums_of_parts_flat", sums, shape)


def _add_kept(graph: Graph, own: MomentsSettings) -> str:
    """Add `fresh`, whether this is a start, and what is kept of `running`, (12, parts)."""
    shape = graph.constant("running_shape", np.array([own.parts, WORDS], np.int64))
    nothing = graph.constant("nothing_running", np.zeros((own.parts, WORDS)))
    unset = graph.add("Cast", "nothing_before_int", "nothing_before", to=TensorProto.INT32)
    fresh = graph.add("ReduceMax", "fresh_int", unset, keepdims=0)
    fresh = graph.add("Cast", "fresh", fresh, to=TensorProto.BOOL)
    # A NaN would run on for ever.
    known = graph.add("Equal", "running_known", "running", "running")
    known = graph.add("Where", "running_or_zero", known, "running", "zero")
    kept = graph.add("Where", "running_kept", fresh, nothing, known)
    kept = graph.add("Reshape", "running_shaped", kept, shape)
    kept = graph.add("Transpose", "running_turned", kept, perm=[1, 0])
    return graph.add("Mul", "kept_of_it", kept, graph.constant("memory", np.float64(own.memory)))


def _add_moments(graph: Graph, sums: str, kept: str) -> str:
    """Add `running_sums` (5, parts) and the moments, (6, parts)."""
    graph.constant("tiny", np.float64(TINY))
    graph.constant("least_spread", np.float64(LEAST_SPREAD))
    graph.constant("a_one", np.ones((1, 1)))

    def take(name: str, source: str, rows: list[int]) -> str:
        graph.constant(f"{name}_rows", np.array(rows, np.int64))
        return graph.add("Gather", name, source, f"{name}_rows", axis=0)

    running = graph.add(
        "Add",
        "running_sums",
        take("kept_sums", kept, [1, 2, 3, 4, 5]),
        take("mass", sums, [0, 9, 1, 18, 2]),
    )
    total = graph.add("Add", "mass_so_far", take("mass_running", running, [0]), "tiny")
    middle = graph.add("Div", "middle_of_motion", take("firsts", running, [1, 2]), total)
    second = graph.add("Div", "second_of_motion", take("seconds", running, [3, 4]), total)
    square = graph.add("Sub", "variance", second, graph.add("Mul", "middle_sq", middle, middle))
    root = graph.add("Sqrt", "deviation", graph.add("Max", "variance_clamped", square, "zero"))
    spread = graph.add("Add", "spread", root, "least_spread")
    # The means have a middle of 0 and a spread of 1.
    zeros = graph.add("Sub", "no_middle", total, total)
    middles = graph.add("Concat", "middles", zeros, middle, axis=0)
    ones = graph.add("Add", "no_spread", zeros, "a_one")
    spreads = graph.add("Concat", "spreads", ones, spread, axis=0)
    means = graph.add(
        "Div", "means_of_parts", take("of_field", sums, [3, 12, 4, 6, 15, 7]), "cells"
    )
    shift = graph.add(
        "Mul",
        "shift_of_middle",
        take("middle_each", middles, [0, 1, 2] * 2),
        take("mean_each", means, [0] * 3 + [3] * 3),
    )
    about = graph.add("Sub", "about_middle", means, shift)
    return graph.add("Div", "moments", about, take("spread_each", spreads, [0, 1, 2] * 2))


def _add_levels(graph: Graph, moments: str, kept: str, own: MomentsSettings) -> str:
    """Add `running_next`, and the bytes of the levels of the moments, (6, parts)."""
    graph.constant("kept_weight_rows", np.array([0], np.int64))
    graph.constant("kept_sizes_rows", np.arange(6, 12))
    weight = graph.add("Gather", "kept_weight", kept, "kept_weight_rows", axis=0)
    weight = graph.add("Add", "weight", weight, "a_one")
    sizes = graph.add("Gather", "kept_sizes", kept, "kept_sizes_rows", axis=0)
    sizes = graph.add("Add", "sizes", sizes, graph.add("Abs", "moment_sizes", moments))
    state = graph.add("Concat", "state", weight, "running_sums", sizes, axis=0)
    state = graph.add("Transpose", "state_of_parts", state, perm=[1, 0])
    graph.add("Where", "running_next", "fresh", "nothing_running", state)
    mean = graph.add("Div", "mean_sizes", sizes, weight)
    mean = graph.add("Add", "mean_and_floor", mean, graph.constant("floor", np.float64(own.floor)))
    relative = graph.add("Div", "relative", moments, mean)
    steps = graph.add("Div", "steps", relative, graph.constant("step", np.float64(own.step)))
    rounded = graph.add("Round", "steps_rounded", steps)
    # Whatever a caller made of `running`: no number is no motion.
    known = graph.add("Equal", "level_known", rounded, rounded)
    known = graph.add("Where", "level_or_none", known, rounded, "zero")
    low, high = (graph.constant(f"side_{s:+d}", np.float64(s * own.side)) for s in (-1, 1))
    level = graph.add("Clip", "level", known, low, high)
    entry = graph.add("Add", "level_raised", level, high)
    entry = graph.add("Cast", "level_entry", entry, to=TensorProto.INT64)
    graph.constant("shown", shown_bytes(own))
    return graph.add("Gather", "level_bytes", "shown", entry, axis=0)


def _add_picture(graph: Graph, levels: str, neutral: int) -> None:
    """Add `veiled`: the upper half of each part's cells those along x, the lower those along y."""
    shape = graph.constant("as_halves", np.array([2, 3, -1], np.int64))
    halves = graph.add("Reshape", "halves", levels, shape)
    past = graph.add("Not", "past_int", graph.add("Less", "not_past", "column", "part_ends"))
    past = graph.add("Cast", "past", past, to=TensorProto.INT64)
    part = graph.add("ReduceSum", "part_of_column", past, "first", keepdims=0)
    columns = graph.add("Gather", "halves_of_columns", halves, part, axis=2)
    columns = graph.add("Transpose", "halves_shown", columns, perm=[0, 2, 1])
    doubled = graph.add("Mul", "row_doubled", "row", "int2")
    upper = graph.add("Less", "upper", doubled, "h_cells")
    lower = graph.add("Cast", "lower", graph.add("Not", "not_upper", upper), to=TensorProto.INT64)
    picture = graph.add("Gather", "picture", columns, lower, axis=0)
    graph.constant("neutral", np.uint8(neutral))
    graph.add("Where", "veiled", "fresh", "neutral", picture)
