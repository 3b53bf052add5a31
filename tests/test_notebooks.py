"""The notebooks run as they are and say what their stored output says.

`python tests/test_notebooks.py` runs them and stores their output anew.
"""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.ipynb"))
MOST = 1_500_000  # bytes of all of them
SAID = {
    "veil_and_look": [
        r"\(45, 240, 320, 3\)",
        r"moments: 64 pixels, 15 frames/s, frames of 8 x 10 pixels",
        r"bdq: first frame between 119 and 119, neutral 119; \d",
    ],
    "train_and_audit": [
        r"96 clips; actions: circle-clockwise, ",
        r"3 epochs, sigma \d",
        r"default: identity by clip \d+% \(\d+% to \d+%\), chance 33%, n = 24",
        r"frame, veiled: \d+% .*, in training \d",
        r"clip, raw: \d+% .*, in training \d",
    ],
    "recognise_a_camera": [
        r"a window: 15 frames, 1\.0 s, veiled by moments",
        r"600 frames, \d+ windows, [1-9]\d* actions",
        r"[1-9]\d* of 7 actions were recognised",
    ],
}
FIGURES = {"veil_and_look": 2, "train_and_audit": 1, "recognise_a_camera": 1}


def execute(file: Path) -> nbformat.NotebookNode:
    """Run a notebook in its folder and return it with its output."""
    notebook = nbformat.read(file, as_version=4)
    place = {"metadata": {"path": str(file.parent)}}
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", record_timing=False, resources=place
    ).execute()
    return notebook


def outputs(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [each for cell in notebook.cells for each in cell.get("outputs", [])]


def check(name: str, notebook: nbformat.NotebookNode) -> None:
    shown = outputs(notebook)
    text = "\n".join(o.get("text") or o.get("data", {}).get("text/plain", "") for o in shown)
    for fact in SAID[name]:
        assert re.search(fact, text), text
    assert sum("image/png" in o.get("data", {}) for o in shown) == FIGURES[name]
    assert not [o for o in shown if o.output_type == "error" or o.get("name") == "stderr"], text


def test_there_are_three_with_their_output() -> None:
    assert {file.stem for file in NOTEBOOKS} == set(SAID)
    assert sum(file.stat().st_size for file in NOTEBOOKS) < MOST
    for file in NOTEBOOKS:
        check(file.stem, nbformat.read(file, as_version=4))
        assert "/tmp/" not in file.read_text("utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_runs(file: Path) -> None:
    check(file.stem, execute(file))


if __name__ == "__main__":
    for each in NOTEBOOKS:
        nbformat.write(execute(each), each)
