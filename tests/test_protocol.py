"""What `docs/protocol.md` names exists: functions, fields of the recipe, values of the recipes."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from motionveil.training.recipe import field_names, load_recipe

PAGE = Path(__file__).resolve().parents[1] / "docs" / "protocol.md"
TEXT = PAGE.read_text(encoding="utf-8")
CODE = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", TEXT, flags=re.M | re.S))
NAMES = sorted({code for code in CODE if code.startswith("motionveil.")})
FIELDS = sorted(
    {c for c in CODE if re.fullmatch(r"(adversarial|validation|action|privacy)\.\w+", c)}
)


def resolve(name: str) -> object:
    """Return what a full name stands for, such as a method of a class of a module."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found: object = import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[count:]:
            found = getattr(found, attribute)
        return found
    raise ModuleNotFoundError(name)


def sections() -> dict[str, str]:
    """Return the text below each heading of the second level."""
    parts = re.split(r"^## (.*)$", TEXT, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_a_name_stands_for_something(name: str) -> None:
    assert callable(resolve(name))


def test_names_are_found() -> None:
    assert "motionveil.training.adversarial.AdversarialTraining.step_encoder" in NAMES
    assert len(NAMES) > 20
    with pytest.raises(AttributeError):
        resolve("motionveil.training.adversarial.nonesuch")


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_is_one_of_the_recipe_s(field: str) -> None:
    assert field in field_names()


def test_every_line_says_what_does_it() -> None:
    """In the tables of the paper's two sections, a line names code, a field, or a line above."""
    for heading in sections():
        if heading.startswith("Section "):
            lines = [line for line in sections()[heading].splitlines() if line.startswith("| ")]
            for line in lines[2:]:
                here = line.strip("| ").split(" | ")[1]
                assert "`" in here or "above" in here, line


@pytest.mark.parametrize("name", ["sbu", "kth", "ipn"])
def test_the_values_that_it_gives_are_the_recipes(name: str) -> None:
    recipe = load_recipe(name)
    assert f"{recipe.alpha:g} for {name.upper()}" in TEXT
    assert recipe.adversarial.epochs == recipe.validation.epochs == 50
    assert recipe.adversarial.encoder_lr is None


def test_the_table_of_departures_stands_in_one_place() -> None:
    heading = "## Where we part from the paper and its released code"
    pages = [page for page in PAGE.parent.glob("*.md") if heading in page.read_text("utf-8")]
    assert pages == [PAGE]
