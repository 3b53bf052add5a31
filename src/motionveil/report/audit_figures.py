"""The figures of audits: main metrics, training curves, ROC curves, privacy against utility."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from motionveil.audit_results import Finding, Measured, Recognition, Retrieval
from motionveil.report.audit_view import Pair
from motionveil.report.figures import GREY, house_style, short
from motionveil.report.method_style import BDQ, RAW, MarkerStyle, family_styles

_LOOKS = family_styles([])
_VEILED, _RAW = _LOOKS[BDQ], _LOOKS[RAW]
_APART = 0.16  # of the marks of veiled and of raw video, in rows


@house_style()
def main_metrics(pairs: Sequence[Pair[Finding]], label: str) -> Figure:
    """Draw each attack's main metric with its interval, raw video beside, and the chance level.

    Args:
        pairs: At least one attack whose main metric is a share; the first is at the top.
    """
    figure = Figure(figsize=(5.2, 1.3 + 0.36 * len(pairs)), layout="constrained")
    axes = figure.add_subplot()
    for row, pair in enumerate(pairs):
        _mark(axes, pair.veiled, row - (_APART if pair.raw else 0), _VEILED)
        if pair.raw is not None:
            _mark(axes, pair.raw, row + _APART, _RAW)
        chance = 100 * (pair.veiled.chance_level or 0.0)
        axes.vlines(chance, row - 0.5, row + 0.5, color=GREY, linestyle="--", linewidth=1.2)
    axes.set(
        xlim=(-3, 103),
        ylim=(len(pairs) - 0.45, -0.55),
        yticks=range(len(pairs)),
        yticklabels=[short(pair.name) for pair in pairs],
        xlabel=short(label),
    )
    axes.grid(axis="y", visible=False)
    marks = [_entry(_VEILED, "veiled")]
    if any(pair.raw for pair in pairs):
        marks.append(_entry(_RAW, "raw"))
    marks.append(Line2D([], [], color=GREY, linestyle="--", linewidth=1.2, label="chance level"))
    figure.legend(handles=marks, loc="outside lower center", ncols=3, columnspacing=1.4)
    return figure


def _mark(axes: Axes, finding: Finding, row: float, style: MarkerStyle) -> None:
    main = finding.rows()[0][1][0]
    if not isinstance(main.value, float):
        return
    colour, marker = style
    if main.interval is not None:
        low, high = (100 * end for end in main.interval)
        axes.plot([low, high], [row, row], color=colour, linewidth=1.6, zorder=3)
    axes.plot(100 * main.value, row, color=colour, marker=marker, markersize=6.5,
              markeredgecolor="white", markeredgewidth=0.6, linestyle="none", zorder=4,
              clip_on=False)  # fmt: skip


def _entry(style: MarkerStyle, name: str) -> Line2D:
    colour, marker = style
    return Line2D([], [], color=colour, marker=marker, markersize=6.5, markeredgecolor="white",
                  markeredgewidth=0.6, label=name)  # fmt: skip


@dataclass(frozen=True)
class EncoderPoint:
    """An encoder in the figure of several.

    Attributes:
        name: The encoder.
        privacy: Accuracy of the strongest attack; its cMAP for several attributes.
        action: Accuracy of the action network.
    """

    name: str
    privacy: Measured
    action: Measured


@house_style()
def encoder_points(
    points: Sequence[EncoderPoint],
    label: str,
    chance_levels: tuple[float, float],
    *,
    measure: str = "accuracy",
) -> Figure:
    """Draw action against privacy accuracy, a mark for each encoder, with both intervals.

    Args:
        points: At least one encoder.
        chance_levels: Of the label and of the action, in [0, 1].
        measure: What `EncoderPoint.privacy` is.
    """
    figure = Figure(figsize=(5.2, 4.6 + 0.1 * len(points)), layout="constrained")
    axes = figure.add_subplot()
    styles = family_styles([point.name for point in points])
    for point in points:
        colour, marker = styles[point.name]
        x, y = 100 * point.privacy.value, 100 * point.action.value
        axes.plot([100 * end for end in point.privacy.interval], [y, y], color=colour, zorder=3)
        axes.plot([x, x], [100 * end for end in point.action.interval], color=colour, zorder=3)
        axes.plot(x, y, color=colour, marker=marker, markersize=8, markeredgecolor="white",
                  markeredgewidth=0.6, linestyle="none", zorder=4, clip_on=False,
                  label=short(point.name))  # fmt: skip
    private, useful = (100 * level for level in chance_levels)
    axes.axvline(private, color=GREY, linestyle="--", linewidth=1.2,
                 label=f"chance level, {short(label)}")  # fmt: skip
    axes.axhline(useful, color=GREY, linestyle=":", linewidth=1.2,
                 label="chance level, action")  # fmt: skip
    axes.set(
        xlim=(-3, 103),
        ylim=(-3, 103),
        xlabel=f"{short(label)}: {measure} of the strongest attack, %",
        ylabel="action accuracy, % of clips",
    )
    figure.legend(loc="outside lower center", ncols=2, columnspacing=1.4)
    return figure


@house_style()
def learning(findings: Sequence[Recognition]) -> Figure:
    """Draw each attack's accuracy in training, epoch by epoch.

    Args:
        findings: At least one, each with a curve.
    """
    figure = Figure(figsize=(5.2, 3.2 + 0.11 * len(findings)), layout="constrained")
    axes = figure.add_subplot()
    styles = family_styles([finding.name for finding in findings])
    for finding in findings:
        colour, marker = styles[finding.name]
        epochs = range(1, len(finding.curve) + 1)
        axes.plot(epochs, [100 * share for share in finding.curve], color=colour, marker=marker,
                  markersize=4.5, markevery=0.25, label=short(finding.name))  # fmt: skip
    axes.set(ylim=(-3, 103), xlabel="epoch", ylabel="training accuracy, %")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside lower center", ncols=2, columnspacing=1.4)
    return figure


@house_style()
def roc(pairs: Sequence[Pair[Retrieval]]) -> Figure:
    """Draw the ROC curve of each re-identification attack; veiled solid, raw dashed.

    Args:
        pairs: At least one attack.
    """
    figure = Figure(figsize=(4.6, 4.4 + 0.2 * len(pairs)), layout="constrained")
    axes = figure.add_subplot()
    styles = family_styles([pair.name for pair in pairs])
    for pair in pairs:
        _curve(axes, pair.veiled, styles[pair.name], "-", f"{short(pair.name)}, veiled")
        if pair.raw is not None:
            _curve(axes, pair.raw, styles[pair.name], "--", f"{short(pair.name)}, raw")
    axes.plot([0, 100], [0, 100], color=GREY, linestyle=":", linewidth=1.2, label="chance")
    axes.set(
        xlim=(-2, 102),
        ylim=(-2, 102),
        aspect="equal",
        xlabel="false positive rate, %",
        ylabel="true positive rate, %",
    )
    figure.legend(loc="outside lower center", ncols=2, columnspacing=1.4)
    return figure


def _curve(axes: Axes, finding: Retrieval, style: MarkerStyle, dashes: str, name: str) -> None:
    colour, marker = style
    line: Any = {"color": colour, "linestyle": dashes, "marker": marker, "label": name}
    across, up = zip(*finding.curve, strict=True)
    axes.plot([100 * x for x in across], [100 * y for y in up], markersize=4.5,
              markevery=0.2, **line)  # fmt: skip
