"""The summary of a study: table and notes, and the results as a page, figures and CSV files."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from motionveil.atomic_write import atomic_path, write_text_atomically
from motionveil.published import Publication
from motionveil.published import Study as PublishedStudy
from motionveil.report.figures import GREY, INK, house_style, short, to_png, to_svg
from motionveil.report.method_style import MarkerStyle, family_styles
from motionveil.report.templates import figure_image, render
from motionveil.statistics import Interval, p_value
from motionveil.study.analysis import MEASURES
from motionveil.study.findings import ConditionFinding, Share, StudyFindings
from motionveil.study.inference import chance_level

PAGE_FILE = "study.html"
COLUMNS = (
    *("Clips", "Measure", "Answers", "Accuracy %", "Chance %", "Informed chance %", "p (chance)"),
    *("Difference", "p (original)"),
)
SIGNIFICANT = 0.05

SIMULATED = "Simulated participants: these results are not about people."
ALL_EXCLUDED = "All participants are excluded by the criteria of the design."
NOT_SIGNIFICANT = (
    "Accuracy on veiled clips is not significantly above chance (p ≥ 0.05). This does not show that"
    " people cannot be recognised: accuracies up to the upper end of the interval are not ruled"
    " out."
)
NOT_INFORMED = (
    "Accuracy on veiled clips does not exceed the informed chance level: knowledge of which people"
    " occur together would explain it."
)
NO_CONTROL = (
    "The study has no original clips as a positive control: whether the task is feasible with these"
    " images and participants is unknown."
)
CONTROL_FAILED = (
    "Accuracy on original clips is not significantly above chance (p ≥ 0.05): low accuracy on"
    " veiled clips is then no evidence of privacy."
)
UNTRAINED = "The encoder was not trained against an adversary: no privacy protection is claimed."
STRANGERS = (
    "Participants did not know the people shown. Acquaintances, and networks trained on veiled"
    " video, may recognise more; the latter are measured by motionveil audit."
)


def percent(value: float) -> str:
    """Return a share in percent, such as `8.7`."""
    return f"{100 * value:.1f}"


def with_interval(value: float, interval: Interval | None) -> str:
    """Return a share and its interval in percent, such as `8.7 (5.1 to 12.9)`."""
    if interval is None:
        return percent(value)
    return f"{percent(value)} ({percent(interval[0])} to {percent(interval[1])})"


def summary_table(conditions: Sequence[ConditionFinding]) -> list[list[str]]:
    """Return a row of `COLUMNS` for each condition and measure, in percent.

    Answers are followed by the numbers of participants and of questions.
    """
    rows = []
    for found in conditions:
        differences = {difference.measure: difference for difference in found.control}
        for score in found.scores:
            difference = differences.get(score.measure)
            rows.append(
                [
                    *(found.condition, score.measure),
                    f"{score.share.n} ({found.participants} × {found.questions})",
                    with_interval(score.share.value, score.share.interval),
                    *(percent(score.chance), percent(score.informed), p_value(score.p)),
                    with_interval(difference.value, difference.interval) if difference else "–",
                    p_value(difference.p) if difference else "–",
                ]
            )
    return rows


def notes(findings: StudyFindings) -> list[str]:
    """Return the fixed notes that apply to a study's results."""
    by_name = {found.condition: found for found in findings.conditions}
    veiled, control = by_name.get("veiled"), by_name.get("raw")
    provenance = (findings.study.encoder or {}).get("provenance", {})
    alpha = provenance.get("alpha")
    is_adversarial = isinstance(alpha, (int, float)) and alpha > 0
    applies = {
        SIMULATED: findings.kind == "simulated",
        ALL_EXCLUDED: not findings.conditions,
        NOT_SIGNIFICANT: veiled is not None and veiled.scores[0].p >= SIGNIFICANT,
        NOT_INFORMED: veiled is not None
        and veiled.scores[0].chance < veiled.scores[0].share.value <= veiled.scores[0].informed,
        NO_CONTROL: "raw" not in findings.study.conditions,
        CONTROL_FAILED: control is not None and control.scores[0].p >= SIGNIFICANT,
        UNTRAINED: "veiled" in findings.study.conditions and not is_adversarial,
        STRANGERS: True,
    }
    return [note for note, holds in applies.items() if holds]


