import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_examples import baseline_rows, result, row, scores

from motionveil.errors import MotionveilError
from motionveil.report.aggregate import pool
from motionveil.report.pareto import (
    Draws,
    analyse,
    dominance,
    dominance_probability,
    front,
    hypervolume,
    no_bootstrap,
    resample,
)
from motionveil.results import Row

# Tenths, so that ties come up.
share = st.integers(0, 10).map(lambda n: n / 10)
points = st.lists(st.tuples(share, share), min_size=1, max_size=8)


def dominated(point, others) -> bool:
    a, p = point
    return any(b >= a and q <= p and (b, q) != (a, p) for b, q in others)


@given(points)
def test_the_front_is_what_nothing_dominates(found):
    kept = front([a for a, _ in found], [p for _, p in found])
    assert set(kept) == {i for i, point in enumerate(found) if not dominated(point, found)}
    assert [found[i][1] for i in kept] == sorted(found[i][1] for i in kept)


def test_the_front_needs_two_axes_of_one_length():
    with pytest.raises(ValueError, match="shorter"):
        front([0.1, 0.2], [0.1])


@given(points)
def test_hypervolume_is_the_share_of_a_grid_that_is_dominated(found):
    """Corners lie on tenths, so a hundredth of the square is dominated as a whole or not at all."""
    middle = np.arange(10) / 10 + 0.05
    covered = [any(p <= x and a >= y for a, p in found) for x in middle for y in middle]
    action, privacy = np.array(found).T
    assert hypervolume(action, privacy) == pytest.approx(np.mean(covered))


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=5))
def test_hypervolume_is_inclusion_and_exclusion_of_rectangles(found):
    total = 0.0
    for chosen in range(1, 2 ** len(found)):
        some = [point for i, point in enumerate(found) if chosen >> i & 1]
        overlap = min(a for a, _ in some) * (1 - max(p for _, p in some))
        total += overlap * (-1) ** (len(some) + 1)
    action, privacy = np.array(found).T
    assert hypervolume(action, privacy) == pytest.approx(total, abs=1e-9)


def test_hypervolume_of_many_draws_at_once_is_that_of_each():
    rng = np.random.default_rng(1)
    action, privacy = rng.random((2, 7, 4))
    together = hypervolume(action, privacy)
    each = [hypervolume(a, p) for a, p in zip(action, privacy, strict=True)]
    np.testing.assert_allclose(together, each)


def methods_of(*rows: Row):
    return pool([result(list(rows))])


def renamed(one: Row, clips_a_recording: int) -> Row:
    for i, p in enumerate(one.predictions):
        p.clip = f"{i // clips_a_recording}.mp4#{i}-{i + 16}"
    return one


def test_a_draw_scores_all_methods_on_the_same_recordings():
    """Against a loop that draws the same recordings and gathers their clips one by one."""
    rows = [renamed(row(m, n=22, action=0.6), 3) for m in ("raw", "blur-4")]
    methods = methods_of(*rows)
    draws = resample(methods, draws=20)
    assert (draws.clips, draws.recordings) == (22, 8)
    names = sorted({p.clip.partition("#")[0] for p in rows[0].predictions})
    times = np.random.default_rng(0).multinomial(8, [1 / 8] * 8, size=20)
    for draw, counts in enumerate(times):
        for m, one in enumerate(rows):
            right, seen = [], []
            for name, count in zip(names, counts, strict=True):
                for p in one.predictions:
                    if p.clip.startswith(f"{name}#"):
                        right += [np.argmax(p.action_probabilities) == p.action] * count
                        seen += [p.privacy_frames] * count
            assert draws.action[draw, m] == pytest.approx(np.mean(right))
            assert draws.privacy[draw, m] == pytest.approx(np.mean(seen))


def test_the_observed_points_are_the_pooled_accuracies():
    rows = [row(m, seed=seed, n=20) for seed in range(2) for m in ("raw", "blur-4", "blur-8")]
    methods = methods_of(*rows)
    draws = resample(methods, draws=2)
    np.testing.assert_allclose(draws.observed_action, [m.action.accuracy for m in methods])
    np.testing.assert_allclose(draws.observed_privacy, [m.frame.accuracy for m in methods])


