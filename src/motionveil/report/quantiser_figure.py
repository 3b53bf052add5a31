"""The learned quantisation steps (paper, figure 3, row 2)."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from motionveil.methods.bdq import BDQSettings
from motionveil.report.figures import GREY, INK, house_style
from motionveil.spec import EncoderSpec


def bdq_of(spec: EncoderSpec) -> BDQSettings | None:
    """Return the settings of a BDQ that quantises with one row of boundaries; else None."""
    own = spec.settings
    quantises = isinstance(own, BDQSettings) and "Q" in own.modules and len(own.rows) == 1
    return own if isinstance(own, BDQSettings) and quantises else None


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
