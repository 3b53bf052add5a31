"""The report of a study: one HTML file, and beside it the figures, the tables and the JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from motionveil.files import atomic_path, write_text_atomically
from motionveil.published import Publication
from motionveil.published import Study as PublishedStudy
from motionveil.report.figures import to_png, to_svg
from motionveil.report.templates import Picture, picture, render
from motionveil.statistics import p_value
from motionveil.study import figures, words
from motionveil.study.chance import chance_of_at_least
from motionveil.study.findings import ConditionFinding, Share, StudyFindings

PAGE_FILE = "study.html"
MEASURES = {"both": 2, "at least one": 1}


def write_results(findings: StudyFindings, folder: Path, published: Publication) -> list[Path]:
    """Write everything that an analysis leaves behind.

    `study-results.json`, the figures as PNG and SVG, two tables as CSV, and `study.html`, which
    holds its figures and its style, loads nothing and runs no script. No pictures of people are
    in any of it, but the label's names are, and the participants' public ids.

    Args:
        findings: What came out.
        folder: Where it goes.
        published: Figures to put beside.

    Returns:
        The paths of what was written, the page last.

    Raises:
        MotionveilError: Something cannot be written.
    """
    written = [findings.save(folder)]
    drawn = _figures(findings, published.study)
    for name, _, figure, _ in drawn:
        for suffix, content in ((".svg", to_svg(figure)), (".png", to_png(figure))):
            with atomic_path(folder / f"{name}{suffix}") as part:
                part.write_bytes(content)
            written.append(folder / f"{name}{suffix}")
    written.append(write_text_atomically(folder / "scores.csv", _scores_csv(findings)))
    written.append(write_text_atomically(folder / "groups.csv", _groups_csv(findings)))
    pictures = [(name, picture(title, drawing, alt)) for name, title, drawing, alt in drawn]
    page = _page(findings, published, dict(pictures))
    written.append(write_text_atomically(folder / PAGE_FILE, page))
    return written


def _page(findings: StudyFindings, published: Publication, pictures: dict[str, Picture]) -> str:
    return render(
        "study.html",
        package="motionveil.study",
        findings=findings,
        study=findings.study,
        headline=words.headline(findings),
        sentences=words.sentences(findings),
        conditions=findings.conditions,
        versions=[("counted", findings.conditions), ("everybody", findings.everybody)],
        pictures=pictures,
        published=published,
        printed=_printed(published.study),
        words=words,
        p_value=p_value,
    )


def _printed(study: PublishedStudy) -> list[tuple[str, float, float, float]]:
    """Return the published shares: measure, share, chance as printed, and chance as computed."""
    figures_of = {"both": study.both, "at least one": study.at_least_one}
    return [
        (
            measure,
            figures_of[measure].percent,
            figures_of[measure].chance,
            100 * chance_of_at_least(least, study.choices, 2),
        )
        for measure, least in MEASURES.items()
    ]


def _figures(
    findings: StudyFindings, published: PublishedStudy
) -> list[tuple[str, str, Figure, str]]:
    """Return each figure with its name, its title and the words that stand for it."""
    conditions = findings.conditions
    if not conditions:
        return []
    printed = {"both": published.both, "at least one": published.at_least_one}
    shares = [
        printed[score.measure].percent / 100 if score.measure in printed else None
        for score in conditions[0].scores
    ]
    said = "; ".join(
        f"{condition.condition}, {score.measure}: {words.with_interval(score.share)}"
        for condition in conditions
        for score in condition.scores
    )
    drawn = [
        ("conditions", "By condition", figures.by_condition(conditions, shares), said),
        ("people", "By person", figures.by_person(conditions), _people_words(conditions)),
        (
            "participants",
            "By participant",
            figures.by_participant(conditions),
            "Each participant's share of right answers in each condition; the table has them.",
        ),
    ]
    session = figures.over_session(conditions)
    if session is not None:
        alt = "Share of right answers in each quarter of the session; the table has the slopes."
        drawn.append(("session", "Over the session", session, alt))
    return drawn


def _people_words(conditions: Sequence[ConditionFinding]) -> str:
    return "; ".join(
        f"{condition.condition}, {line.name}: {words.percent(line.recognised.value)} %"
        for condition in conditions
        for line in condition.people
    )


def _scores_csv(findings: StudyFindings) -> str:
    """Return the scores by condition, of the answers that count and of everybody's."""
    rows: list[list[object]] = [
        ["answers", "condition", "measure", "n", "share", "low", "high", "chance", "p"]
    ]
    for name, conditions in (("counted", findings.conditions), ("everybody", findings.everybody)):
        for found in conditions:
            for score in found.scores:
                low_high = score.share.interval or ("", "")
                line = [name, found.condition, score.measure, score.share.n, score.share.value]
                rows.append([*line, *low_high, score.chance, score.p])
    return _csv(rows)


def _groups_csv(findings: StudyFindings) -> str:
    """Return the shares by person, action and participant, of the answers that count."""
    rows: list[list[object]] = [["by", "name", "condition", "measure", "n", "share", "low", "high"]]
    for found in findings.conditions:
        for by, name, measure, share in _groups(found):
            low_high = share.interval or ("", "")
            rows.append([by, name, found.condition, measure, share.n, share.value, *low_high])
    return _csv(rows)


def _groups(found: ConditionFinding) -> Iterator[tuple[str, str, str, Share]]:
    for line in found.people:
        yield "person", line.name, "recognised", line.recognised
        if line.taken is not None:
            yield "person", line.name, "taken for another", line.taken
    measures = [score.measure for score in found.scores]
    for by, lines in (("action", found.actions), ("participant", found.members)):
        for group in lines:
            for measure, share in zip(measures, group.shares, strict=True):
                yield by, group.name, measure, share


def _csv(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