def test_clips_of_one_recording_are_no_independent_trials():
    """Ten equal clips per recording say as little as one; the interval must not shrink."""
    one = row("raw", n=20, action=0.5)
    alone = resample(methods_of(one))
    tenfold = row("raw", n=20, action=0.5)
    tenfold.predictions = [
        p.model_copy(update={"clip": f"{p.clip}-{k}"}) for p in one.predictions for k in range(10)
    ]
    tenfold.action, _ = scores(tenfold.predictions)
    together = resample(methods_of(tenfold))
    assert together.clips == 200
    np.testing.assert_allclose(together.action, alone.action)


def test_methods_in_another_order_of_clips_are_paired_by_name():
    straight, turned = row("blur-4", n=20), row("blur-8", n=20)
    turned.predictions = list(reversed(straight.predictions))
    draws = resample(methods_of(straight, turned), draws=50)
    np.testing.assert_allclose(draws.action[:, 0], draws.action[:, 1])
    np.testing.assert_allclose(draws.privacy[:, 0], draws.privacy[:, 1])


def test_why_there_is_no_bootstrap():
    bare = row("blur-4", n=20)
    bare.predictions = []
    assert "clip by clip" in no_bootstrap(methods_of(row("raw", n=20), bare))
    assert "same clips" in no_bootstrap(methods_of(row("raw", n=20), row("blur-4", n=19)))
    assert "one recording" in no_bootstrap(methods_of(renamed(row("raw", n=20), 20)))
    assert no_bootstrap(methods_of(row("raw", n=20), row("blur-4", n=20))) == ""
    with pytest.raises(MotionveilError, match="no bootstrap: some rows"):
        resample(methods_of(bare))


def drawn(action, privacy) -> Draws:
    """Two methods' draws around (action, privacy) pairs, with a spread of 0.02."""
    noise = np.random.default_rng(0).normal(0, 0.02, (4, 500))
    action, privacy = np.array(action), np.array(privacy)
    return Draws(action + noise[:2].T, privacy + noise[2:].T, action, privacy, 100, 100)


@pytest.mark.parametrize(
    ("action", "privacy", "outcome"),
    [
        ((0.9, 0.6), (0.2, 0.6), "dominates"),
        ((0.6, 0.9), (0.6, 0.2), "dominated"),
        ((0.9, 0.9), (0.2, 0.6), "dominates"),
        ((0.9, 0.89), (0.2, 0.6), "dominates"),
        ((0.89, 0.9), (0.2, 0.6), "neither"),  # a hair behind is not "not worse"
        ((0.9, 0.6), (0.6, 0.2), "neither"),  # each wins an axis
        ((0.9, 0.89), (0.59, 0.6), "neither"),  # better, but within the intervals
        ((0.9, 0.9), (0.6, 0.6), "neither"),
    ],
)
def test_dominance(action, privacy, outcome):
    draws = drawn(action, privacy)
    found = dominance(draws)
    assert found[0, 1] == (outcome == "dominates")
    assert found[1, 0] == (outcome == "dominated")
    assert not found.diagonal().any()


@settings(max_examples=30)
@given(st.lists(st.tuples(share, share), min_size=2, max_size=5))
def test_whatever_is_dominated_beyond_the_intervals_is_dominated(found):
    noise = np.random.default_rng(0).normal(0, 0.05, (2, 100, len(found)))
    action, privacy = np.array(found).T
    draws = Draws(action + noise[0], privacy + noise[1], action, privacy, 100, 100)
    for i in range(len(found)):
        for j in range(len(found)):
            if dominance(draws)[i, j]:
                assert dominated(found[j], [found[i]])


@pytest.fixture(scope="module")
def baselines():
    return analyse(pool([result(baseline_rows(n=60))]))


