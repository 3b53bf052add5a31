"""The style of all figures, SVG and PNG; the figures of an encoder's steps and training curves."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from motionveil.methods import LEVELS
from motionveil.methods.bdq import BDQSettings
from motionveil.results import Row
from motionveil.spec import EncoderSpec

INK, GREY = "#222222", "#767676"

_STYLE: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib: the same image everywhere
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
    "text.parse_math": False,  # a method called `$x$` is a name, not a formula
    "svg.hashsalt": "motionveil",  # with fixed metadata: equal results give equal bytes
}


@contextmanager
def house_style() -> Iterator[None]:
    """Draw in the report's style, whatever the user's own matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def to_svg(figure: Figure, *, small: bool = False) -> bytes:
    """Return a figure as SVG, byte for byte the same for the same figure.

    Args:
        figure: The figure.
        small: Write letters as text in the reader's sans-serif font, and not their outlines, and
            coordinates to a hundredth of a point: less than half of the size, for pages.
    """
    buffer = io.BytesIO()
    with house_style():
        matplotlib.rcParams["svg.fonttype"] = "none" if small else "path"
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    if not small:
        return buffer.getvalue()
    shorter = re.sub(rb"(\d\.\d\d)\d+", rb"\1", buffer.getvalue())
    shorter = re.sub(rb"<metadata>.*?</metadata>", b"", shorter, flags=re.DOTALL)
    return re.sub(rb"\s*\n\s*", b"\n", shorter)


def to_png(figure: Figure, dpi: int = 200) -> bytes:
    """Return a figure as PNG; `dpi` is in pixels an inch."""
    buffer = io.BytesIO()
    with house_style():
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


Spans = Sequence[tuple[float, float, str]]
"""Stretches of a video: beginning and end in seconds, and what is done."""


@house_style()
def timeline(done: Spans, named: Spans) -> Figure:
    """Draw what is done in a video, and what was named in it, a line for each action."""
    actions = list(dict.fromkeys(action for _, _, action in (*done, *named)))
    figure = Figure(figsize=(7.2, 0.9 + 0.24 * len(actions)), layout="constrained")
    axes = figure.add_subplot()
    for spans, colour, height, name in (
        (done, "#D0D0D0", 0.8, "done"),
        (named, "#0072B2", 0.3, "recognised in the veiled video"),
    ):
        for place, (start, end, action) in enumerate(spans):
            told = name if place == 0 else None
            axes.barh(actions.index(action), end - start, height, start, color=colour, label=told)
    axes.set_yticks(range(len(actions)), [short(action) for action in actions])
    axes.set_xlabel("time in the video, s")
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    figure.legend(loc="outside upper right", ncols=2)
    return figure


def short(name: str) -> str:
    """Cut a name that would push the axes out of their figure; the tables give it whole."""
    return name if len(name) <= 28 else f"{name[:27]}…"


def bdq_of(spec: EncoderSpec) -> BDQSettings | None:
    """Return the settings of a BDQ that quantises with one row of boundaries; else None."""
    own = spec.settings
    if isinstance(own, BDQSettings) and "Q" in own.modules and len(own.rows) == 1:
        return own
    return None


def quantiser(x: NDArray[np.float64], settings: BDQSettings) -> NDArray[np.float64]:
    """Return y = sum over n of sigmoid(H (x - b_n)) (paper, section 3.1) for x in [0, N].

    Args:
        x: Normalised differences, any shape.
        settings: Of a BDQ encoder with N boundaries in one row.
    """
    steps = x[..., None] - np.asarray(settings.rows[0])
    # sigmoid(z) = (1 + tanh(z / 2)) / 2, which does not overflow for a large H.
    return ((1 + np.tanh(settings.hardness * steps / 2)) / 2).sum(-1)


