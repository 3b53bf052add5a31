"""The pages `report.html` and `tradeoff.html`: single HTML files with figures, media and style.

The pages load nothing from the network and run no script. Equal results give equal bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from motionveil.atomic_write import atomic_path, write_text_atomically
from motionveil.errors import MotionveilError
from motionveil.published import PublishedRow
from motionveil.recognition.artefact import FILE, FOLDER, RecogniserScores, RecogniserSpec
from motionveil.report import tables
from motionveil.report.aggregate import (
    Method,
    StoredResult,
    by_frame,
    by_labels,
    check,
    comparable,
    find,
    main_encoder,
    pool,
    reading,
)
from motionveil.report.figures import (
    GREY,
    bdq_of,
    curve_panels,
    house_style,
    quantisation,
    to_png,
    to_svg,
)
from motionveil.report.method_style import BDQ, RAW, family_styles
from motionveil.report.pareto import analyse
from motionveil.report.published_rows import compare, published_for, published_rows, sources_of
from motionveil.report.templates import (
    FigureImage,
    figure_image,
    image_uri,
    media,
    percent,
    render,
)
from motionveil.report.tradeoff_figure import several_families, styles, tradeoff
from motionveil.results import Dataset, Result
from motionveil.statistics import wilson_interval

FILE_NAME = "report.html"


def write_report(result: Result, folder: Path) -> Path:
    """Write a result's report as `folder/report.html`.

    Args:
        folder: Where the result's media lie and the page goes.

    Returns:
        The path of the page.

    Raises:
        MotionveilError: The result holds no rows, contradicts itself, or names media that are
            not plain images or videos of the folder; or the page cannot be written.

    Examples:
        >>> write_report(Result.read("runs/quickstart"), Path("runs/quickstart"))  # doctest: +SKIP
        PosixPath('runs/quickstart/report.html')
    """
    return write_joint_report([StoredResult(result, folder)], folder / FILE_NAME)


def write_joint_report(runs: Sequence[StoredResult], target: Path) -> Path:
    """Write one report of several runs; runs on the same labels are pooled in one section.

    Args:
        runs: At least one.

    Returns:
        `target`.

    Raises:
        MotionveilError: As for `write_report`.
    """
    for run in runs:
        check(run)
    sections = [_section(group) for group in by_labels(runs)]
    names = ", ".join(dict.fromkeys(section["data"].name for section in sections))
    return write_text_atomically(target, render("report.html", sections=sections, names=names))


def write_tradeoff(runs: Sequence[StoredResult], folder: Path) -> list[Path]:
    """Write `tradeoff.html`, `tradeoff.png` and `tradeoff.svg` into a folder.

    Args:
        runs: At least one, all on the same data set and labels; rows of a method are pooled.

    Returns:
        The paths of the page, the PNG and the SVG.

    Raises:
        MotionveilError: A result holds no rows or contradicts itself, the runs are on different
            data, a row's image is no plain file beside its `results.json`, or a file cannot
            be written.

    Examples:
        >>> folder = Path("runs/tradeoff")
        >>> stored = StoredResult(Result.read(folder), folder)  # doctest: +SKIP
        >>> write_tradeoff([stored], folder)  # doctest: +SKIP
    """
    for run in runs:
        check(run)
    groups = by_labels(runs)
    if len(groups) != 1:
        names = ", ".join(group[0].result.dataset.name for group in groups)
        raise MotionveilError(
            f"{folder}: runs on {names or 'no data'}: a trade-off is drawn of runs on one data set"
            " with the same labels"
        )
    methods = pool([run.result for run in runs])
    data = runs[0].result.dataset
    page = render(
        "tradeoff.html", s=_comparison(methods, data) | {"frames": _frames(methods, runs)}
    )
    compared = comparable(methods)
    figure = tradeoff(compared, data.privacy_label, _published_beside(compared, data))
    written = [write_text_atomically(folder / "tradeoff.html", page)]
    for name, content in (("tradeoff.png", to_png(figure)), ("tradeoff.svg", to_svg(figure))):
        with atomic_path(folder / name) as part:
            part.write_bytes(content)
        written.append(folder / name)
    return written


def _comparison(methods: Sequence[Method], data: Dataset) -> dict[str, Any]:
    """Return what both pages show of the methods on one data set."""
    compared = comparable(methods)
    analysis = analyse(compared)
    published = [
        {
            "publication": publication,
            "dataset": dataset,
            "comparisons": compare(methods, publication, dataset),
            "sources": sources_of(
                publication, {f.source for r in dataset.rows for f in (r.action, r.privacy)}
            ),
        }
        for publication, dataset in published_for(data)
    ]
    rows = [(tables.row_name(row, m.rows), row) for m in methods for row in m.rows]
    return {
        "data": data,
        "label": data.privacy_label,
        "methods": methods,
        "clips": max(method.action.n for method in methods),
        "rows": rows,
        "pooled": len(rows) > len(methods),
        "reading": reading(compared),
        "tradeoff": _tradeoff(compared, data),
        "tradeoff_by_frame": (
            _tradeoff(by_frame(methods), data) if compared[0].attackers else None
        ),
        "adversaries": tables.adversaries(methods),
        "attackers": tables.attacker_names(methods),
        "attacker_lines": tables.attacker_lines(methods),
        "differences": tables.differences(compared, analysis.draws),
        "analysis": analysis,
        "several": several_families(methods),
        "published": published,
        "steps": _steps(methods),
    }


def _section(runs: Sequence[StoredResult]) -> dict[str, Any]:
    """Return what the report shows of one data set."""
    data = runs[0].result.dataset
    # First, since a fault there should not wait for the figures.
    shown = [medium for run in runs for medium in media(run.result.media, run.folder)]
    methods = pool([run.result for run in runs])
    encoder = main_encoder(methods)
    return _comparison(methods, data) | {
        "results": [run.result for run in runs],
        "summary": [(m, tables.strongest_training(m)) for m in tables.summary(methods)],
        "timelines": [medium for medium in shown if medium.name == "timeline.png"],
        "measures": tables.measures(methods, data.privacy_label),
        "modes": tables.batchnorm_modes(methods),
        "attributes": tables.attributes(methods),
        "numbers": tables.numbers(methods),
        "trainings": _trainings(methods, data),
        "media": [medium for medium in shown if medium.name != "timeline.png"],
        "classes": tables.per_class(methods, data.actions, data.privacy_label, data.privacy_names),
        "confusions": tables.confusions([find(methods, RAW), encoder], data.actions),
        "reliability": reliability_figures(runs),
        "seeds": sorted({row.seed for method in methods for row in method.rows}),
        "collapsed": {name: why for r in runs for name, why in r.result.collapsed.items()},
    }


def _tradeoff(methods: Sequence[Method], data: Dataset) -> FigureImage:
    label = data.privacy_label
    points = "; ".join(
        f"{m.label}: {percent(m.action.accuracy)}, {percent(m.privacy.accuracy)}" for m in methods
    )
    return figure_image(
        "Trade-off",
        tradeoff(methods, label, _published_beside(methods, data)),
        f"Scatter plot of action accuracy and {label} accuracy, {reading(methods)}. {points}.",
    )


def _published_beside(methods: Sequence[Method], data: Dataset) -> Sequence[PublishedRow]:
    """Return the published rows that may stand beside these: published are figures by frame."""
    return () if methods[0].attackers else published_rows(data)


def _steps(methods: Sequence[Method]) -> list[FigureImage]:
    """Return the learned quantisation steps of each trained BDQ."""
    drawn = []
    for method, (colour, _) in zip(methods, styles(methods), strict=True):
        for row in method.rows:
            settings = bdq_of(row.encoder)
            if method.method != BDQ or settings is None:
                continue
            boundaries = ", ".join(f"{b:.2f}" for b in settings.rows[0])
            alt = f"Learned and initial quantisation steps. Learned boundaries: {boundaries}."
            name = tables.row_name(row, method.rows)
            drawn.append(figure_image(name, quantisation(settings, colour), alt))
    return drawn


def _trainings(methods: Sequence[Method], data: Dataset) -> list[tuple[str, list[FigureImage]]]:
    """Return each trained row's name and the panels of its curves."""
    trainings = []
    for method, (colour, _) in zip(methods, styles(methods), strict=True):
        for row in method.rows:
            name = tables.row_name(row, method.rows)
            panels = [
                figure_image(title, figure, f"{name}: {title}, {len(row.curves)} epochs.")
                for title, figure in curve_panels(
                    row, data.privacy_label, data.privacy_classes, colour
                )
            ]
            if panels:
                trainings.append((name, panels))
    return trainings


