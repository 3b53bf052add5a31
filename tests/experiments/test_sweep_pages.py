"""Which runs of a sweep stand in one report: a report must not pool two settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from experiments.sweep_examples import grid_of
from motionveil.experiments.sweep.grid import pages_of, write_pages
from motionveil.experiments.sweep.run_job import SweepRun
from report.report_examples import quickstart


def runs_with_results(out: Path, axes: dict[str, list[Any]]) -> list[SweepRun]:
    """Return runs whose results differ as far as their `adversarial.lr` does."""
    arguments = ["{encoder}", "m.csv"] if "encoder" in axes else ["m.csv"]
    runs = grid_of(axes=axes, arguments=arguments).runs(out)
    for run in runs:
        result = quickstart()
        result.recipe["adversarial.lr"] = run.values.get("--set adversarial.lr")
        result.media = {}
        for row in result.rows:
            row.seed = int(run.values.get("--seed", 0))
            row.picture = None
            if run.values.get("encoder") in ("raw", "other"):
                row.method = f"of {run.values['encoder']}"
        result.save(run.folder / "results.json")
    return runs


def names(runs: list[SweepRun]) -> list[list[str]]:
    return [[run.folder.name for run in page.runs] for page in pages_of(runs)]


def test_seeds_are_pooled(tmp_path: Path) -> None:
    runs = runs_with_results(tmp_path, {"--seed": [0, 1]})
    assert names(runs) == [["seed=0", "seed=1"]]


def test_settings_are_not(tmp_path: Path) -> None:
    runs = runs_with_results(tmp_path, {"--seed": [0, 1], "--set adversarial.lr": [0.001, 0.003]})
    assert names(runs) == [
        ["seed=0,adversarial.lr=0.001", "seed=1,adversarial.lr=0.001"],
        ["seed=0,adversarial.lr=0.003", "seed=1,adversarial.lr=0.003"],
    ]


def test_encoders_of_other_methods_stand_side_by_side(tmp_path: Path) -> None:
    runs = runs_with_results(tmp_path, {"encoder": ["raw", "other"]})
    assert names(runs) == [["encoder=raw", "encoder=other"]]


def test_encoders_of_one_method_do_not(tmp_path: Path) -> None:
    runs = runs_with_results(tmp_path, {"--seed": [0, 1], "encoder": ["a", "b"]})
    assert names(runs) == [
        ["seed=0,encoder=a", "seed=1,encoder=a"],
        ["seed=0,encoder=b", "seed=1,encoder=b"],
    ]


def test_runs_without_a_result_are_left_out(tmp_path: Path) -> None:
    assert pages_of(grid_of(axes={"--seed": [0]}).runs(tmp_path)) == []


@pytest.mark.slow
def test_pages_of_an_earlier_sweep_go(tmp_path: Path) -> None:
    axes: dict[str, list[Any]] = {"--set adversarial.lr": [1, 2]}
    two = write_pages(runs_with_results(tmp_path, axes), tmp_path)
    assert [(page.name, settings) for page, settings in two] == [
        ("report-1.html", "adversarial.lr=1"),
        ("report-2.html", "adversarial.lr=2"),
    ]
    one = write_pages(runs_with_results(tmp_path, {"--seed": [0]}), tmp_path)
    assert one == [(tmp_path / "report.html", "")]
    assert [file.name for file in tmp_path.glob("*.html")] == ["report.html"]