@house_style()
def quantisation(settings: BDQSettings, colour: str = "#0072B2") -> Figure:
    """Draw the learned steps over the initial ones, with their boundaries (paper, figure 3)."""
    levels = len(settings.rows[0])
    initial = tuple(n + 0.5 for n in range(levels))
    start = settings.model_copy(update={"boundaries": initial})
    x = np.linspace(0, levels, 1501)
    figure = Figure(figsize=(4.4, 3.9), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(x, quantiser(x, settings), color=colour, linewidth=2.4, label="learned")
    axes.plot(x, quantiser(x, start), color=INK, linestyle="--", linewidth=0.9, label="initial")
    axes.vlines(initial, -2.0, -1.3, color=GREY, linewidth=1)
    axes.vlines(settings.rows[0], -1.1, -0.4, color=colour, linewidth=1.6)
    axes.set(
        xlim=(-0.2, levels + 0.2),
        ylim=(-2.1, levels + 0.4),
        xticks=[0, 5, 10, 15],
        yticks=[0, 5, 10, 15],
        xlabel=f"difference x, brought to [0, {levels}]",
        ylabel="veiled value y",
    )
    if settings.range is not None:
        axes.axvline(levels / 2, color=INK, linewidth=0.9, linestyle=":", label="no motion")
        _grey_level_axis(axes, settings.range, levels)
    axes.legend(loc="upper left")
    return figure


def _grey_level_axis(axes: Axes, reach: float, levels: int) -> None:
    """Say on top which differences of 8-bit intensities x stands for: (d + r) / 2r * N."""
    top = axes.secondary_xaxis(
        "top",
        functions=(
            lambda x: (np.asarray(x) / levels * 2 - 1) * reach * 255,
            lambda d: (np.asarray(d) / (255 * reach) + 1) / 2 * levels,
        ),
    )
    top.set_xlabel("blurred difference, grey levels of 255", fontsize=8.5)
    top.tick_params(labelsize=8.5)


def curve_panels(
    row: Row, privacy_label: str, classes: int, colour: str
) -> list[tuple[str, Figure]]:
    """Draw an encoder's training, a figure for each thing that was logged.

    Args:
        row: A row with or without curves.
        classes: Number of its classes: the entropy is at most ln(classes).

    Returns:
        Titles and figures; only what the curves hold.
    """
    action, privacy = ("action", "#009E73", "-"), (short(privacy_label), "#D55E00", "--")
    further = [
        (name, f"{privacy[0]}, adversary {name.rpartition('_')[2]}", privacy[1], ":")
        for name in (row.curves[-1] if row.curves else {})
        if name.startswith("accuracy_privacy_")
    ]
    accuracies = [("accuracy_action", *action), ("accuracy_privacy", *privacy), *further]
    panels = [
        ("Accuracy in training, %", accuracies),
        ("Losses, nats", [("loss_action", *action), ("loss_privacy", *privacy)]),
        ("Entropy of the adversary, nats", [("entropy", "adversary's answer", "#CC79A7", "-")]),
        ("Blur σ, pixels", [("sigma", "σ", colour, "-")]),
        (
            "Boundaries of the quantiser",
            [(f"b{n}", f"b{n}", colour, "-") for n in range(1, LEVELS + 1)],
        ),
    ]
    drawn = []
    for title, lines in panels:
        scale = 100 if title.startswith("Accuracy") else 1
        series = [
            (_series(row, key, scale), name, line_colour, dashes)
            for key, name, line_colour, dashes in lines
            if any(key in epoch for epoch in row.curves)
        ]
        if series:
            drawn.append((title, _panel(title, series, _PANEL_LIMITS.get(title), classes)))
    return drawn


_PANEL_LIMITS: dict[str, tuple[float, float]] = {
    "Accuracy in training, %": (-3, 103),
    "Boundaries of the quantiser": (-0.4, LEVELS + 0.4),
}

_Points = tuple[list[float], list[float]]


def _series(row: Row, key: str, scale: float) -> _Points:
    points = [(c.get("epoch", i), scale * c[key]) for i, c in enumerate(row.curves) if key in c]
    return [p[0] for p in points], [p[1] for p in points]


@house_style()
def _panel(
    title: str,
    lines: Sequence[tuple[_Points, str, str, str]],
    limits: tuple[float, float] | None,
    classes: int,
) -> Figure:
    figure = Figure(figsize=(3.5, 2.6), layout="constrained")
    axes = figure.add_subplot()
    # A single epoch is a point, which a line without marks does not show.
    marker = "o" if len(lines) < LEVELS or len(lines[0][0][0]) == 1 else None
    for points, name, colour, dashes in lines:
        axes.plot(*points, color=colour, linestyle=dashes, label=name,
                  marker=marker, markersize=2.5)  # fmt: skip
    if title.startswith("Entropy") and classes > 1:
        axes.axhline(math.log(classes), color=GREY, linestyle=":", linewidth=1.2,
                     label="most possible")  # fmt: skip
        axes.set_ylim(bottom=0)
    axes.set(title=title, xlabel="epoch")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    if limits:
        axes.set_ylim(*limits)
    if 1 < len(axes.get_lines()) < LEVELS:
        axes.legend(loc="best")
    return figure