def test_hypervolumes_are_those_of_the_families_and_of_all(baselines):
    found = {area.family: area for area in baselines.hypervolumes}
    assert list(found)[-1] is None
    assert {"bdq", "unet", "ryoo", "face-blur"} < set(found)
    assert "raw" not in found
    ryoo = [m for m in baselines.methods if m.family == "ryoo"]
    by_hand = hypervolume(
        np.array([m.action.accuracy for m in ryoo]), np.array([m.frame.accuracy for m in ryoo])
    )
    assert found["ryoo"].value == pytest.approx(float(by_hand))
    assert found[None].value >= max(a.value for a in baselines.hypervolumes)
    for area in baselines.hypervolumes:
        assert area.interval[0] <= area.interval[1]


def test_differences_are_bdq_s_less_the_other_s_and_paired(baselines):
    found = {area.family: area for area in baselines.hypervolumes}
    assert found["bdq"].difference is None
    unet = found["unet"]
    assert unet.difference == pytest.approx(found["bdq"].value - unet.value)
    assert unet.difference_interval[0] > 0
    # A family against its own double: paired, the difference is 0 in every draw.
    rows = [row("bdq", 1.0, n=20), row("unet", 1.0, n=20)]
    rows[1].predictions = rows[0].predictions
    rows[1].action, rows[1].privacy = rows[0].action, rows[0].privacy
    twins = {a.family: a for a in analyse(methods_of(*rows)).hypervolumes}
    assert twins["unet"].difference_interval == pytest.approx((0, 0))


def test_the_points_of_a_family_that_another_s_dominate_are_counted(baselines):
    assert baselines.dominated_points("bdq", "ryoo") == 6
    assert baselines.dominated_points("ryoo", "bdq") == 0
    weak = row("blur-4", n=60, action=0.3, identity=0.99)
    strong = [row("unet", 1.0, n=60, action=0.99, identity=0.5), row("unet", 2.0, n=60, action=0.0)]
    assert analyse(methods_of(weak, *strong)).dominated_points("unet", "blur") == 1
    other = row("blur-8", n=60, action=0.3, identity=0.05)
    assert analyse(methods_of(weak, other, *strong)).dominated_points("unet", "blur") == 1


def test_nothing_dominates_a_method_on_the_front(baselines):
    assert not baselines.dominates[:, baselines.front].any()


def test_what_the_clips_cannot_tell_apart_dominates_nothing():
    rows = [row("bdq", 2.0, n=60), row("unet", 2.0, n=60)]
    rows[1].predictions, rows[1].action = rows[0].predictions, rows[0].action
    rows[1].privacy = rows[0].privacy
    found = analyse(methods_of(*rows))
    assert found.dominated_points("bdq", "unet") == found.dominated_points("unet", "bdq") == 0
    assert found.front == [0, 1]
    np.testing.assert_array_equal(found.probabilities, 0)
    np.testing.assert_array_equal(found.front_probabilities, 1)


@settings(max_examples=30)
@given(st.lists(points, min_size=1, max_size=4))
def test_probabilities_are_shares_of_draws(found):
    """Against a loop over draws and pairs."""
    size = min(len(draw) for draw in found)
    action, privacy = (np.array([[p[k] for p in d[:size]] for d in found]) for k in (0, 1))
    probability, on_front = dominance_probability(
        Draws(action, privacy, action[0], privacy[0], 2, 2)
    )
    for i in range(size):
        for j in range(size):
            wins = [dominated(draw[j], [draw[i]]) for draw in found]
            assert probability[i, j] == pytest.approx(np.mean(wins))
        kept = [not dominated(draw[i], draw[:size]) for draw in found]
        assert on_front[i] == pytest.approx(np.mean(kept))


def test_without_a_bootstrap_there_is_a_front_but_no_claim():
    rows = [row("bdq", 2.0, n=20), row("unet", 2.0, n=20, action=0.1)]
    rows[0].predictions = []
    found = analyse(methods_of(*rows))
    assert found.front
    assert found.draws is None
    assert found.dominates is None
    assert found.probabilities is None
    assert found.dominated_points("bdq", "unet") == 0
    assert all(a.interval is None and a.difference_interval is None for a in found.hypervolumes)


def test_equal_results_give_equal_intervals(baselines):
    again = analyse(pool([result(baseline_rows(n=60))]))
    assert again.hypervolumes == baselines.hypervolumes
    np.testing.assert_array_equal(again.dominates, baselines.dominates)
