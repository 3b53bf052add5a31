from xml.etree import ElementTree

import numpy as np
import pytest
from report_examples import baseline_rows, quickstart_rows, result, row

from motionveil.published import load_publication
from motionveil.report.aggregate import pool
from motionveil.report.figures import GREY, to_svg
from motionveil.report.pareto import front
from motionveil.report.tradeoff_figure import steps_of, tradeoff


def test_tradeoff_draws_points_intervals_and_chance_levels():
    methods = pool([result(quickstart_rows())])
    figure = tradeoff(methods, "identity")
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
    assert verticals == [pytest.approx(100 * methods[0].frame.chance_level)]
    names = [t.get_text() for t in figure.legends[0].get_texts()]
    assert names[:4] == [m.label for m in methods]
    assert "identity accuracy" in axes.get_xlabel()


def test_tradeoff_shows_single_rows_of_pooled_methods():
    rows = [row("raw", seed=s, identity=0.9 - 0.1 * s) for s in range(3)]
    (axes,) = tradeoff(pool([result(rows)]), "identity").axes
    small = [line for line in axes.lines if line.get_markerfacecolor() == "none"]
    np.testing.assert_allclose(small[0].get_xdata(), [100 * r.privacy.frame.accuracy for r in rows])


def test_names_are_not_formulas_and_not_markup():
    methods = pool([result([row("$x_1$ </svg><script>"), row("raw")])])
    figure = tradeoff(methods, "$broken")
    svg = to_svg(figure)
    ElementTree.fromstring(svg)
    assert b"<script" not in svg
    assert "$x_1$" in figure.legends[0].get_texts()[1].get_text()


@pytest.mark.parametrize("changes", [{"n": 1}, {"n": 1, "identity": 0.0}, {"identity": 1.0}])
def test_tradeoff_of_extremes(changes):
    to_svg(tradeoff(pool([result([row("raw", **changes)])]), "identity"))


@pytest.fixture(scope="module")
def many():
    return pool([result([r for seed in range(2) for r in baseline_rows(seed=seed, n=24)])])


def test_families_are_named_once_and_joined_in_the_order_of_strength(many):
    figure = tradeoff(many, "identity")
    (axes,) = figure.axes
    names = [t.get_text() for t in figure.legends[0].get_texts()]
    assert names.count("Ryoo et al.") == names.count("BDQ") == names.count("Pareto front") == 1
    assert not any("28" in name for name in names)
    ryoo = {m.strength: m for m in many if m.family == "ryoo"}
    across = [100 * ryoo[side].frame.accuracy for side in (112, 56, 28, 14, 7, 4)]
    up = [100 * ryoo[side].action.accuracy for side in (112, 56, 28, 14, 7, 4)]
    drawn = [line.get_xydata() for line in axes.lines if len(line.get_xdata()) == 6]
    assert any(np.allclose(points, np.column_stack([across, up])) for points in drawn)


def test_the_front_is_drawn_through_its_methods(many):
    (axes,) = tradeoff(many, "identity").axes
    (line,) = [line for line in axes.lines if line.get_label() == "Pareto front"]
    corners = {tuple(np.round(p, 6)) for p in line.get_xydata()}
    action, privacy = ([getattr(m, a).accuracy for m in many] for a in ("action", "frame"))
    for i in front(action, privacy):
        assert tuple(np.round([100 * privacy[i], 100 * action[i]], 6)) in corners


def test_the_step_line_has_nothing_above_it(many):
    corners = steps_of(many)
    assert corners == sorted(corners)
    for m in many:
        reached = max(y for x, y in corners if x <= m.frame.accuracy)
        assert m.action.accuracy <= reached


def test_one_family_has_no_front_and_no_family_legend():
    figure = tradeoff(pool([result(quickstart_rows())]), "identity")
    names = [t.get_text() for t in figure.legends[0].get_texts()]
    assert "Pareto front" not in names
    assert "BDQ, α = 0" in names


def test_published_points_are_hollow_and_said_not_to_be_run(many):
    rows = load_publication("paper").datasets[0].rows
    figure = tradeoff(many, "pair", rows)
    (axes,) = figure.axes
    hollow = [line for line in axes.lines if line.get_markerfacecolor() == "none"]
    grey = [line for line in hollow if line.get_color() == GREY]
    places = {tuple(np.round(line.get_xydata()[0], 6)) for line in grey}
    assert places == {(r.privacy.percent, r.action.percent) for r in rows}
    assert "published" in [t.get_text() for t in figure.legends[0].get_texts()]


def test_the_strongest_of_a_family_is_named_by_its_strength(many):
    (axes,) = tradeoff(many, "identity").axes
    assert {"α 8", "α 4", "4", "7", "8", "16", "2.4"} == {text.get_text() for text in axes.texts}