def _frames(methods: Sequence[Method], runs: Sequence[StoredResult]) -> list[tuple[str, str]]:
    """Return the first image that a row of each method has, with the method's label."""
    folders = {id(row): run.folder for run in runs for row in run.result.rows}
    found = []
    for method in methods:
        images = [(row.picture, folders[id(row)]) for row in method.rows]
        uris = [image_uri(name, folder) for name, folder in images if name is not None]
        found += [(method.label, uri) for uri in uris if uri is not None][:1]
    return found


def reliability_figures(runs: Sequence[StoredResult]) -> list[FigureImage]:
    """Return a figure for each run that left a recogniser with scores, in their order.

    Raises:
        MotionveilError: A `recogniser.json` is damaged.
    """
    images = []
    for run in runs:
        file = run.folder / FOLDER / FILE
        if not file.is_file():
            continue
        spec = RecogniserSpec.read(file)
        if spec.scores is not None and spec.scores.reliability:
            images.append(_reliability(spec.encoder.name, spec.scores))
    return images


def _reliability(name: str, scores: RecogniserScores) -> FigureImage:
    points = "; ".join(
        f"{percent(bin.probability, 1)}: {percent(bin.accuracy, 1)} of {bin.n}"
        for bin in scores.reliability
    )
    error = percent(scores.calibration_error, 1)
    return figure_image(
        f"{name}: expected calibration error {error}",
        reliability(scores),
        f"Accuracy by mean probability of the recogniser's answers, {points}.",
    )


@house_style()
def reliability(scores: RecogniserScores) -> Figure:
    """Draw accuracy by probability, with 95 % intervals, beside equality (Guo et al., 2017)."""
    colour, marker = family_styles([])[BDQ]
    figure = Figure(figsize=(4.4, 3.9), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 100], [0, 100], color=GREY, linestyle="--", linewidth=1.2, label="calibrated")
    largest = max(bin.n for bin in scores.reliability)
    for bin in scores.reliability:
        x, y = 100 * bin.probability, 100 * bin.accuracy
        low, high = wilson_interval(bin.accuracy, bin.n)
        axes.plot([x, x], [100 * low, 100 * high], color=colour, linewidth=1.4)
        size = 5 + 5 * (bin.n / largest) ** 0.5
        axes.plot(x, y, color=colour, marker=marker, markersize=size, linestyle="none")
        axes.annotate(f"{bin.n}", (x, y), (6, -10), textcoords="offset points", fontsize=8)
    axes.set(
        xlim=(-3, 103),
        ylim=(-3, 103),
        xlabel="mean probability of the answers, %",
        ylabel="right answers, %",
    )
    axes.legend(loc="upper left")
    return figure
