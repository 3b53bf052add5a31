"""The figures of a study: accuracy by condition, by person, by participant and over the session."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from motionveil.report.figures import GREY, INK, house_style, short
from motionveil.report.method_style import Look, family_styles
from motionveil.study.findings import ConditionFinding, Share

_FAMILIES = {"veiled": "bdq", "raw": "raw", "face-blurred": "face-blur"}
PUBLISHED = "#D55E00"


def look_of(condition: str) -> Look:
    """Return a condition's colour and marker, the same in all figures and reports."""
    return family_styles([])[_FAMILIES[condition]]


@house_style()
def by_condition(
    conditions: Sequence[ConditionFinding], published: Sequence[float | None]
) -> Figure:
    """Draw the share of right answers in each condition, with chance and the published share.

    Args:
        conditions: At least one.
        published: For each measure the published share of veiled clips; None where there is none.
    """
    measures = [score.measure for score in conditions[0].scores]
    figure = Figure(
        figsize=(1.4 + 3.0 * len(measures), 1.5 + 0.45 * len(conditions)), layout="constrained"
    )
    panels = figure.subplots(1, len(measures), sharey=True, squeeze=False)[0]
    for place, (axes, measure) in enumerate(zip(panels, measures, strict=True)):
        for row, condition in enumerate(conditions):
            _mark(axes, condition.scores[place].share, row, look_of(condition.condition))
        chance = 100 * conditions[0].scores[place].chance
        axes.axvline(chance, color=GREY, linestyle="--", linewidth=1.2)
        printed = published[place]
        rows = [row for row, one in enumerate(conditions) if one.condition == "veiled"]
        if printed is not None and rows:
            axes.plot(100 * printed, rows[0] - 0.25, color=PUBLISHED, marker="|", markersize=11,
                      markeredgewidth=2, linestyle="none")  # fmt: skip
        axes.set(
            xlim=(-3, 103),
            ylim=(len(conditions) - 0.45, -0.55),
            yticks=range(len(conditions)),
            yticklabels=[condition.condition for condition in conditions],
            xlabel=f"{measure}, % of answers",
        )
        axes.grid(axis="y", visible=False)
    entries = [Line2D([], [], color=GREY, linestyle="--", linewidth=1.2, label="guessing")]
    if any(share is not None for share in published):
        entries.append(Line2D([], [], color=PUBLISHED, marker="|", markersize=11, linestyle="none",
                              markeredgewidth=2, label="published, not run"))  # fmt: skip
    figure.legend(handles=entries, loc="outside lower center", ncols=2)
    return figure


@house_style()
def by_person(conditions: Sequence[ConditionFinding]) -> Figure:
    """Draw how often each person is recognised (filled), and taken for somebody else (hollow).

    Args:
        conditions: At least one; the first decides the order, whoever is recognised most first.
    """
    order = sorted(conditions[0].people, key=lambda line: -line.recognised.value)
    names = [line.name for line in order]
    figure = Figure(figsize=(5.4, 1.4 + 0.32 * len(names)), layout="constrained")
    axes = figure.add_subplot()
    apart = 0.5 / len(conditions)
    for place, condition in enumerate(conditions):
        look = look_of(condition.condition)
        for line in condition.people:
            if line.name in names:
                row = names.index(line.name) + apart * (place - (len(conditions) - 1) / 2)
                _mark(axes, line.recognised, row, look)
                if line.taken is not None:
                    axes.plot(100 * line.taken.value, row, color=look[0], marker=look[1],
                              markersize=5, markerfacecolor="white", linestyle="none")  # fmt: skip
    axes.axvline(100 * conditions[0].chance_person, color=GREY, linestyle="--", linewidth=1.2)
    axes.set(
        xlim=(-3, 103),
        ylim=(len(names) - 0.4, -0.6),
        yticks=range(len(names)),
        yticklabels=[short(name) for name in names],
        xlabel="chosen, % of answers",
    )
    axes.grid(axis="y", visible=False)
    _legend(figure, conditions)
    return figure


