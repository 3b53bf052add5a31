"""Networks of other packages: by an entry point, and by `module:function` in a recipe."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.sweep_examples import grid_of
from motionveil.errors import MotionveilError
from motionveil.experiments.sweep.run import local_engine, run_sweep
from motionveil.networks import create_action_network

NETWORKS = """
from torch import nn
from motionveil.networks import register_action_network

@register_action_network
def tiny3d(classes, weights=None):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(classes))
"""
CREATE = """
import sys, torch
from motionveil.networks import action_networks, create_action_network
assert ("tiny3d" in action_networks()) == (sys.argv[1] == "tiny3d")
print(tuple(create_action_network(sys.argv[1], 4)(torch.zeros(2, 3, 2, 8, 8)).shape))
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with a network, on PYTHONPATH; it is not installed."""
    (tmp_path / "mypackage").mkdir()
    (tmp_path / "mypackage" / "__init__.py").touch()
    (tmp_path / "mypackage" / "nets.py").write_text(NETWORKS)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    return tmp_path


def install(package: Path, module: str = "mypackage.nets") -> None:
    folder = package / "mypackage-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: mypackage\nVersion: 1\n")
    (folder / "entry_points.txt").write_text(f"[motionveil.networks]\nmine = {module}\n")


def create(name: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CREATE, name]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_by_module_and_function(package: Path) -> None:
    assert create("mypackage.nets:tiny3d").stdout == "(2, 4)\n"


def test_by_entry_point(package: Path) -> None:
    install(package)
    assert create("tiny3d").stdout == "(2, 4)\n"


def test_an_entry_point_that_cannot_be_imported_is_named(package: Path) -> None:
    install(package, "mypackage.missing")
    assert "plugin mine (mypackage.missing): No module named" in create("tiny3d").stderr


def test_by_file_and_function(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text(NETWORKS.replace("@register_action_network", ""))
    network = create_action_network(f"{tmp_path / 'nets.py'}:tiny3d", 4)
    assert len(list(network.children())) == 2


@pytest.mark.slow
def test_both_reach_the_runs_of_a_sweep(package: Path) -> None:
    install(package)
    axes = {"network": ["tiny3d", "mypackage.nets:tiny3d"]}
    grid = grid_of(command="train", arguments=["{network}"], axes=axes)
    script = package / "create.py"
    # An entry point registers the name for both.
    script.write_text(
        CREATE.replace("sys.argv[1] ==", "True or sys.argv[1] ==").replace("[1]", "[2]")
    )
    runs = grid.runs(package / "out")
    program = (sys.executable, str(script))
    recorded = run_sweep(runs, package / "out", local_engine(2), program=program)
    assert [record.status for _, record in recorded] == ["done"] * 2
    assert [run.log.read_text().splitlines()[-1] for run, _ in recorded] == ["(2, 4)"] * 2


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("no_such_package.nets:tiny3d", "cannot import no_such_package.nets"),
        ("motionveil.networks:tiny3d", "motionveil.networks has no 'tiny3d'"),
    ],
)
def test_what_cannot_be_found_is_named(name: str, fault: str) -> None:
    with pytest.raises(MotionveilError, match=fault):
        create_action_network(name, 4)
