import math
from xml.etree import ElementTree

import numpy as np
import pytest
from report_examples import LEARNED, quickstart_rows, result, row

from motionveil.report import figures
from motionveil.report.pooling import pool
from motionveil.spec import EncoderSpec


def spec(**changes) -> EncoderSpec:
    return EncoderSpec.untrained(range=0.12).model_copy(update=changes)


def test_quantiser_is_the_sum_of_sigmoids():
    x = np.array([0.0, 3.3, 7.5, 15.0])
    by_hand = [sum(1 / (1 + math.exp(-5 * (v - b))) for b in LEARNED) for v in x]
    np.testing.assert_allclose(figures.quantiser(x, spec(boundaries=LEARNED)), by_hand, atol=1e-9)


def test_quantiser_agrees_with_the_spec():
    learned = spec(boundaries=LEARNED)
    d = np.linspace(-0.12, 0.12, 50)
    x = (d + 0.12) / 0.24 * 15
    np.testing.assert_allclose(figures.quantiser(x, learned), learned.veil_difference(d), atol=1e-9)


def test_a_very_hard_quantiser_counts_boundaries_without_overflow():
    x = np.array([0.0, 5.45, 7.0, 15.0])
    with np.errstate(all="raise", under="ignore"):
        y = figures.quantiser(x, spec(boundaries=LEARNED, hardness=1e6))
    np.testing.assert_allclose(y, [sum(b < v for b in LEARNED) for v in x])


def test_tradeoff_draws_points_intervals_and_floors():
    methods = pool([result(quickstart_rows())])
    figure = figures.tradeoff(methods, "identity")
    (axes,) = figure.axes
    centres = [c.lines[0].get_xydata()[0] for c in axes.containers]
    for method, centre in zip(methods, centres, strict=True):
        np.testing.assert_allclose(
            centre, [100 * method.frame.accuracy, 100 * method.action.accuracy]
        )
    _, _, bars = axes.containers[-1].lines
    reach = bars[0].get_segments()[0][:, 0]
    np.testing.assert_allclose(reach, 100 * np.array(methods[-1].frame.interval))
    verticals = [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == "--"]
    assert verticals == [pytest.approx(100 * methods[0].frame.floor)]
    names = [t.get_text() for t in figure.legends[0].get_texts()]
    assert names[:4] == [m.label for m in methods]
    assert "identity recognised" in axes.get_xlabel()


def test_tradeoff_shows_single_rows_of_pooled_methods():
    rows = [row("raw", seed=s, identity=0.9 - 0.1 * s) for s in range(3)]
    (axes,) = figures.tradeoff(pool([result(rows)]), "identity").axes
    small = [line for line in axes.lines if line.get_markerfacecolor() == "none"]
    np.testing.assert_allclose(small[0].get_xdata(), [100 * r.privacy.frame.accuracy for r in rows])


def test_every_method_has_its_own_colour_and_marker():
    rows = [*quickstart_rows(), row("bdq", 8.0), row("unet", 1.0), row("downsample-28")]
    looks = figures.styles(pool([result(rows)]))
    assert len(set(looks)) == len(looks)
    assert len({marker for _, marker in looks}) == len(looks)


def test_raw_and_plain_bdq_look_the_same_in_every_figure():
    all_four = figures.styles(pool([result(quickstart_rows())]))
    assert figures.styles(pool([result(quickstart_rows()[:1])])) == all_four[:1]
    assert figures.styles(pool([result(quickstart_rows()[3:])])) == all_four[3:]


def test_quantisation_marks_the_learned_boundaries():
    figure = figures.quantisation(spec(boundaries=LEARNED))
    axes = figure.axes[0]
    ticks = [[segment[0][0] for segment in c.get_segments()] for c in axes.collections]
    assert list(LEARNED) in ticks
    learned = next(line for line in axes.lines if line.get_label() == "learned")
    np.testing.assert_allclose(
        learned.get_ydata(), figures.quantiser(learned.get_xdata(), spec(boundaries=LEARNED))
    )


def test_quantisation_says_where_no_motion_lies_only_in_fixed_range():
    def labels(s):
        return [line.get_label() for line in figures.quantisation(s).axes[0].lines]

    assert "no motion" in labels(spec())
    assert "no motion" not in labels(spec(range_mode="clip", range=None))


def test_curve_panels_hold_what_was_logged():
    trained = row("bdq", 2.0, epochs=6)
    panels = dict(figures.curve_panels(trained, "identity", 8, "#0072B2"))
    assert len(panels) == 5
    accuracies = panels["Accuracy in training, %"].axes[0]
    np.testing.assert_allclose(
        accuracies.lines[0].get_ydata(), [100 * c["accuracy_action"] for c in trained.curves]
    )
    entropy = panels["Entropy of the adversary, nats"].axes[0]
    assert entropy.lines[1].get_ydata()[0] == pytest.approx(math.log(8))
    assert len(panels["Boundaries of the quantiser"].axes[0].lines) == 15


def test_curve_panels_leave_out_what_was_not_logged():
    plain = row("bdq", 2.0, epochs=3)
    plain.curves = [{"epoch": e, "sigma": 1.0, "surprise": 3.0} for e in range(3)]
    assert [t for t, _ in figures.curve_panels(plain, "identity", 8, "k")] == ["Blur σ, pixels"]
    plain.curves = []
    assert figures.curve_panels(plain, "identity", 8, "k") == []


def test_svg_is_whole_equal_and_free_of_dates():
    methods = pool([result(quickstart_rows())])
    first, second = (figures.to_svg(figures.tradeoff(methods, "identity")) for _ in range(2))
    assert first == second
    assert ElementTree.fromstring(first).tag.endswith("svg")
    assert b"<dc:date>" not in first


def test_names_are_not_formulas_and_not_markup():
    methods = pool([result([row("$x_1$ </svg><script>"), row("raw")])])
    figure = figures.tradeoff(methods, "$broken")
    svg = figures.to_svg(figure)
    ElementTree.fromstring(svg)
    assert b"<script" not in svg
    assert "$x_1$" in figure.legends[0].get_texts()[1].get_text()


@pytest.mark.parametrize("changes", [{"n": 1}, {"n": 1, "identity": 0.0}, {"identity": 1.0}])
def test_tradeoff_of_extremes(changes):
    figures.to_svg(figures.tradeoff(pool([result([row("raw", **changes)])]), "identity"))


def test_the_readers_own_matplotlib_style_is_left_alone():
    import matplotlib

    before = dict(matplotlib.rcParams)
    figures.to_svg(figures.quantisation(spec()))
    assert dict(matplotlib.rcParams) == before
