"""Data sets by name: each file registers its own, and other packages add theirs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from motionveil.datasets import loaders as package
from motionveil.datasets.loaders import loaders, register
from motionveil.datasets.manifest import Manifest

MINE = """
from motionveil.datasets.loaders import register
from motionveil.datasets.manifest import Clip, Manifest

@register("mine", "our videos")
def index(root):
    clips = [Clip("a.mp4", 0, 9, "run", {"person": p}, p, s)
             for p, s in (("ann", "train"),)]
    return Manifest("mine", __import__("pathlib").Path(root), tuple(clips))
"""


def test_every_file_registers_its_data_sets() -> None:
    attributes = {"pa-hmdb51", "vp-hmdb51", "vp-ucf101"}
    ours = {"sbu", "kth", "ipn", "ut-interaction", "actors", "folder", "csv"}
    assert set(loaders()) == ours | attributes
    modules = {loader.index.__module__ for loader in loaders().values()}
    files = {file.stem for file in Path(package.__file__).parent.glob("*.py")} - {"__init__"}
    assert {module.rpartition(".")[2] for module in modules} == files


def test_a_name_is_taken_once() -> None:
    def index(root: str) -> Manifest:
        raise NotImplementedError

    loaders()
    with pytest.raises(ValueError, match="'kth' already"):
        register("kth", "mine")(index)


def test_an_entry_point_adds_a_data_set(tmp_path: Path) -> None:
    (tmp_path / "mypackage.py").write_text(MINE)
    folder = tmp_path / "mypackage-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: mypackage\nVersion: 1\n")
    (folder / "entry_points.txt").write_text("[motionveil.datasets]\nmine = mypackage\n")
    out = tmp_path / "manifest.csv"
    command = [sys.executable, "-m", "motionveil", "index", "mine", str(tmp_path), "-o", str(out)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert Manifest.read(out).name == "mine"
