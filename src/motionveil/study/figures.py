"""The figures of a study: accuracy by condition, person and participant, and over the session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from motionveil.report.figures import GREY, INK, house_style, short
from motionveil.report.method_style import Look, family_styles
from motionveil.study.findings import ConditionFinding, Share

_FAMILIES = {"veiled": "bdq", "raw": "raw", "face-blurred": "face-blur"}
_CHANCE: Any = {"color": GREY, "linestyle": "--", "linewidth": 1.2}
_PUBLISHED: Any = {
    **{"color": "#D55E00", "marker": "|", "markersize": 11, "markeredgewidth": 2},
    "linestyle": "none",
}
_LIMITS = (-3, 103)  # percent, with room for markers


def _look(condition: ConditionFinding) -> Look:
    return family_styles([])[_FAMILIES[condition.condition]]


def _panels(measures: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(0.8 + width * measures, height), layout="constrained")
    return figure, list(figure.subplots(1, measures, sharey=True, squeeze=False)[0])


@house_style()
def by_condition(
    conditions: Sequence[ConditionFinding], published: Sequence[float | None]
) -> Figure:
    """Draw the accuracy in each condition, with chance level and published accuracy.

    Args:
        conditions: At least one.
        published: Published accuracy on veiled clips by each measure, in [0, 1], if any.
    """
    names = [condition.condition for condition in conditions]
    figure, panels = _panels(len(conditions[0].scores), 3.2, 1.5 + 0.45 * len(conditions))
    for place, axes in enumerate(panels):
        for row, condition in enumerate(conditions):
            _draw_share(axes, condition.scores[place].share, row, _look(condition))
        axes.axvline(100 * conditions[0].scores[place].chance, **_CHANCE)
        share = published[place]
        if share is not None and "veiled" in names:
            axes.plot(100 * share, names.index("veiled") - 0.25, **_PUBLISHED)
        _label_rows(axes, names, f"{conditions[0].scores[place].measure}, % of answers")
    entries = [Line2D([], [], label="chance level", **_CHANCE)]
    if any(share is not None for share in published):
        entries.append(Line2D([], [], label="published", **_PUBLISHED))
    figure.legend(handles=entries, loc="outside lower center", ncols=2)
    return figure


@house_style()
def by_person(conditions: Sequence[ConditionFinding]) -> Figure:
    """Draw hit rate (filled) and false-alarm rate (hollow) of each person.

    Args:
        conditions: At least one; people are sorted by their hit rate in the first.
    """
    people = sorted(conditions[0].people, key=lambda line: -line.recognised.value)
    rows = {line.name: row for row, line in enumerate(people)}
    figure, (axes,) = _panels(1, 4.6, 1.4 + 0.32 * len(rows))
    apart = 0.5 / len(conditions)
    for place, condition in enumerate(conditions):
        look = _look(condition)
        for line in condition.people:
            if line.name in rows:
                row = rows[line.name] + apart * (place - (len(conditions) - 1) / 2)
                _draw_share(axes, line.recognised, row, look)
                if line.taken is not None:
                    axes.plot(100 * line.taken.value, row, color=look[0], marker=look[1],
                              markersize=5, markerfacecolor="white", linestyle="none")  # fmt: skip
    axes.axvline(100 * conditions[0].chance_person, **_CHANCE)
    _label_rows(axes, [short(name) for name in rows], "selected, % of answers")
    _legend(figure, conditions)
    return figure


@house_style()
def by_participant(conditions: Sequence[ConditionFinding]) -> Figure:
    """Draw each participant's accuracy in each condition; one panel per measure."""
    figure, panels = _panels(len(conditions[0].scores), 2.8, 3.0)
    for place, axes in enumerate(panels):
        for column, condition in enumerate(conditions):
            colour, marker = _look(condition)
            values = sorted(100 * line.shares[place].value for line in condition.members)
            spread = [column - 0.25 + 0.5 * (n + 0.5) / len(values) for n in range(len(values))]
            axes.plot(spread, values, color=colour, marker=marker, markersize=4.5,
                      linestyle="none", alpha=0.8)  # fmt: skip
        axes.axhline(100 * conditions[0].scores[place].chance, **_CHANCE)
        axes.set(
            ylim=_LIMITS,
            xlim=(-0.6, len(conditions) - 0.4),
            xticks=range(len(conditions)),
            xticklabels=[condition.condition for condition in conditions],
            ylabel=f"{conditions[0].scores[place].measure}, % of answers",
        )
        axes.grid(axis="x", visible=False)
    return figure


@house_style()
def over_session(conditions: Sequence[ConditionFinding]) -> Figure | None:
    """Draw the accuracy in each quarter of the session; None if unknown."""
    known = [condition for condition in conditions if condition.learning]
    if not known:
        return None
    figure, panels = _panels(len(known[0].learning), 2.8, 3.1)
    for place, axes in enumerate(panels):
        for number, condition in enumerate(known):
            colour, marker = _look(condition)
            parts = condition.learning[place].parts
            places = [part + 1 + 0.08 * number for part in range(len(parts))]
            axes.plot(places, [100 * part.value for part in parts], color=colour, marker=marker,
                      markersize=5.5)  # fmt: skip
            for x, part in zip(places, parts, strict=True):
                if part.interval is not None:
                    axes.plot([x, x], [100 * end for end in part.interval], color=colour,
                              linewidth=1.2)  # fmt: skip
        axes.axhline(100 * known[0].scores[place].chance, **_CHANCE)
        axes.set(
            ylim=_LIMITS,
            xticks=range(1, max(len(c.learning[place].parts) for c in known) + 1),
            xlabel="quarter of the session",
            ylabel=f"{known[0].learning[place].measure}, % of answers",
        )
    _legend(figure, known)
    return figure


def _draw_share(axes: Axes, share: Share, row: float, look: Look) -> None:
    colour, marker = look
    if share.interval is not None:
        axes.plot([100 * end for end in share.interval], [row, row], color=colour, linewidth=1.6,
                  zorder=3)  # fmt: skip
    axes.plot(100 * share.value, row, color=colour, marker=marker, markersize=6.5,
              markeredgecolor="white", markeredgewidth=0.6, linestyle="none", zorder=4,
              clip_on=False)  # fmt: skip


def _label_rows(axes: Axes, names: Sequence[str], label: str) -> None:
    limits = (len(names) - 0.45, -0.55)
    axes.set(xlim=_LIMITS, ylim=limits, yticks=range(len(names)), yticklabels=names, xlabel=label)
    axes.grid(axis="y", visible=False)


def _legend(figure: Figure, conditions: Sequence[ConditionFinding]) -> None:
    entries = []
    for condition in conditions:
        colour, marker = _look(condition)
        entries.append(
            Line2D([], [], color=colour, marker=marker, markersize=6, label=condition.condition)
        )
    entries.append(Line2D([], [], label="chance level", **_CHANCE))
    figure.legend(handles=entries, loc="outside lower center", ncols=4, labelcolor=INK)
