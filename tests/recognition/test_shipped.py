"""The recogniser that comes with the package, and what it may be used for."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import pytest

import motionveil
from motionveil.actors import ACTIONS
from motionveil.cli import main
from motionveil.recognition.artefact import shipped_recognisers
from motionveil.spec import DEFAULT


def test_belongs_to_the_encoder_that_encode_uses() -> None:
    spec = motionveil.load_recogniser("actors").spec
    assert spec.stream_spec().fingerprint == motionveil.load_spec(DEFAULT).fingerprint
    assert set(ACTIONS) <= set(spec.classes) <= {*ACTIONS, spec.background}
    assert spec.knows_drawn_people_only


def test_is_small_and_whole() -> None:
    assert shipped_recognisers() == ["actors"]
    folder = resources.files("motionveil") / "recognisers" / "actors"
    sizes = {file.name: len(file.read_bytes()) for file in folder.iterdir()}
    assert set(sizes) == {"action.onnx", "recogniser.json"}
    assert sum(sizes.values()) < 1_000_000


def test_names_what_drawn_people_do_whom_it_has_never_seen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first command of the README, as fast as it goes: one visitor, every action."""
    written = "test:actors:128x96@15"
    assert main(["recognise", f"{written}:fast", "--frames", "780", "--json"]) == 0
    said = capsys.readouterr()
    assert "warning" not in said.err
    events, out = tmp_path / "events.jsonl", tmp_path / "score.json"
    events.write_text(said.out, encoding="utf-8")
    assert main(["score", str(events), written, "--json", str(out)]) == 0
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["true_segments"] > 8
    assert set(found["f1_by_class"]) == set(ACTIONS)
    assert found["f1"]["0.1"] > 0.7
    assert main(["score", str(events), "test"]) == 1
    assert "is the truth of one source, test:actors" in capsys.readouterr().err


def test_nobody_else_is_named_unwarned(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recognise", "test:64x48:fast", "--frames", "40"]) == 1
    said = capsys.readouterr()
    assert "has seen drawn people only and is for test:actors" in said.err
    assert said.out == ""
    assert main(["recognise", "test:64x48:fast", "--frames", "40", "--model", "actors"]) == 0
    assert "warning: actors: trained on drawn people only" in capsys.readouterr().err
