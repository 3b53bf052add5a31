"""A result beside the published figures; the results here are invented."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from report_examples import dataset

from motionveil.errors import MotionveilError
from motionveil.published import load_publication
from motionveil.report.aggregate import StoredResult
from motionveil.report.departures import _ELSEWHERE, _flat
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
from motionveil.spec import EncoderSpec
from motionveil.training.recipe import load_recipe
from published.sbu_examples import sbu_data, sbu_provenance, sbu_result, sbu_row

PAPER = load_publication("paper")


def verified(result: Result) -> Verification:
    return verify(StoredResult(result, Path("runs/sbu")), PAPER)


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
        row = row_from(sbu_provenance(privacy_label="actor"))
        verification = verified(sbu_result(row, privacy_label="actor"))
        assert [c.axis for c in verification.comparisons] == ["action"]
        assert verification.not_compared["privacy"] == "the label is 'actor', published is 'pair'"


def departures(row: Row | None = None, recipe: Any = None, **data: Any) -> str:
    result = sbu_result(row or sbu_row("bdq", 2.0), recipe=recipe, **data)
    return "\n".join(f"{d.field}: {d.here} | {d.published}" for d in verified(result).departures)


def row_from(origin: dict[str, Any], method: str = "bdq") -> Row:
    """Return a row whose encoder says that it comes from there."""
    row = sbu_row(method, 2.0)
    encoder = row.encoder.model_copy(update={"provenance": origin})
    return row.model_copy(update={"encoder": encoder})


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

    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            ({"range_mode": "clip"}, "range_mode: clip | open (fixed in our recipe)"),
            ({"adversarial.momentum": 0}, "adversarial.momentum: 0 | open (0.9 in our recipe)"),
            ({"validation.weight_decay": 0.1}, "validation.weight_decay: 0.1 | open (0 in our"),
            ({"adversarial.adversaries": 4}, "adversarial.adversaries: 4 | 1"),
            ({"adversarial.restart_every": 50}, "adversarial.restart_every: 50 | none"),
            ({"cache_size": 256}, "cache_size: 256 | open (224 in our recipe)"),
            ({"methods.unet.blocks": 1}, "methods.unet.blocks: 1 | open (5 in our recipe)"),
            ({"methods.ryoo.motions": 2}, "methods.ryoo.motions: 2 | open"),
        ],
    )
    def test_of_what_the_paper_leaves_open_or_has_one_of(
        self, settings: dict[str, Any], said: str
    ) -> None:
        assert said in departures(recipe=load_recipe("sbu", settings).model_dump(mode="json"))

    def test_every_field_of_a_recipe_is_known(self) -> None:
        """A field that comes later has to be put somewhere."""
        flat = dict(_flat(load_recipe("sbu").model_dump(mode="json")))
        known = {"frames", "cache_size", *PAPER.protocol, *PAPER.open}
        assert [f for f in flat if f not in known and not f.startswith(_ELSEWHERE)] == []

    def test_of_the_weights(self) -> None:
        result = sbu_result(sbu_row("bdq", 2.0))
        result.weights = {"action": "own.safetensors, of unknown source, SHA-256 3"}
        said = [(d.field, d.here, d.published) for d in verified(result).departures]
        own = "own.safetensors, of unknown source, SHA-256 3"
        assert ("action.weights", own, "Kinetics-400") in said

    @pytest.mark.parametrize(
        ("encoder", "said"),
        [
            ({"kernel_size": 9}, "kernel_size: 9 | 5"),
            ({"boundaries": (1.0, 2.0)}, "boundaries: 2 | 15"),
            ({"hard": True}, "hard: True | False"),
        ],
    )
    def test_of_the_encoder(self, encoder: dict[str, Any], said: str) -> None:
        row = sbu_row("bdq", 2.0)
        changed = row.model_copy(update={"encoder": row.encoder.change(**encoder)})
        assert departures(changed) == f"encoder of bdq, alpha 2: {said}"

    @pytest.mark.parametrize(
        ("origin", "said"),
        [
            (sbu_provenance(manifest="0000"), "manifest: 0000 | 5f3a9c0e12"),
            (sbu_provenance({"adversarial.momentum": 0.5}), "adversarial.momentum: 0.5 | open"),
            (sbu_provenance({"range_quantile": 0.5}), "range_quantile: 0.5 | open"),
            (sbu_provenance({"adversarial.adversaries": 2}), "adversarial.adversaries: 2 | 1"),
            (sbu_provenance(weights={"privacy": "none"}), "privacy.weights: none | ImageNet"),
            ({}, "trained on: none | sbu"),
        ],
    )
    def test_of_its_training(self, origin: dict[str, Any], said: str) -> None:
        assert f"encoder of bdq, alpha 2: {said}" in departures(row_from(origin))

    @pytest.mark.parametrize(("adversaries", "said"), [(1, ""), (4, "adversarial.adversaries: 4")])
    def test_wu_s_privacy_network_is_one_that_is_reset(self, adversaries: int, said: str) -> None:
        settings = {"adversarial.adversaries": adversaries, "adversarial.restart_every": 100}
        spec = EncoderSpec(method="unet", settings={}, provenance=sbu_provenance(settings))
        row = sbu_row("unet", 2.0).model_copy(update={"encoder": spec})
        assert said in departures(row)
        assert bool(departures(row)) == bool(said)

    @pytest.mark.parametrize(
        ("origin", "said"),
        [
            ({"data": "actors"}, "on actors, not on sbu"),
            ({"privacy_label": "clothes"}, "to hide clothes, not pair"),
            ({"split": "fold1"}, "with fold1 held out, and is scored on validation"),
        ],
    )
    def test_what_was_trained_on_something_else_is_not_compared(
        self, origin: dict[str, Any], said: str
    ) -> None:
        rows = [sbu_row("raw"), row_from(sbu_provenance(**origin))]
        verification = verified(sbu_result(*rows))
        assert {c.method for c in verification.comparisons} == {"raw"}
        assert verification.not_compared == {"bdq, alpha 2": f"its encoder was trained {said}"}
        with pytest.raises(MotionveilError, match=said):
            verified(sbu_result(rows[1]))

    def test_a_recipe_that_says_little(self) -> None:
        said = departures(recipe={"size": 224, "frames": 16})
        assert "hardness: not stated | 5" in said
        # All but its size and what the weights are.
        assert len(said.splitlines()) == len(PAPER.protocol) - 3


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