def write_results(findings: StudyFindings, folder: Path, published: Publication) -> list[Path]:
    """Write `study-results.json`, the figures as PNG and SVG, tables as CSV, and `study.html`.

    The page is self-contained and runs no script. The files contain the names of the label and
    the participants' public ids, but no images of people.

    Returns:
        The paths of the files, the page last.

    Raises:
        MotionveilError: A file cannot be written.
    """
    written = [findings.save(folder)]
    drawn = _figures(findings.conditions, published.study)
    for name, (_, figure, _) in drawn.items():
        for suffix, content in ((".svg", to_svg(figure)), (".png", to_png(figure))):
            with atomic_path(folder / f"{name}{suffix}") as part:
                part.write_bytes(content)
            written.append(folder / f"{name}{suffix}")
    page = render(
        "study.html",
        package="motionveil.study",
        findings=findings,
        study=findings.study,
        conditions=findings.conditions,
        columns=COLUMNS,
        summary_table=summary_table,
        with_interval=with_interval,
        notes=notes(findings),
        simulated=SIMULATED,
        images={
            name: figure_image(title, figure, alt) for name, (title, figure, alt) in drawn.items()
        },
        published=published,
        published_rows=_published_rows(published.study),
    )
    for name, text in (
        ("scores.csv", _csv(_score_rows(findings))),
        ("groups.csv", _csv(_group_rows(findings.conditions))),
        (PAGE_FILE, page),
    ):
        written.append(write_text_atomically(folder / name, text))
    return written


def _published_rows(study: PublishedStudy) -> list[tuple[str, float, float, float]]:
    """Return measure, accuracy, printed and computed chance level of the published study, in %."""
    answers = {"both": study.both, "at least one": study.at_least_one}
    return [
        (name, answers[name].percent, answers[name].chance, 100 * chance_level(n, study.choices, 2))
        for name, n in MEASURES[2].items()
    ]


def _figures(
    conditions: Sequence[ConditionFinding], published: PublishedStudy
) -> dict[str, tuple[str, Figure, str]]:
    """Return title, figure and alternative text of each figure by name."""
    if not conditions:
        return {}
    answers = {"both": published.both, "at least one": published.at_least_one}
    shares = [
        answers[score.measure].percent / 100 if score.measure in answers else None
        for score in conditions[0].scores
    ]
    drawn = {
        "conditions": (
            "Accuracy by condition",
            by_condition(conditions, shares),
            "Accuracy and chance level by condition; values in the summary table.",
        ),
        "people": (
            "Selections by person",
            by_person(conditions),
            "Hit rate and false-alarm rate of each person; values in the table below.",
        ),
        "participants": (
            "Accuracy by participant",
            by_participant(conditions),
            "Accuracy of each participant by condition; values in the table below.",
        ),
    }
    session = over_session(conditions)
    if session is not None:
        alt = "Accuracy in each quarter of the session by condition; slopes in the table below."
        drawn["session"] = ("Accuracy over the session", session, alt)
    return drawn


def _score_rows(findings: StudyFindings) -> Iterator[Sequence[Any]]:
    yield "answers", "condition", "measure", "n", "share", "low", "high", "chance", "p"
    for name, conditions in (("counted", findings.conditions), ("everybody", findings.everybody)):
        for found in conditions:
            for score in found.scores:
                share = _share_cells(score.share)
                yield name, found.condition, score.measure, *share, score.chance, score.p


def _group_rows(conditions: Sequence[ConditionFinding]) -> Iterator[Sequence[Any]]:
    yield "by", "name", "condition", "measure", "n", "share", "low", "high"
    for found in conditions:
        for line in found.people:
            for measure, share in (("hit rate", line.recognised), ("false-alarm rate", line.taken)):
                if share is not None:
                    yield "person", line.name, found.condition, measure, *_share_cells(share)
        for by, lines in (("action", found.actions), ("participant", found.members)):
            for group in lines:
                for score, share in zip(found.scores, group.shares, strict=True):
                    cells = _share_cells(share)
                    yield by, group.name, found.condition, score.measure, *cells


def _share_cells(share: Share) -> tuple[Any, ...]:
    return share.n, share.value, *(share.interval or ("", ""))


def _csv(rows: Iterator[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


_FAMILIES = {"veiled": "bdq", "raw": "raw", "face-blurred": "face-blur"}
_CHANCE: Any = {"color": GREY, "linestyle": "--", "linewidth": 1.2}
_PUBLISHED: Any = {
    **{"color": "#D55E00", "marker": "|", "markersize": 11, "markeredgewidth": 2},
    "linestyle": "none",
}
_LIMITS = (-3, 103)  # percent, with room for markers


def _style(condition: ConditionFinding) -> MarkerStyle:
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
            _draw_share(axes, condition.scores[place].share, row, _style(condition))
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
        style = _style(condition)
        for line in condition.people:
            if line.name in rows:
                row = rows[line.name] + apart * (place - (len(conditions) - 1) / 2)
                _draw_share(axes, line.recognised, row, style)
                if line.taken is not None:
                    axes.plot(100 * line.taken.value, row, color=style[0], marker=style[1],
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
            colour, marker = _style(condition)
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
            colour, marker = _style(condition)
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


def _draw_share(axes: Axes, share: Share, row: float, style: MarkerStyle) -> None:
    colour, marker = style
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
        colour, marker = _style(condition)
        entries.append(
            Line2D([], [], color=colour, marker=marker, markersize=6, label=condition.condition)
        )
    entries.append(Line2D([], [], label="chance level", **_CHANCE))
    figure.legend(handles=entries, loc="outside lower center", ncols=4, labelcolor=INK)
