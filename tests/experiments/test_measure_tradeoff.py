"""The trade-off end to end on toys: what it leaves, what it uses again, what it measures again."""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from motionveil.datasets.manifest import Manifest
from motionveil.errors import MotionveilError
from motionveil.experiments import tradeoff
from motionveil.experiments.tradeoff import Plan, measure_tradeoff
from motionveil.experiments.train_methods import default_choices
from motionveil.report import write_report
from motionveil.results import Result, Row
from motionveil.spec import load_spec
from motionveil.training.adversarial import train_adversarial
from motionveil.training.checkpoint import CollapseError
from motionveil.training.distributed import make_fabric
from motionveil.training.recipe import Recipe
from tiny import tiny_recipe, write_toys

Measure = Callable[..., Result]


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return write_toys(tmp_path_factory.mktemp("toys"))


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders of the trainings that are begun, `resumed` or anew, in their order."""
    found: list[str] = []

    def watched(*arguments: Any, **options: Any) -> Any:
        found.append(("resumed " if options["resume"] else "") + options["run"].name)
        return train_adversarial(*arguments, **options)

    monkeypatch.setattr("motionveil.training.experiment.train_adversarial", watched)
    return found


def plan_of(manifest: Manifest, recipe: Recipe | None = None, **changes: Any) -> Plan:
    values: dict[str, Any] = {
        "manifest": manifest,
        "recipe": recipe or tiny_recipe(),
        "choices": default_choices(recipe or tiny_recipe(), changes.pop("alphas", (0.0, 2.0))),
        "splits": manifest.splits(),
        "seeds": (0,),
        "privacy_label": "person",
    }
    return Plan(**(values | changes))


def measure(plan: Plan, out: Path) -> Result:
    fabric = make_fabric("cpu")
    return measure_tradeoff(plan, out, fabric, kind="tradeoff", command="test", workers=1)


@pytest.fixture(scope="module")
def once(toys: Manifest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    out = tmp_path_factory.mktemp("once")
    return measure(plan_of(toys), out), out


@pytest.mark.slow
def test_rows_side_by_side_are_the_same(once: tuple[Result, Path], tmp_path: Path) -> None:
    """Each in a process of its own; reported as they come."""
    earlier, _ = once
    manifest = write_toys(tmp_path / "toys")
    heard: list[Row] = []
    result = measure_tradeoff(
        plan_of(manifest),
        tmp_path / "out",
        make_fabric("cpu"),
        kind="tradeoff",
        command="test",
        workers=1,
        parallel_rows=2,
        done=heard.append,
    )

    def told(row: Row) -> dict[str, Any]:
        return row.model_dump(exclude={"seconds"})

    assert list(map(told, result.rows)) == list(map(told, earlier.rows))
    assert sorted(map(repr, heard)) == sorted(map(repr, result.rows))
    assert result.environment["parallel rows"] == "2"
    assert result.environment["threads"] == "1"
    assert result.seconds >= sum(row.seconds for row in result.rows) / 2


@pytest.mark.slow
def test_rows_in_processes_keep_the_precision(toys: Manifest, tmp_path: Path) -> None:
    """And what was measured in another precision is measured again."""
    raw = default_choices(tiny_recipe())[:1]

    def action(precision: str, out: str, parallel_rows: int) -> list[list[float]]:
        result = measure_tradeoff(
            plan_of(toys, choices=raw, precision=precision),
            tmp_path / out,
            make_fabric("cpu", precision),
            kind="tradeoff",
            command="test",
            workers=1,
            parallel_rows=parallel_rows,
        )
        assert result.environment["precision"] == precision
        return [one.action_probabilities for one in result.rows[0].predictions]

    rounded = action("bf16-mixed", "alone", 1)
    assert action("bf16-mixed", "in parallel", 2) == rounded
    assert action("32-true", "alone", 1) != rounded


def test_rows_are_raw_untrained_and_each_alpha(once: tuple[Result, Path], toys: Manifest) -> None:
    result, out = once
    rows = [(row.method, row.alpha, row.seed, row.split) for row in result.rows]
    assert rows == [
        ("raw", None, 0, "validation"),
        ("bdq-untrained", None, 0, "validation"),
        ("bdq", 0.0, 0, "validation"),
        ("bdq", 2.0, 0, "validation"),
    ]
    assert result.rows[0].encoder.method == "raw"
    assert result.rows[1].encoder.settings.sigma == 1.0
    for row in result.rows:
        assert row.action.n == row.privacy.clip.n == len(row.predictions) == 8
        assert len(row.curves) == (2 if row.method == "bdq" else 0)
        assert row.seconds > 0
        assert row.picture is None or (out / row.picture).exists()
    assert [row.picture is None for row in result.rows] == [True, False, False, False]
    assert result.dataset.hash == toys.hash
    assert result.dataset.parts == {"validation": (12, 8)}
    assert result.dataset.privacy_names == ["p0", "p1"]
    assert result.recipe == tiny_recipe().model_dump(mode="json")
    assert result.seconds >= sum(row.seconds for row in result.rows)


def test_what_is_left_can_be_read(once: tuple[Result, Path]) -> None:
    result, out = once
    assert Result.read(out) == result
    values = json.loads((out / "results.json").read_text())
    assert isinstance(values["seconds"], float)
    for row in values["rows"]:
        for accuracy in (row["action"], row["privacy"]["frame"], row["privacy"]["clip"]):
            assert {"accuracy", "interval", "chance_level", "n"} <= set(accuracy)
        assert {"method", "alpha"} <= set(row)
    for alpha in (0, 2):
        run = out / "seed0-validation" / f"bdq-alpha{alpha}"
        spec = load_spec(run)
        assert spec.provenance["alpha"] == alpha
        assert spec in [row.encoder for row in result.rows]
        assert (run / "curves.csv").exists()


def test_done_again_nothing_is_trained(
    once: tuple[Result, Path], toys: Manifest, trained: list[str], capsys: Any
) -> None:
    result, out = once
    again = measure(plan_of(toys), out)
    assert trained == []
    assert again.rows == result.rows
    assert again.seconds == pytest.approx(sum(row.seconds for row in result.rows), rel=0.2)
    assert capsys.readouterr().err.count("measured already") == 4


def test_stored_rows_are_known_by_the_names_that_recipes_once_had(
    once: tuple[Result, Path], toys: Manifest
) -> None:
    """A row is found by a hash that contains the names of fields."""
    _, out = once
    recipe = tiny_recipe().model_dump(mode="json")
    recipe["game"] = recipe.pop("adversarial")
    del recipe["weights"]  # came later
    question = {
        "manifest": toys.hash,
        "recipe": recipe,
        "split": "validation",
        "privacy_label": "person",
        "seed": 0,
        "method": "raw",
    }
    digest = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()
    assert json.loads((out / "seed0-validation/raw/job.json").read_text())["key"] == digest


def test_a_new_alpha_trains_only_itself(
    once: tuple[Result, Path], toys: Manifest, trained: list[str], tmp_path: Path
) -> None:
    result, out = once
    copy_of_out = Path(shutil.copytree(out, tmp_path / "out"))
    more = measure(plan_of(toys, alphas=(0.0, 1.0, 2.0)), copy_of_out)
    assert trained == ["resumed bdq-alpha1"]
    assert [row.alpha for row in more.rows] == [None, None, 0.0, 1.0, 2.0]
    assert [more.rows[n] for n in (0, 1, 2, 4)] == result.rows


def test_a_training_that_collapses_costs_its_own_row_only(
    toys: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def collapsing(*arguments: Any, **options: Any) -> Any:
        if options["run"].name == "bdq-alpha0":
            raise CollapseError("action recognition collapsed")
        return train_adversarial(*arguments, **options)

    monkeypatch.setattr("motionveil.training.experiment.train_adversarial", collapsing)
    result = measure(plan_of(toys), tmp_path)
    assert [(row.method, row.alpha) for row in result.rows] == [
        ("raw", None),
        ("bdq-untrained", None),
        ("bdq", 2.0),
    ]
    assert result.collapsed == {"seed0-validation/bdq-alpha0": "action recognition collapsed"}
    assert Result.read(tmp_path) == result
    page = write_report(result, tmp_path).read_text()
    assert "seed0-validation/bdq-alpha0: action recognition collapsed" in page


def test_where_all_collapse_there_is_no_result(
    toys: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def collapsing(*arguments: Any, **options: Any) -> Any:
        raise CollapseError("action recognition collapsed")

    monkeypatch.setattr("motionveil.training.experiment.train_adversarial", collapsing)
    only = [c for c in plan_of(toys).choices if c.name == "bdq" and c.alpha]
    with pytest.raises(MotionveilError, match="bdq-alpha2: action recognition collapsed"):
        measure(plan_of(toys, choices=only), tmp_path)


class TestMeasuredAgain:
    @pytest.fixture
    def out(self, once: tuple[Result, Path], tmp_path: Path) -> Path:
        """A folder of its own in which alpha 2 has been measured, as the last row."""
        return Path(shutil.copytree(once[1], tmp_path / "out"))

    def rows(self, out: Path) -> list[Row]:
        return Result.read(out).rows

    def test_another_schedule_is_trained_anew(
        self, toys: Manifest, out: Path, trained: list[str], capsys: Any
    ) -> None:
        """The encoder in the folder belongs to another recipe; its row must not be made of it."""
        recipe = tiny_recipe(adversarial={"lr": 0.02})
        before = self.rows(out)[-1]
        after = measure(plan_of(toys, recipe, alphas=(2.0,)), out).rows[-1]
        assert trained == ["resumed bdq-alpha2", "bdq-alpha2"]
        assert "recipe.adversarial.lr was 0.003, is 0.02" in capsys.readouterr().err
        assert after.encoder.settings.boundaries != before.encoder.settings.boundaries
        fresh = measure(plan_of(toys, recipe, alphas=(2.0,)), out / "fresh").rows[-1]
        assert after.encoder == fresh.encoder
        assert after.predictions == fresh.predictions

    def test_another_validation_keeps_the_encoder(
        self, toys: Manifest, out: Path, trained: list[str], capsys: Any
    ) -> None:
        before = self.rows(out)[-1]
        recipe = tiny_recipe(validation={"lr": 0.02})
        capsys.readouterr()
        after = measure(plan_of(toys, recipe, alphas=(2.0,)), out).rows[-1]
        assert "alpha 2: epoch" not in capsys.readouterr().err.replace("validate bdq, alpha 2", "")
        assert after.encoder == before.encoder
        assert after.curves == before.curves
        assert after.predictions != before.predictions

    def test_another_seed_stands_beside(
        self, toys: Manifest, out: Path, trained: list[str]
    ) -> None:
        rows = measure(plan_of(toys, alphas=(2.0,), seeds=(0, 1)), out).rows
        assert trained == ["resumed bdq-alpha2"]
        assert [row.seed for row in rows] == [0, 0, 0, 1, 1, 1]
        assert rows[2].encoder.settings.boundaries != rows[5].encoder.settings.boundaries

    @pytest.mark.parametrize(
        "damage", ["null", "[1]", '{"row": {}}', "truncated", "unknown field", b"\xff"]
    )
    def test_a_damaged_row(
        self, toys: Manifest, out: Path, damage: str | bytes, capsys: Any
    ) -> None:
        before = [row for row in self.rows(out) if row.alpha in (None, 2.0)]
        file = out / "seed0-validation" / "raw" / "job.json"
        text = file.read_text()
        if damage == "truncated":
            file.write_text(text[: len(text) // 2])
        elif damage == "unknown field":
            values = json.loads(text)
            values["value"]["privacy_accuracy"] = 1
            file.write_text(json.dumps(values))
        else:
            file.write_bytes(damage if isinstance(damage, bytes) else damage.encode())
        capsys.readouterr()
        after = measure(plan_of(toys, alphas=(2.0,)), out).rows
        said = capsys.readouterr().err
        assert f"{file}: cannot be read; the job is run again" in said
        assert said.count("measured already") == 2
        assert after[0].predictions == before[0].predictions, "the same seed, the same answers"
        assert after[1:] == before[1:]
        assert json.loads(file.read_text())["value"]["seconds"] == after[0].seconds

    def test_a_stopped_experiment_goes_on(
        self, toys: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: list[str]
    ) -> None:
        stored = tradeoff._stored

        def stop(experiment: Any, folder: Path, *rest: Any) -> Row:
            if folder.name == "bdq-alpha2":
                raise KeyboardInterrupt
            return stored(experiment, folder, *rest)

        with monkeypatch.context() as patch:
            patch.setattr(tradeoff, "_stored", stop)
            with pytest.raises(KeyboardInterrupt):
                measure(plan_of(toys), tmp_path)
        assert len(self.rows(tmp_path)) == 3, "results.json is written after every row"
        assert len(measure(plan_of(toys), tmp_path).rows) == 4
        assert trained == ["resumed bdq-alpha0", "resumed bdq-alpha2"]


@pytest.mark.parametrize("alpha", [-1.0, float("nan"), float("inf")])
def test_an_alpha_that_cannot_be(toys: Manifest, alpha: float) -> None:
    with pytest.raises(MotionveilError, match=f"alpha {alpha:g}: the weight must be 0 or more"):
        plan_of(toys, alphas=(0.0, alpha))


def test_the_plan_s_recipe_is_left_alone(toys: Manifest, tmp_path: Path) -> None:
    plan = plan_of(toys, tiny_recipe(alpha=7.0), alphas=(0.0,))
    before = copy.deepcopy(plan.recipe)
    result = measure(plan, tmp_path)
    assert plan.recipe == before
    assert result.rows[-1].alpha == 0.0
    assert result.recipe["alpha"] == 7.0
