from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from motionveil.errors import MotionveilError
from motionveil.networks import action_networks, privacy_networks
from motionveil.training.adversary_inputs import VIEWS
from motionveil.training.recipe import (
    AdversaryRecipe,
    Recipe,
    load_recipe,
    read_setting,
    recipe_names,
)
from tiny import tiny_values


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def _write(text: str) -> Path:
        file = tmp_path / "mine.yaml"
        file.write_text(text, encoding="utf-8")
        return file

    return _write


def fault(file: Path | str, **changes: Any) -> str:
    with pytest.raises(MotionveilError) as caught:
        load_recipe(file, **changes)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_loads(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.action.name in action_networks()
    assert recipe.privacy.name in privacy_networks()
    assert recipe.range_mode == "fixed", "what is shipped can stream"


def test_an_adversary_may_have_every_view() -> None:
    assert set(get_args(AdversaryRecipe.model_fields["view"].annotation)) == set(VIEWS)


def test_there_is_one_for_the_built_in_data() -> None:
    assert "actors" in recipe_names()


def test_defaults_are_the_paper_s() -> None:
    recipe = Recipe()
    assert (recipe.frames, recipe.size, recipe.alpha, recipe.hardness) == (16, 224, 2.0, 5.0)
    assert recipe.scales == (1.0, 2**-0.25, 2**-0.75, 0.5)
    assert (recipe.adversarial.epochs, recipe.adversarial.lr, recipe.adversarial.momentum) == (
        50,
        0.001,
        0.9,
    )
    assert recipe.adversarial.optimizer == "sgd"


def test_a_file_gives_what_it_says(write: Any) -> None:
    values = tiny_values(alpha=3.5)
    recipe = load_recipe(write(yaml.safe_dump(values)))
    assert recipe == Recipe.model_validate(values)
    assert recipe.alpha == 3.5


def test_one_from_before_there_were_rates_is_refused_with_the_way_out(write: Any) -> None:
    said = fault(write("frames: 12\nframe_step: 3\n"))
    assert "mine.yaml" in said
    assert "frame_step has become rate" in said
    assert "write rate: 10 for every third of 30" in said
    assert "found" not in said, "the whole recipe is no help"
    with pytest.raises(MotionveilError, match="frame_step has become rate"):
        load_recipe("ut-interaction", {"frame_step": 3})


def test_the_order_is_the_camera_s_but_in_the_paper_s_recipes() -> None:
    assert (Recipe().order, Recipe().rate) == ("camera", None)
    orders = {name: load_recipe(name).order for name in recipe_names()}
    of_the_paper = {name for name, order in orders.items() if order == "paper"}
    assert of_the_paper == {"sbu", "sbu-encoder-lr", "sbu-equal", "kth", "ipn"}
    rates = {name: load_recipe(name).rate for name in recipe_names()}
    assert (rates["ut-interaction"], rates["actors"], rates["sbu"]) == (10, 15, None)


@pytest.mark.parametrize(("line", "field"), [("order: video", "order"), ("rate: 0", "rate")])
def test_orders_and_rates_are_checked(write: Any, line: str, field: str) -> None:
    assert field in fault(write(line))


def test_an_empty_file_is_the_defaults(write: Any) -> None:
    assert load_recipe(write("")) == Recipe()


def test_changes_win(write: Any) -> None:
    file = write("alpha: 2")
    assert load_recipe(file, alpha=0.0).alpha == 0.0
    assert load_recipe(file, alpha=None).alpha == 2.0
    assert "alpha" in fault(file, alpha=-1.0)
    assert "-1.0" in fault(file, alpha=-1.0)
    assert "alpha" in fault(file, alpha=float("nan"))


@pytest.mark.parametrize(
    ("text", "named", "nearest"),
    [
        ("alhpa: 1", "alhpa", "alpha'"),
        ("adversarial: {learning_rate: 1}", "adversarial.learning_rate", "adversarial."),
        ("adversarial: {epoch: 1}", "adversarial.epoch", "adversarial.epochs'"),
        ("validation: {encoder_lr: 1}", "validation.encoder_lr", "adversarial.encoder_lr'"),
        ("action: {nane: small3d}", "action.nane", "action.name'"),
        ("privacy: {weight: x, name: small2d}", "privacy.weight", "privacy.weights'"),
        (
            "adversarial: {further: [{veiw: plain}]}",
            "adversarial.further.0.veiw",
            "adversarial.further.0.view'",
        ),
    ],
)
def test_an_unknown_field_is_named_with_the_nearest(
    write: Any, text: str, named: str, nearest: str
) -> None:
    message = fault(write(text))
    assert "mine.yaml" in message
    assert f"no field '{named}'" in message
    assert f"; the nearest is '{nearest}" in message


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("frames: many", "frames"),
        ("frames: 1", "frames"),
        ("size: 3.5", "size"),
        ("fit: stretch", "fit"),
        ("range_mode: floating", "range_mode"),
        ("range_quantile: 1.5", "range_quantile"),
        ("scales: 3", "scales"),
        ("scales: []", "scales"),
        ("scales: [1.0, 2.0]", "scales.1"),
        ("scales: [0]", "scales.0"),
        ("adversarial: 7", "adversarial"),
        ("adversarial: {batch: 1}", "adversarial.batch"),
        ("adversarial: {encoder_lr: 0}", "adversarial.encoder_lr"),
        ("adversarial: {optimizer: adam}", "adversarial.optimizer"),
        ("adversarial: {further: [{temporal: true}, {view: sums}]}", "adversarial.further.1.view"),
        ("adversarial: {further: small3d}", "adversarial.further"),
        ("adversarial: {momentum: 1}", "adversarial.momentum"),
        ("validation: {epochs: 0}", "validation.epochs"),
        ("validation: {lr: -1}", "validation.lr"),
        ("action: small3d", "action"),
        ("action: {weights: x}", "action.name"),
    ],
)
def test_a_wrong_value_is_named(write: Any, text: str, field: str) -> None:
    message = fault(write(text))
    assert "mine.yaml: " + field + ": " in message
    assert "found" in message or "required" in message


