"""The benchmark of the built-in data measures what it says, here of two people."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

import pytest

from benchmark_code import import_benchmark
from motionveil.datasets.actors import make_actors
from tiny import tiny_recipe

pytestmark = pytest.mark.slow  # trains


def test_its_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bed = import_benchmark("actors_test_bed")
    few = partial(make_actors, people=2, train_sessions=1, validation_sessions=1)
    monkeypatch.setattr(bed, "make_actors", few)
    monkeypatch.setattr(bed, "load_recipe", lambda name: tiny_recipe())
    written = tmp_path / "figures.json"
    words = ["actors_test_bed", "--data", str(tmp_path / "data"), "--json", str(written)]
    monkeypatch.setattr(sys, "argv", words)
    bed.main()
    figures = json.loads(written.read_text())
    printed = capsys.readouterr().out.splitlines()
    assert [line[:36].strip() for line in printed[-4:]] == list(figures)
    for name, accuracy in figures.items():
        assert accuracy["chance_level"] == (1 / 8 if name.endswith("action") else 1 / 2)
        assert accuracy["n"] == 16
        assert 0 <= accuracy["accuracy"] <= 1