@house_style()
def by_participant(conditions: Sequence[ConditionFinding]) -> Figure:
    """Draw each participant's share of right answers, a column a condition; one panel a measure."""
    measures = [score.measure for score in conditions[0].scores]
    figure = Figure(figsize=(0.8 + 2.8 * len(measures), 3.0), layout="constrained")
    panels = figure.subplots(1, len(measures), squeeze=False)[0]
    for place, (axes, measure) in enumerate(zip(panels, measures, strict=True)):
        for column, condition in enumerate(conditions):
            colour, marker = look_of(condition.condition)
            values = sorted(100 * line.shares[place].value for line in condition.members)
            spread = [
                column + 0.5 * ((number + 0.5) / len(values) - 0.5) for number in range(len(values))
            ]
            axes.plot(spread, values, color=colour, marker=marker, markersize=4.5,
                      linestyle="none", alpha=0.8)  # fmt: skip
        axes.axhline(100 * conditions[0].scores[place].chance, color=GREY, linestyle="--",
                     linewidth=1.2)  # fmt: skip
        axes.set(
            ylim=(-3, 103),
            xlim=(-0.6, len(conditions) - 0.4),
            xticks=range(len(conditions)),
            xticklabels=[condition.condition for condition in conditions],
            ylabel=f"{measure}, % of answers",
        )
        axes.grid(axis="x", visible=False)
    return figure


@house_style()
def over_session(conditions: Sequence[ConditionFinding]) -> Figure | None:
    """Draw the share of right answers in each quarter of the session; None where unknown."""
    known = [condition for condition in conditions if condition.learning]
    if not known:
        return None
    measures = [found.measure for found in known[0].learning]
    figure = Figure(figsize=(0.8 + 2.8 * len(measures), 3.1), layout="constrained")
    panels = figure.subplots(1, len(measures), squeeze=False)[0]
    for place, (axes, measure) in enumerate(zip(panels, measures, strict=True)):
        for number, condition in enumerate(known):
            colour, marker = look_of(condition.condition)
            parts = condition.learning[place].parts
            places = [part + 1 + 0.08 * number for part in range(len(parts))]
            axes.plot(places, [100 * part.value for part in parts], color=colour, marker=marker,
                      markersize=5.5)  # fmt: skip
            for x, part in zip(places, parts, strict=True):
                if part.interval is not None:
                    axes.plot([x, x], [100 * end for end in part.interval], color=colour,
                              linewidth=1.2)  # fmt: skip
        axes.axhline(100 * known[0].scores[place].chance, color=GREY, linestyle="--", linewidth=1.2)
        axes.set(
            ylim=(-3, 103),
            xticks=range(1, max(len(c.learning[place].parts) for c in known) + 1),
            xlabel="quarter of the session",
            ylabel=f"{measure}, % of answers",
        )
    _legend(figure, known)
    return figure


def _mark(axes: Axes, share: Share, row: float, look: Look) -> None:
    colour, marker = look
    if share.interval is not None:
        low, high = (100 * end for end in share.interval)
        axes.plot([low, high], [row, row], color=colour, linewidth=1.6, zorder=3)
    axes.plot(100 * share.value, row, color=colour, marker=marker, markersize=6.5,
              markeredgecolor="white", markeredgewidth=0.6, linestyle="none", zorder=4,
              clip_on=False)  # fmt: skip


def _legend(figure: Figure, conditions: Sequence[ConditionFinding]) -> None:
    entries = [
        Line2D([], [], color=colour, marker=marker, markersize=6, label=condition.condition)
        for condition in conditions
        for colour, marker in [look_of(condition.condition)]
    ]
    entries.append(Line2D([], [], color=GREY, linestyle="--", linewidth=1.2, label="guessing"))
    figure.legend(handles=entries, loc="outside lower center", ncols=4, labelcolor=INK)
