import math
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from report_examples import LEARNED, quickstart_rows, result, row

from motionveil.methods.bdq import BDQSettings
from motionveil.report.aggregate import pool
from motionveil.report.figures import curve_panels, quantisation, quantiser, to_png, to_svg
from motionveil.report.tradeoff_figure import tradeoff
from motionveil.spec import EncoderSpec


def test_svg_is_whole_equal_and_free_of_dates():
    methods = pool([result(quickstart_rows())])
    first, second = (to_svg(tradeoff(methods, "identity")) for _ in range(2))
    assert first == second
    assert ElementTree.fromstring(first).tag.endswith("svg")
    assert b"<dc:date>" not in first


def test_the_readers_own_matplotlib_style_is_left_alone():
    before = dict(matplotlib.rcParams)
    to_svg(quantisation(spec()))
    assert dict(matplotlib.rcParams) == before


def test_png_is_whole_equal_and_as_large_as_asked():
    methods = pool([result(quickstart_rows(n=12))])
    first, second = (to_png(tradeoff(methods, "identity"), 50) for _ in range(2))
    assert first == second
    assert first.startswith(b"\x89PNG")
    large = to_png(tradeoff(methods, "identity"), 100)
    width = [int.from_bytes(png[16:20]) for png in (first, large)]
    assert width[1] == pytest.approx(2 * width[0], abs=1)


def spec(**changes) -> BDQSettings:
    return EncoderSpec.untrained(range=0.12).change(**changes).settings


def test_quantiser_is_the_sum_of_sigmoids():
    x = np.array([0.0, 3.3, 7.5, 15.0])
    by_hand = [sum(1 / (1 + math.exp(-5 * (v - b))) for b in LEARNED) for v in x]
    np.testing.assert_allclose(quantiser(x, spec(boundaries=LEARNED)), by_hand, atol=1e-9)


def test_quantiser_agrees_with_the_spec():
    learned = EncoderSpec.untrained(range=0.12).change(boundaries=LEARNED)
    d = np.linspace(-0.12, 0.12, 50)
    x = (d + 0.12) / 0.24 * 15
    np.testing.assert_allclose(
        quantiser(x, learned.settings), learned.difference().levels(d), atol=1e-9
    )


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


def test_curve_panels_hold_what_was_logged():
    trained = row("bdq", 2.0, epochs=6)
    panels = dict(curve_panels(trained, "identity", 8, "#0072B2"))
    assert len(panels) == 5
    accuracies = panels["Accuracy in training, %"].axes[0]
    np.testing.assert_allclose(
        accuracies.lines[0].get_ydata(), [100 * c["accuracy_action"] for c in trained.curves]
    )
    entropy = panels["Entropy of the adversary, nats"].axes[0]
    assert entropy.lines[1].get_ydata()[0] == pytest.approx(math.log(8))
    assert len(panels["Boundaries of the quantiser"].axes[0].lines) == 15


def test_further_adversaries_stand_beside_the_first():
    trained = row("bdq", 2.0, epochs=3)
    trained.curves = [{**c, "accuracy_privacy_2": 0.9, "entropy_2": 0.1} for c in trained.curves]
    axes = dict(curve_panels(trained, "identity", 8, "k"))["Accuracy in training, %"].axes[0]
    assert [line.get_label() for line in axes.lines][-1] == "identity, adversary 2"
    np.testing.assert_allclose(axes.lines[-1].get_ydata(), 90)
    assert len(axes.get_legend().get_texts()) == 3


def test_curve_panels_leave_out_what_was_not_logged():
    plain = row("bdq", 2.0, epochs=3)
    plain.curves = [{"epoch": e, "sigma": 1.0, "surprise": 3.0} for e in range(3)]
    assert [t for t, _ in curve_panels(plain, "identity", 8, "k")] == ["Blur σ, pixels"]
    plain.curves = []
    assert curve_panels(plain, "identity", 8, "k") == []


def test_small_ones_are_half_of_the_size_and_still_say_what_they_show() -> None:
    figure = quantisation(spec())
    small, whole = to_svg(figure, small=True), to_svg(quantisation(spec()))
    assert small == to_svg(quantisation(spec()), small=True)
    assert len(small) < len(whole) / 2
    assert figure.axes[0].get_xlabel().encode() in small
    ElementTree.fromstring(small)
