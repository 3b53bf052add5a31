"""The trade-off between action and privacy as a scatter plot (paper, figure 3, row 1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from motionveil.published import PublishedRow
from motionveil.report.aggregate import Method, families, reading
from motionveil.report.figures import GREY, INK, house_style, short
from motionveil.report.method_style import (
    REFERENCES,
    MarkerStyle,
    family_and_strength,
    family_label,
    family_styles,
    single_family_styles,
)
from motionveil.report.pareto import front

LIMITS = (-3, 103)
_SIZE, _SMALLEST, _LARGEST = 7.5, 5.0, 11.0  # of a marker, in points


def several_families(methods: Sequence[Method]) -> bool:
    """Return whether there is more than one family beside the references."""
    return len(families(methods)) > 1


def styles(methods: Sequence[Method]) -> list[MarkerStyle]:
    """Return a colour and a marker for each method; where there are several families, theirs."""
    if several_families(methods):
        chosen = family_styles([m.family for m in methods])
        return [chosen[m.family] for m in methods]
    return single_family_styles([(m.method, m.alpha) for m in methods])


def sizes(methods: Sequence[Method]) -> list[float]:
    """Return each method's marker size in points: the larger, the more its family removes.

    All are equal where there is one family.
    """
    if not several_families(methods):
        return [_SIZE] * len(methods)
    chosen = {
        id(method): _SMALLEST + place / (len(group) - 1) * (_LARGEST - _SMALLEST)
        for group in families(methods).values()
        if len(group) > 1
        for place, method in enumerate(group)
    }
    return [chosen.get(id(m), _SIZE) for m in methods]


@house_style()
def tradeoff(
    methods: Sequence[Method], privacy_label: str, published: Sequence[PublishedRow] = ()
) -> Figure:
    """Draw privacy accuracy against action accuracy, with intervals and chance levels.

    Where a method pools several rows, each row is a small open mark. Where there are several
    families, each has a colour and a marker, larger marks remove more, a line joins a family's
    strengths in their order, and a step line is the Pareto front.

    Args:
        methods: At least one method; all with attackers, of which the strongest counts, or none.
        published: Published figures, drawn as hollow grey marks.
    """
    many = several_families(methods)
    names = family_styles([m.family for m in methods])
    entries = (len(families(methods)) + 3 if many else len(methods)) + 3 + bool(published)
    legend_rows = math.ceil(entries / 2)
    width, height = (6.4, 5.4) if many else (4.8, 3.7)
    figure = Figure(figsize=(width, height + 0.2 * legend_rows), layout="constrained")
    axes = figure.add_subplot()
    chosen = styles(methods)
    marks = [
        _point(axes, method, style, size, crowded=many)
        for method, style, size in zip(methods, chosen, sizes(methods), strict=True)
    ]
    if many:
        marks = _families(axes, methods, names)
    axes.set(
        xlim=LIMITS,
        ylim=LIMITS,
        xlabel=f"{short(privacy_label)} accuracy, {reading(methods)}, % (lower is better)",
        ylabel="action accuracy, % (higher is better)",
    )
    marks += _reference_marks(axes, methods, privacy_label)
    if published:
        marks.append(_published(axes, published, names))
    figure.legend(
        handles=marks, loc="outside lower center", ncols=2, handletextpad=0.6, columnspacing=1.4
    )
    return figure


def steps_of(methods: Sequence[Method]) -> list[tuple[float, float]]:
    """Return the corners of the Pareto front's step line, (privacy, action) in [0, 1]."""
    action = [m.action.accuracy for m in methods]
    privacy = [m.privacy.accuracy for m in methods]
    corners, reached = [], 0.0
    for i in front(action, privacy):
        corners += [(privacy[i], reached), (privacy[i], action[i])]
        reached = action[i]
    return [*corners, (1.0, reached)]


def _reference_marks(axes: Axes, methods: Sequence[Method], privacy_label: str) -> list[Any]:
    """Mark the chance levels, and the ideal: all of the action, privacy at its chance level."""
    action = 100 * max(m.action.chance_level for m in methods)
    privacy = 100 * max(m.privacy.chance_level for m in methods)
    line: Any = {"color": GREY, "linewidth": 1.2, "zorder": 1}
    return [
        *axes.plot(
            privacy,
            100,
            marker="*",
            markersize=15,
            color="#F0E442",
            markeredgecolor=INK,
            markeredgewidth=0.8,
            linestyle="none",
            zorder=2,
            clip_on=False,
            label="ideal",
        ),
        axes.axvline(
            privacy, linestyle="--", label=f"chance level, {short(privacy_label)}", **line
        ),
        axes.axhline(action, linestyle=":", label="chance level, action", **line),
    ]


