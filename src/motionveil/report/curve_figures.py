"""The curves of an encoder's training."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from motionveil.methods import LEVELS
from motionveil.report.figures import GREY, house_style, short
from motionveil.results import Row


def curve_panels(
    row: Row, privacy_label: str, classes: int, colour: str
) -> list[tuple[str, Figure]]:
    """Draw an encoder's training, a figure for each thing that was logged.

    Args:
        row: A row with or without curves.
        privacy_label: What the adversary looks for.
        classes: Number of its classes: the entropy is at most ln(classes).
        colour: Of what belongs to the encoder.

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
