"""The examples in docstrings are true, in every module that has some."""

from __future__ import annotations

import doctest
import importlib
import tempfile
from pathlib import Path

import pytest

import motionveil

SOURCE = Path(motionveil.__file__).parent
SLOW = ("motionveil.api",)
"""Modules whose examples train."""


def modules() -> list[str]:
    """Return the names of the modules with examples."""
    files = [f for f in sorted(SOURCE.rglob("*.py")) if ">>> " in f.read_text(encoding="utf-8")]
    parts = [("motionveil", *file.relative_to(SOURCE).with_suffix("").parts) for file in files]
    return [".".join(part).removesuffix(".__init__") for part in parts]


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in modules()]
)
def test_the_examples_are_true(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    module = importlib.import_module(name)
    found = doctest.DocTestFinder(exclude_empty=True).find(module, name)
    assert any(one.examples for one in found), "no docstring holds them"
    assert doctest.testmod(module).failed == 0


def test_modules_with_examples_are_found() -> None:
    assert {"motionveil.spec", "motionveil.encoders", "motionveil.share"} <= {*modules()}
