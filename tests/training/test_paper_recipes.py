"""The shipped recipes beside the paper's section 4.2: equal, or a comment says why not."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml

from motionveil import methods
from motionveil.errors import MotionveilError
from motionveil.training.recipe import Recipe, field_names, load_recipe, recipe_names

SCHEDULE = {
    "optimizer": "sgd",
    "epochs": 50,
    "batch": 16,
    "lr": 0.001,
    "warmup": 0,
    "weight_decay": 0,
    "privacy_frames": 1,  # the released code's; the paper does not say
    "accumulate": 1,
}
EVERY: dict[str, Any] = {
    "rate": None,  # every frame; see `departures`
    "order": "paper",
    "size": 224,
    "scales": (1, 2**-0.25, 2**-0.75, 1 / 2),
    "hardness": 5,
    "action.name": "resnet50_3d",
    "action.weights": "pretrained",
    "privacy.name": "resnet50",
    "privacy.weights": "pretrained",
    **{f"adversarial.{name}": value for name, value in SCHEDULE.items()},
    **{f"validation.{name}": value for name, value in SCHEDULE.items()},
    "adversarial.encoder_lr": None,  # one learning rate for all three networks
}
SBU = {**EVERY, "frames": 16, "alpha": 2}
PAPER = {
    "sbu": SBU,
    "kth": {**EVERY, "frames": 32, "alpha": 1},
    "ipn": {**EVERY, "frames": 32, "alpha": 8},
}
"""What the paper's text says of each data set, by the recipe's field."""


def text_of(name: str) -> str:
    return (resources.files("motionveil") / "recipes" / f"{name}.yaml").read_text("utf-8")


def lines_with_base(name: str) -> dict[str, str]:
    """Return the line of each field, of the recipe's own file or of the one that it extends."""
    text = text_of(name)
    base = yaml.safe_load(text).get("extends")
    return (lines_with_base(base) if base else {}) | lines_of(text)


def value_of(recipe: Recipe, field: str) -> Any:
    value: Any = recipe
    for part in field.split("."):
        value = getattr(value, part)
    return value


def lines_of(text: str) -> dict[str, str]:
    """Return the line that each field is set on, by the field's name with dots."""
    lines = text.splitlines()
    found: dict[str, str] = {}

    def visit(node: yaml.MappingNode, prefix: str) -> None:
        for key, value in node.value:
            found[prefix + key.value] = lines[key.start_mark.line]
            if isinstance(value, yaml.MappingNode):
                visit(value, f"{prefix}{key.value}.")

    visit(yaml.compose(text, yaml.SafeLoader), "")
    return found


def departures(name: str) -> list[str]:
    """Return the fields in which a recipe is not the paper's, for SBU where it is another's.

    Where nothing is said of the paper's rate, every frame is taken.
    """
    recipe = load_recipe(name)
    paper = PAPER.get(name, SBU)
    return [field for field, value in paper.items() if value_of(recipe, field) != value]


def test_the_five_of_the_handbook_are_there() -> None:
    assert {"sbu", "kth", "ipn", "ut-interaction", "actors"} < set(recipe_names())


def test_a_stronger_recipe_differs_in_its_adversaries_only() -> None:
    plain, strong = load_recipe("actors"), load_recipe("actors-strong")
    assert [a.seen for a in strong.adversarial.further] == ["whole clips", "frames, integrated"]
    schedule = strong.adversarial.model_copy(update={"further": ()})
    assert strong.model_copy(update={"adversarial": schedule}) == plain


def test_variants_differ_from_their_recipe_in_what_they_are_called_after() -> None:
    sbu = load_recipe("sbu")
    own_rate = load_recipe("sbu", {"adversarial.encoder_lr": 0.05})
    assert load_recipe("sbu-encoder-lr") == own_rate != sbu
    equal = load_recipe("sbu-equal")
    for method in ("bdq", "unet"):
        adversarial = equal.for_method(methods.method(method)).adversarial
        assert (adversarial.adversaries, adversarial.restart_every) == (4, 100)
    published = {m: sbu.for_method(methods.method(m)).adversarial for m in ("bdq", "unet")}
    assert [(a.adversaries, a.restart_every) for a in published.values()] == [(1, None), (1, 100)]


def test_a_file_extends_a_shipped_recipe(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("extends: kth\nvalidation: {epochs: 3}\n")
    assert load_recipe(file) == load_recipe("kth", {"validation.epochs": 3})
    file.write_text("extends: lth\n")
    with pytest.raises(MotionveilError, match=r"lth: no such recipe; give a YAML file or one of"):
        load_recipe(file)


@pytest.mark.parametrize("name", PAPER)
def test_a_recipe_of_the_paper_is_the_paper_s(name: str) -> None:
    assert departures(name) == []


@pytest.mark.parametrize("name", PAPER)
def test_a_recipe_of_the_paper_says_all_of_it(name: str) -> None:
    written = set(lines_of(text_of(name)))
    assert {field for field in PAPER[name] if not field.endswith("accumulate")} <= written


@pytest.mark.parametrize("name", recipe_names())
def test_every_departure_has_a_comment(name: str) -> None:
    lines = lines_with_base(name)
    silent = [
        field
        for field in departures(name)
        if "paper" not in lines.get(field, lines.get(field.partition(".")[0], "")).partition("#")[2]
    ]
    assert not silent


def test_the_departures_are_found() -> None:
    assert {"size", "adversarial.optimizer", "action.name", "validation.lr"} <= set(
        departures("actors")
    )
    assert (
        lines_of("a: 1\nadversarial: {lr: 2}  # paper: 1\n")["adversarial.lr"]
        == "adversarial: {lr: 2}  # paper: 1"
    )
    assert set(EVERY) <= set(field_names())


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_written_is_read_back_the_same(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name, {"adversarial.lr": 1e-05, "action.weights": "a b.safetensors"})
    assert load_recipe(recipe.write(tmp_path / "run" / "recipe.yaml")) == recipe


def test_every_field_is_written(tmp_path: Path) -> None:
    text = Recipe().write(tmp_path / "recipe.yaml").read_text("utf-8")
    own = {name for name in field_names() if not name.startswith("methods.")}
    assert set(lines_of(text)) == own
