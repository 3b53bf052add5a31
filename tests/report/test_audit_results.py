"""Audits are stored and read, those of earlier versions too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from audit_examples import leaking

from motionveil.audit_results import Audit, Recognition, Reconstruction, Retrieval
from motionveil.errors import MotionveilError

OLD_NAMES = {
    "chance_level": "floor",
    "scores": "judgement",
    "by_frame": "names_frames",
    "baseline_psnr": "blank_psnr",
    "baseline_ssim": "blank_ssim",
    "baseline_gmsd": "blank_gmsd",
    "unseen": "strangers",
}


def as_before(value: Any) -> Any:
    """Return stored values under the names of earlier versions."""
    if isinstance(value, list):
        return [as_before(item) for item in value]
    if not isinstance(value, dict):
        return value
    measured = {"value", "interval", "chance_level"} == value.keys()
    old = OLD_NAMES | ({"chance_level": "guessed"} if measured else {})
    return {
        old.get(name, name): as_before(item)
        for name, item in value.items()
        if not (name == "chance_level" and item is None)
        and name not in ("description", "columns", "strongest_raw")
    }


def test_a_kind_is_read_as_its_class(tmp_path: Path) -> None:
    found = leaking()
    found.save(tmp_path)
    again = Audit.read(tmp_path)
    assert again == found
    assert {type(f) for f in again.findings} == {Recognition, Retrieval, Reconstruction}


def test_an_audit_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    found = leaking()
    old = as_before(found.model_dump(mode="json"))
    findings = old.pop("findings")
    old["attacks"] = [f for f in findings if f["kind"] == "recognise"]
    old["retrievals"] = [f for f in findings if f["kind"] == "retrieve"]
    old["reconstructions"] = [f for f in findings if f["kind"] == "reconstruct"]
    old |= {"beside": [], "crossings": [], "faces": []}
    (tmp_path / "audit.json").write_text(json.dumps(old))
    read = Audit.read(tmp_path)
    assert read.strongest == found.strongest
    assert read.strongest_raw is None
    for one, other in ((read.attacks, found.attacks), *_others(read, found)):
        assert [f.rows() for f in one] == [f.rows() for f in other]
        assert [(f.name, f.video) for f in one] == [(f.name, f.video) for f in other]


def test_an_audit_from_before_a_field_of_recipes_was_renamed(tmp_path: Path) -> None:
    found = leaking(only=["frame"])
    file = found.save(tmp_path)
    values = json.loads(file.read_text())
    values["recipe"]["game"] = values["recipe"].pop("adversarial")
    file.write_text(json.dumps(values))
    assert Audit.read(tmp_path) == found


def _others(read: Audit, found: Audit) -> list[tuple[Any, Any]]:
    return [(read.of(kind), found.of(kind)) for kind in (Retrieval, Reconstruction)]


def test_another_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "audit.json").write_text('{"findings": [{"kind": "recognise", "name": "x"}]}')
    with pytest.raises(MotionveilError, match=r"audit\.json: not a audit file"):
        Audit.read(tmp_path)
