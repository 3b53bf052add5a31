"""A result beside the published figures; the results here are invented."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from report_examples import dataset

from motionveil.errors import MotionveilError
from motionveil.published import load_publication
from motionveil.report.aggregate import Run
from motionveil.report.published_rows import (
    Comparison,
    Verification,
    difference_interval,
    published_for,
    published_rows,
    sources_of,
    verify,
)
from motionveil.results import Dataset, Result, Row
from motionveil.training.recipe import load_recipe
from published.sbu_examples import sbu_data, sbu_result, sbu_row

PAPER = load_publication("paper")


def verified(result: Result) -> Verification:
    return verify(Run(result, Path("runs/sbu")), PAPER)


def found(result: Result, method: str, axis: str) -> Comparison:
    [line] = [c for c in verified(result).comparisons if (c.method, c.axis) == (method, axis)]
    return line


def wilson(right: float, n: int) -> tuple[float, float]:
    """Wilson's bounds by their definition: where the score test's statistic is 1.96."""
    share, z = right / n, 1.959963984540054

    def bound(low: float, high: float, sign: float) -> float:
        for _ in range(80):
            middle = (low + high) / 2
            distance = sign * (share - middle) - z * math.sqrt(middle * (1 - middle) / n)
            # Far from the share the test rejects.
            if (distance > 0) == (sign > 0):
                low = middle
            else:
                high = middle
        return low

    return bound(0.0, share, 1.0), bound(share, 1.0, -1.0)


class TestDifferenceInterval:
    @pytest.mark.parametrize(
        ("a", "n", "b", "m", "low", "high"),
        [  # Newcombe 1998, table II, method 10
            (56, 70, 48, 80, 0.0524, 0.3339),
            (9, 10, 3, 10, 0.1705, 0.8090),
            (6, 7, 2, 7, 0.0582, 0.8062),
            (5, 56, 0, 29, -0.0381, 0.1926),
            (0, 10, 0, 20, -0.1611, 0.2775),
            (10, 10, 0, 10, 0.6075, 1.0),
        ],
    )
    def test_known_values(self, a: int, n: int, b: int, m: int, low: float, high: float) -> None:
        assert difference_interval(a / n, n, b / m, m) == pytest.approx((low, high), abs=6e-5)

    @pytest.mark.parametrize(("a", "b"), [(79, 60), (32, 35), (94, 90), (47, 47)])
    def test_is_two_wilson_intervals(self, a: int, b: int) -> None:
        (al, au), (bl, bu) = wilson(a, 94), wilson(b, 957)
        d = a / 94 - b / 957
        expected = (
            d - ((a / 94 - al) ** 2 + (bu - b / 957) ** 2) ** 0.5,
            d + ((au - a / 94) ** 2 + (b / 957 - bl) ** 2) ** 0.5,
        )
        assert difference_interval(a / 94, 94, b / 957, 957) == pytest.approx(expected, abs=1e-9)

    def test_turned_round_it_is_the_negative(self) -> None:
        low, high = difference_interval(0.8, 94, 0.6, 957)
        assert difference_interval(0.6, 957, 0.8, 94) == pytest.approx((-high, -low))


class TestVerdict:
    def test_the_published_figures_themselves_are_within(self) -> None:
        line = found(sbu_result(sbu_row("bdq", 2.0, action=79, pair=482 / 15)), "bdq", "action")
        assert (line.n, line.published_n) == (94, 94)
        assert line.published == 0.8404
        assert line.difference == pytest.approx(0, abs=1e-4)
        assert line.interval[0] < 0 < line.interval[1]
        assert line.verdict == "within"
        assert line.measured_interval == pytest.approx(wilson(79, 94), abs=1e-6)
        assert line.published_interval == pytest.approx(wilson(79, 94), abs=1e-4)

    @pytest.mark.parametrize(
        ("clips", "verdict"), [(79, "within"), (71, "within"), (66, "outside"), (91, "outside")]
    )
    def test_action(self, clips: int, verdict: str) -> None:
        result = sbu_result(sbu_row("bdq", 2.0, action=clips, pair=32))
        line = found(result, "bdq", "action")
        assert line.verdict == verdict
        low, high = difference_interval(clips / 94, 94, 0.8404, 94)
        assert line.interval == pytest.approx((low, high))
        assert (low <= 0 <= high) == (verdict == "within")

    @pytest.mark.parametrize(("clips", "verdict"), [(32, "within"), (60, "outside")])
    def test_privacy_is_read_by_frame(self, clips: int, verdict: str) -> None:
        """By clip everything is right here, which is not what is compared."""
        line = found(sbu_result(sbu_row("bdq", 2.0, action=79, pair=clips)), "bdq", "privacy")
        assert line.measured == pytest.approx(clips / 94)
        assert line.verdict == verdict
        assert line.source == "text"

    def test_methods_come_with_their_figures(self) -> None:
        rows = [sbu_row("raw"), sbu_row("unet", 2.0), sbu_row("ryoo-28"), sbu_row("bdq", 2.0)]
        published = {
            (c.method, c.axis): c.published for c in verified(sbu_result(*rows)).comparisons
        }
        assert published["raw", "privacy"] == 0.98
        assert published["unet", "action"] == 0.82
        assert published["ryoo-28", "privacy"] == pytest.approx(0.9847)
        assert len(published) == 8

    def test_seeds_are_pooled_and_no_new_evidence(self) -> None:
        rows = [sbu_row("bdq", 2.0, action=clips, seed=clips) for clips in (70, 80)]
        line = found(sbu_result(*rows), "bdq", "action")
        assert line.n == 94
        assert line.measured == pytest.approx(75 / 94)


class TestWhatIsNotCompared:
    def test_nothing_is_said_against_the_paper_s_experiment(self) -> None:
        verification = verified(sbu_result(sbu_row("bdq", 2.0)))
        assert verification.departures == []
        assert verification.not_compared == {}
        assert set(verification.sources) == {"figure", "text"}

    def test_rows_without_a_counterpart(self) -> None:
        rows = [
            sbu_row("bdq", 2.0),
            sbu_row("bdq", 0.0),
            sbu_row("bdq"),
            sbu_row("bdq-untrained"),
        ]
        verification = verified(sbu_result(*rows))
        assert {(c.method, c.alpha) for c in verification.comparisons} == {("bdq", 2.0)}
        assert verification.not_compared == {
            "bdq, alpha 0": "published is alpha 2",
            "bdq": "published is alpha 2",
            "bdq-untrained": "no published figure",
        }

    def test_no_row_with_a_counterpart_is_an_error(self) -> None:
        with pytest.raises(MotionveilError, match=r"runs/sbu/results\.json: nothing to compare"):
            verified(sbu_result(sbu_row("bdq-untrained")))

    def test_another_data_set_is_an_error(self) -> None:
        result = sbu_result(sbu_row("bdq", 2.0), name="actors")
        with pytest.raises(
            MotionveilError, match=r"'actors'; there are published figures for sbu, kth, ipn"
        ):
            verified(result)

    def test_another_label(self) -> None:
        verification = verified(sbu_result(sbu_row("bdq", 2.0), privacy_label="actor"))
        assert [c.axis for c in verification.comparisons] == ["action"]
        assert verification.not_compared["privacy"] == "the label is 'actor', published is 'pair'"


def departures(row: Row | None = None, recipe: Any = None, **data: Any) -> str:
    result = sbu_result(row or sbu_row("bdq", 2.0), recipe=recipe, **data)
    return "\n".join(f"{d.field}: {d.here} | {d.published}" for d in verified(result).departures)


class TestDepartures:
    @pytest.mark.parametrize(
        ("data", "said"),
        [
            ({"split_rule": "set-folds: 21"}, "split: set-folds | paper"),
            ({"split_rule": ""}, "split: not stated | paper"),
            (
                {"parts": {"validation": (100, 94)}},
                "clips of validation: 100 + 94 | 188 + 94",
            ),
            ({"actions": ["a", "b"]}, "actions: 2 | 8"),
            ({"privacy_names": ["p"] * 20}, "classes of pair: 20 | 13"),
        ],
    )
    def test_of_the_data(self, data: dict[str, Any], said: str) -> None:
        row = sbu_row("bdq", 2.0).model_copy(update={"predictions": []})
        assert said in departures(row, **data)

    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            ({"size": 96}, "size: 96 | 224"),
            ({"rate": 12.5}, "rate: 12.5 | none"),
            ({"order": "camera"}, "order: camera | paper"),
            ({"frames": 12}, "frames: 12 | 16"),
            ({"action.name": "i3d"}, "action.name: i3d | resnet50_3d"),
            ({"privacy.weights": None}, "privacy.weights: none | ImageNet"),
            ({"scales": [1.0, 0.84]}, "scales: 1, 0.84 | 1, 0.841, 0.595, 0.5"),
            ({"adversarial.encoder_lr": 0.05}, "adversarial.encoder_lr: 0.05 | none"),
            ({"validation.epochs": 5}, "validation.epochs: 5 | 50"),
        ],
    )
    def test_of_the_recipe(self, settings: dict[str, Any], said: str) -> None:
        recipe = load_recipe("sbu", settings).model_dump(mode="json")
        assert departures(recipe=recipe) == said

    @pytest.mark.parametrize(("step", "said"), [(1, ""), (3, "rate: 1 frame in 3 | none")])
    def test_of_a_recipe_from_before_there_were_rates(self, step: int, said: str) -> None:
        recipe = load_recipe("sbu").model_dump(mode="json")
        del recipe["rate"], recipe["order"]
        assert departures(recipe=recipe | {"frame_step": step}) == said

    def test_a_file_of_weights_is_none(self) -> None:
        weights = {"action.weights": "resnet-50-kinetics.safetensors"}
        assert departures(recipe=load_recipe("sbu", weights).model_dump(mode="json")) == ""

    def test_a_recipe_that_says_little(self) -> None:
        said = departures(recipe={"size": 224, "frames": 16})
        assert "hardness: not stated | 5" in said
        assert len(said.splitlines()) == len(PAPER.protocol) - 1  # all but its size


def test_the_data_here_fits_the_paper_s() -> None:
    data = sbu_data()
    assert len(data.actions) == 8
    assert len(data.privacy_names) == 13


def invented(name: str, label: str) -> Dataset:
    return dataset(name=name).model_copy(update={"privacy_label": label})


@pytest.mark.parametrize(("name", "label"), [("sbu", "pair"), ("kth", "person"), ("ipn", "gender")])
def test_the_paper_s_data_sets_have_published_figures(name, label):
    (published,) = [d for p, d in published_for(invented(name, label)) if p.name == "paper"]
    (there,) = [d for d in PAPER.datasets if d.name == name]
    assert published == there
    assert set(published_rows(invented(name, label))) >= set(there.rows)
    used = {f.source for r in there.rows for f in (r.action, r.privacy)}
    assert set(sources_of(PAPER, used)) == used


@pytest.mark.parametrize(("name", "label"), [("actors", "identity"), ("sbu", "clothes")])
def test_other_data_and_other_labels_have_none(name, label):
    assert published_for(invented(name, label)) == []
