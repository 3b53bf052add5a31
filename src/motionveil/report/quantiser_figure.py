"""The learned quantisation steps (paper, figure 3, row 2)."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from motionveil.report.figures import GREY, INK, house_style
from motionveil.spec import LEVELS, EncoderSpec, untrained_boundaries


def quantiser(x: NDArray[np.float64], spec: EncoderSpec) -> NDArray[np.float64]:
    """Return y = sum over n of sigmoid(H (x - b_n)) (paper, section 3.1) for x in [0, 15].

    Args:
        x: Normalised differences, any shape.
        spec: A BDQ encoder.
    """
    assert spec.boundaries is not None
    assert spec.hardness is not None
    steps = x[..., None] - np.asarray(spec.boundaries)
    # sigmoid(z) = (1 + tanh(z / 2)) / 2, which does not overflow for a large H.
    return ((1 + np.tanh(spec.hardness * steps / 2)) / 2).sum(-1)


@house_style()
def quantisation(spec: EncoderSpec, colour: str = "#0072B2") -> Figure:
    """Draw the learned steps over the initial ones, with their boundaries (paper, figure 3)."""
    assert spec.boundaries is not None
    start = spec.model_copy(update={"boundaries": untrained_boundaries()})
    x = np.linspace(0, LEVELS, 1501)
    figure = Figure(figsize=(4.4, 3.9), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(x, quantiser(x, spec), color=colour, linewidth=2.4, label="learned")
    axes.plot(x, quantiser(x, start), color=INK, linestyle="--", linewidth=0.9, label="initial")
    axes.vlines(untrained_boundaries(), -2.0, -1.3, color=GREY, linewidth=1)
    axes.vlines(spec.boundaries, -1.1, -0.4, color=colour, linewidth=1.6)
    axes.set(
        xlim=(-0.2, LEVELS + 0.2),
        ylim=(-2.1, LEVELS + 0.4),
        xticks=[0, 5, 10, 15],
        yticks=[0, 5, 10, 15],
        xlabel="difference x, brought to [0, 15]",
        ylabel="veiled value y",
    )
    if spec.range is not None:
        axes.axvline(LEVELS / 2, color=INK, linewidth=0.9, linestyle=":", label="no motion")
        _grey_level_axis(axes, spec.range)
    axes.legend(loc="upper left")
    return figure


def _grey_level_axis(axes: Axes, reach: float) -> None:
    """Say on top which differences of 8-bit intensities x stands for: (d + r) / 2r * 15."""
    top = axes.secondary_xaxis(
        "top",
        functions=(
            lambda x: (np.asarray(x) / LEVELS * 2 - 1) * reach * 255,
            lambda d: (np.asarray(d) / (255 * reach) + 1) / 2 * LEVELS,
        ),
    )
    top.set_xlabel("blurred difference, grey levels of 255", fontsize=8.5)
    top.tick_params(labelsize=8.5)
