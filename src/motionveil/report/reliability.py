"""How far the probabilities of the recognisers beside results can be relied on."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from motionveil.recognition.artefact import FILE, FOLDER, RecogniserSpec, Scores
from motionveil.report.aggregate import Run
from motionveil.report.figures import GREY, house_style
from motionveil.report.method_style import BDQ, family_styles
from motionveil.report.templates import Picture, percent, picture
from motionveil.results import wilson_interval


def reliability_pictures(runs: Sequence[Run]) -> list[Picture]:
    """Return a figure for each run that left a recogniser with scores, in their order.

    Raises:
        MotionveilError: A `recogniser.json` is damaged.
    """
    pictures = []
    for run in runs:
        file = run.folder / FOLDER / FILE
        if not file.is_file():
            continue
        spec = RecogniserSpec.read(file)
        if spec.scores is not None and spec.scores.reliability:
            pictures.append(_picture(spec.encoder.name, spec.scores))
    return pictures


def _picture(name: str, scores: Scores) -> Picture:
    points = "; ".join(
        f"{percent(bin.probability, 1)}: {percent(bin.accuracy, 1)} of {bin.n}"
        for bin in scores.reliability
    )
    error = percent(scores.calibration_error, 1)
    return picture(
        f"{name}: expected calibration error {error}",
        reliability(scores),
        f"Accuracy by mean probability of the recogniser's answers, {points}.",
    )


@house_style()
def reliability(scores: Scores) -> Figure:
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