@pytest.mark.parametrize("text", ["- a\n- b", "just words", "42"])
def test_what_is_no_mapping_is_refused(write: Any, text: str) -> None:
    assert "mine.yaml: a recipe is" in fault(write(text))


@pytest.mark.parametrize(
    "text",
    [
        "alpha: !!python/object/apply:os.system ['touch pwned']",
        "!!python/object:motionveil.training.recipe.Recipe {}",
        "alpha: [1",
        "a: b: c",
        "\tx: 1",
    ],
)
def test_unsafe_and_broken_yaml_is_refused(
    write: Any, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "is no YAML" in fault(write(text))
    assert not (tmp_path / "pwned").exists()


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_bytes(b"alpha: \xff\xfe")
    assert "mine.yaml: cannot read the recipe: not UTF-8" in fault(file)


@pytest.mark.parametrize("name", ["nonesuch", "runs/none.yaml", "../recipes/actors", ""])
def test_no_such_recipe(name: str) -> None:
    message = fault(name)
    assert "no such recipe" in message
    assert "actors" in message


def test_a_recipe_cannot_be_changed_by_accident() -> None:
    with pytest.raises(Exception, match="frozen"):
        Recipe().alpha = 3.0  # type: ignore[misc]


class TestSettings:
    def test_are_read_as_yaml(self) -> None:
        assert read_setting("adversarial.lr=0.003") == ("adversarial.lr", 0.003)
        assert read_setting("scales=[1.0, 0.84]") == ("scales", [1.0, 0.84])
        assert read_setting("action.weights=a=b.safetensors")[1] == "a=b.safetensors"
        assert read_setting("adversarial.encoder_lr=null")[1] is None
        assert read_setting("adversarial.further=[{temporal: true}]")[1] == [{"temporal": True}]

    def test_change_what_they_name_and_nothing_else(self) -> None:
        plain = load_recipe("actors")
        changed = load_recipe("actors", {"adversarial.lr": 0.01, "action.name": "i3d", "size": 32})
        assert changed.adversarial == plain.adversarial.model_copy(update={"lr": 0.01})
        assert (changed.action.name, changed.size) == ("i3d", 32)
        assert changed.validation == plain.validation

    def test_reach_what_the_file_does_not_name(self, write: Any) -> None:
        assert load_recipe(write(""), {"validation.epochs": 3}).validation.epochs == 3

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            (
                "optimizer.lr=1",
                "no field 'optimizer.lr'; the nearest is 'adversarial.lr' or 'valid",
            ),
            ("aplha=1", "no field 'aplha'; the nearest is 'alpha'"),
            ("adversarial.lr", "write FIELD=VALUE"),
            ("scales=[1", "is no YAML"),
        ],
    )
    def test_say_what_is_wrong(self, text: str, said: str) -> None:
        with pytest.raises(MotionveilError) as caught:
            read_setting(text)
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_wrong_values_are_named(self, write: Any) -> None:
        with pytest.raises(MotionveilError, match=r"adversarial\.batch: .*found \"many\""):
            load_recipe(write(""), {"adversarial.batch": "many"})
        with pytest.raises(MotionveilError, match="adversarial: "):
            load_recipe(write("adversarial: 7"), {"adversarial.batch": 4})


class TestFieldsThatWereRenamed:
    """`adversarial` was once `game`."""

    def test_in_a_file(self, write: Any) -> None:
        older = load_recipe(write("game: {lr: 0.02, further: [{temporal: true}]}"))
        assert older == load_recipe(write("adversarial: {lr: 0.02, further: [{temporal: true}]}"))
        assert older.adversarial.lr == 0.02

    def test_in_a_setting(self, write: Any) -> None:
        assert read_setting("game.lr=0.003") == ("adversarial.lr", 0.003)
        changed = load_recipe(write("game: {batch: 4}"), {"game.lr": 0.02})
        assert (changed.adversarial.batch, changed.adversarial.lr) == (4, 0.02)

    def test_both_names_at_once_are_refused(self, write: Any) -> None:
        assert "no field 'game'" in fault(write("game: {lr: 1}\nadversarial: {lr: 2}"))