def _point(axes: Axes, method: Method, style: MarkerStyle, size: float, *, crowded: bool) -> Any:
    """Draw a method with its intervals, and its rows where it has several; return its mark."""
    colour, marker = style
    x, y = 100 * method.privacy.accuracy, 100 * method.action.accuracy
    mark = axes.errorbar(
        x,
        y,
        xerr=_reach(x, method.privacy.interval),
        yerr=_reach(y, method.action.interval),
        color=colour,
        marker=marker,
        markersize=size,
        markeredgecolor="white",
        markeredgewidth=0.6,
        elinewidth=0.6 if crowded else 1.4,
        capsize=0 if crowded else 2.5,
        linestyle="none",
        zorder=4,
        label=short(method.label),
    )
    if crowded:
        for bar in mark.lines[2]:
            bar.set(alpha=0.45, zorder=2)
    if len(method.rows) > 1:
        axes.plot(
            [100 * privacy for _, privacy in method.row_accuracies],
            [100 * action for action, _ in method.row_accuracies],
            color=colour,
            marker=marker,
            markersize=3 if crowded else 4.5,
            markeredgewidth=0.5 if crowded else 1.0,
            markerfacecolor="none",
            linestyle="none",
            zorder=3,
        )
    return mark


def _families(axes: Axes, methods: Sequence[Method], names: dict[str, MarkerStyle]) -> list[Any]:
    """Join and name the families, draw the Pareto front; return marks for the legend."""
    marks = []
    for method in methods:
        if method.method in REFERENCES:
            marks.append(_mark(names[method.family], method.label, line="none"))
    for family, group in families(methods).items():
        colour, _ = names[family]
        across = [100 * m.privacy.accuracy for m in group]
        up = [100 * m.action.accuracy for m in group]
        axes.plot(across, up, color=colour, linewidth=0.9, alpha=0.6, zorder=2.5)
        if len(group) > 1:  # the weakest all lie beside raw video, too close to be named
            axes.annotate(
                _strength_label(group[-1]),
                (across[-1], up[-1]),
                xytext=(5, -10),
                textcoords="offset points",
                fontsize=7,
                color=colour,
                zorder=5,
            )
        line: Literal["-", "none"] = "-" if len(group) > 1 else "none"
        marks.append(_mark(names[family], family_label(family), line=line))
    corners = steps_of(methods)
    marks += axes.plot(
        [100 * x for x, _ in corners],
        [100 * y for _, y in corners],
        color="#B5B5B5",
        linewidth=3,
        alpha=0.6,
        solid_joinstyle="miter",
        zorder=1.5,
        label="Pareto front",
    )
    return marks


def _strength_label(method: Method) -> str:
    """Return a mark's strength: `28`, `α 2`, or nothing."""
    if method.strength is None:
        return ""
    number = family_and_strength(method.method)[1]
    return f"{method.strength:g}" if number is not None else f"α {method.strength:g}"


def _mark(style: MarkerStyle, name: str, *, line: Literal["-", "none"]) -> Line2D:
    colour, marker = style
    return Line2D([], [], color=colour, marker=marker, linestyle=line, linewidth=0.9,
                  markersize=7, markeredgecolor="white", markeredgewidth=0.6,
                  label=short(name))  # fmt: skip


def _published(axes: Axes, rows: Sequence[PublishedRow], names: dict[str, MarkerStyle]) -> Any:
    """Draw published figures hollow and grey; return the mark of them all for the legend."""
    line: Any = {
        "color": GREY,
        "markerfacecolor": "none",
        "markeredgewidth": 1.0,
        "markersize": 6.5,
        "linestyle": "none",
    }
    for row in rows:
        _, marker = names.get(family_and_strength(row.method)[0], (GREY, "o"))
        axes.plot(100 * row.privacy.accuracy, 100 * row.action.accuracy,
                  marker=marker, zorder=3.5, **line)  # fmt: skip
    return Line2D([], [], marker="o", label="published", **line)


def _reach(centre: float, interval: tuple[float, float]) -> list[list[float]]:
    low, high = interval
    return [[max(0.0, centre - 100 * low)], [max(0.0, 100 * high - centre)]]
