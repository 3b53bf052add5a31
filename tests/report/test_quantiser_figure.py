import math

import numpy as np
from report_examples import LEARNED

from motionveil.report.quantiser_figure import quantisation, quantiser
from motionveil.spec import EncoderSpec


def spec(**changes) -> EncoderSpec:
    return EncoderSpec.untrained(range=0.12).model_copy(update=changes)


def test_quantiser_is_the_sum_of_sigmoids():
    x = np.array([0.0, 3.3, 7.5, 15.0])
    by_hand = [sum(1 / (1 + math.exp(-5 * (v - b))) for b in LEARNED) for v in x]
    np.testing.assert_allclose(quantiser(x, spec(boundaries=LEARNED)), by_hand, atol=1e-9)


def test_quantiser_agrees_with_the_spec():
    learned = spec(boundaries=LEARNED)
    d = np.linspace(-0.12, 0.12, 50)
    x = (d + 0.12) / 0.24 * 15
    np.testing.assert_allclose(quantiser(x, learned), learned.difference().levels(d), atol=1e-9)


def test_a_very_hard_quantiser_counts_boundaries_without_overflow():
    x = np.array([0.0, 5.45, 7.0, 15.0])
    with np.errstate(all="raise", under="ignore"):
        y = quantiser(x, spec(boundaries=LEARNED, hardness=1e6))
    np.testing.assert_allclose(y, [sum(b < v for b in LEARNED) for v in x])


def test_quantisation_marks_the_learned_boundaries():
    figure = quantisation(spec(boundaries=LEARNED))
    axes = figure.axes[0]
    ticks = [[segment[0][0] for segment in c.get_segments()] for c in axes.collections]
    assert list(LEARNED) in ticks
    learned = next(line for line in axes.lines if line.get_label() == "learned")
    np.testing.assert_allclose(
        learned.get_ydata(), quantiser(learned.get_xdata(), spec(boundaries=LEARNED))
    )


def test_quantisation_says_where_no_motion_lies_only_in_fixed_range():
    def labels(s):
        return [line.get_label() for line in quantisation(s).axes[0].lines]

    assert "no motion" in labels(spec())
    assert "no motion" not in labels(spec(range_mode="clip", range=None))
