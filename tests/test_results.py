"""The statistics that stand beside every accuracy, and the file that keeps them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motionveil.errors import MotionveilError
from motionveil.geometry import Geometry
from motionveil.results import Accuracy, Result
from motionveil.statistics import wilson_interval
from report.report_examples import quickstart


class TestWilsonInterval:
    @pytest.mark.parametrize(
        ("right", "n", "low", "high"),
        [
            # Newcombe, Statistics in Medicine 17, 1998, table I, method 3.
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ],
    )
    def test_published_values(self, right: int, n: int, low: float, high: float):
        assert wilson_interval(right / n, n) == pytest.approx((low, high), abs=5e-5)

    @given(st.floats(0, 1), st.integers(1, 10_000))
    def test_holds_the_proportion_and_is_symmetric(self, accuracy: float, n: int):
        low, high = wilson_interval(accuracy, n)
        assert 0 <= low <= accuracy + 1e-12
        assert accuracy - 1e-12 <= high <= 1
        assert wilson_interval(1 - accuracy, n) == pytest.approx((1 - high, 1 - low), abs=1e-9)

    @given(st.floats(0, 1), st.integers(1, 5_000))
    def test_narrows_with_more_trials(self, accuracy: float, n: int):
        low, high = wilson_interval(accuracy, n)
        low2, high2 = wilson_interval(accuracy, 2 * n)
        assert high2 - low2 < high - low

    @pytest.mark.parametrize(("accuracy", "n"), [(0.5, 0), (-0.1, 5), (1.1, 5), (float("nan"), 5)])
    def test_refuses(self, accuracy: float, n: int):
        with pytest.raises(ValueError, match="no interval for accuracy"):
            wilson_interval(accuracy, n)


class TestAccuracy:
    def test_known_values(self):
        found = Accuracy.of([1, 1, 1, 0, 0, 1], [0, 0, 0, 0, 1, 2])
        assert found.accuracy == pytest.approx(4 / 6)
        assert found.balanced == pytest.approx((3 / 4 + 0 + 1) / 3)
        assert found.chance_level == pytest.approx(4 / 6)
        assert found.n == 6
        assert found.interval == wilson_interval(found.accuracy, 6)

    @given(
        st.lists(st.tuples(st.floats(0, 1), st.integers(0, 3)), min_size=1, max_size=40),
        st.randoms(),
    )
    def test_order_of_the_clips_does_not_matter(self, clips: list[tuple[float, int]], random):
        found = Accuracy.of(*zip(*clips, strict=True))
        random.shuffle(clips)
        again = Accuracy.of(*zip(*clips, strict=True))
        assert again.accuracy == pytest.approx(found.accuracy)
        assert again.balanced == pytest.approx(found.balanced)
        assert again.chance_level == found.chance_level
        low, high = found.interval
        assert 0 <= low <= found.accuracy + 1e-9
        assert found.accuracy - 1e-9 <= high <= 1

    @given(st.lists(st.integers(0, 5), min_size=1, max_size=60))
    def test_the_majority_class_scores_the_chance_level(self, labels: list[int]):
        commonest = max(set(labels), key=labels.count)
        found = Accuracy.of([float(label == commonest) for label in labels], labels)
        assert found.accuracy == pytest.approx(found.chance_level)
        assert found.balanced == pytest.approx(1 / len(set(labels)))

    def test_older_files_store_the_chance_level_as_floor(self):
        found = Accuracy.of([1, 0, 1], [0, 0, 1])
        older = found.model_dump_json().replace("chance_level", "floor")
        assert Accuracy.model_validate_json(older) == found

    def test_refuses_no_clips_and_different_lengths(self):
        with pytest.raises(ValueError, match="0 scores"):
            Accuracy.of([], [])
        with pytest.raises(ValueError, match="2 scores for 1 labels"):
            Accuracy.of([1, 0], [1])


class TestResultFile:
    def test_one_from_before_there_were_split_rules(self, tmp_path: Path):
        result = quickstart()
        stored = json.loads(result.save(tmp_path / "results.json").read_text())
        assert stored["dataset"].pop("split_rule") == ""
        (tmp_path / "results.json").write_text(json.dumps(stored))
        assert Result.read(tmp_path) == result

    def test_one_from_before_there_were_geometries(self, tmp_path: Path):
        """What was measured then was in the paper's order."""
        result = quickstart()
        stored = json.loads(result.save(tmp_path / "results.json").read_text())
        for row in stored["rows"]:
            del row["order"], row["geometry"]
        stored["recipe"] |= {"frame_step": 3}
        (tmp_path / "results.json").write_text(json.dumps(stored))
        found = Result.read(tmp_path)
        assert {(row.order, row.geometry) for row in found.rows} == {("paper", None)}
        assert found.recipe["frame_step"] == 3

    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_one_from_before_a_field_of_recipes_was_renamed(self, seed: int):
        """The stored results of the documentation name the adversarial training's schedule so."""
        file = Path(__file__).parents[1] / f"docs/results/ut-interaction-112-seed{seed}.json"
        stored = json.loads(file.read_text())["recipe"]
        read = Result.read(file).recipe
        assert read.pop("adversarial") == stored.pop("game")
        assert read == stored

    def test_says_what_was_measured(self, tmp_path: Path):
        result = quickstart()
        geometry = Geometry(size=96, rate=10)
        changes = {"order": "camera", "geometry": geometry}
        result.rows = [row.model_copy(update=changes) for row in result.rows]
        result.save(tmp_path / "results.json")
        assert {(r.order, r.geometry) for r in Result.read(tmp_path).rows} == {("camera", geometry)}

    @pytest.mark.parametrize("content", ["", "{}", "[]"])
    def test_a_wrong_file_is_named(self, tmp_path: Path, content: str):
        file = tmp_path / "results.json"
        file.write_text(content)
        with pytest.raises(MotionveilError, match=r"results\.json: not a results file"):
            Result.read(tmp_path)

    def test_a_missing_file_is_named(self, tmp_path: Path):
        with pytest.raises(MotionveilError, match=r"results\.json: cannot read results: No such"):
            Result.read(tmp_path)
