"""What a report says of other columns that predict a label, and of further labels."""

from __future__ import annotations

from pathlib import Path

import pytest
from audit_examples import attacked, attacks, leaking
from report_examples import write_png
from test_audit_page import Page

from motionveil.audit_results import Audit, Confound
from motionveil.report import write_audit


def confound(**changes: object) -> Confound:
    values = {
        "label": "identity",
        "column": "group",
        "clips": 192,
        "shared": 190,
        "crossable": 191,
        "tells": 1.0,
        "chance_level": 0.125,
    }
    return Confound.model_validate(values | changes)


def with_findings(found: list[object]) -> Audit:
    audit = leaking()
    return audit.model_copy(update={"findings": [*audit.findings, *found]})


def test_columns_that_predict_the_label_are_listed(tmp_path: Path) -> None:
    confounds = [confound(), confound(column="room", shared=0, tells=0.1, crossable=0)]
    page = page_of(leaking().model_copy(update={"confounds": confounds}), tmp_path)
    assert page.table("Predicted, %") == {
        "recording": ["100.0", "12.5", "190", "191", "192", "yes"],
        "room": ["10.0", "12.5", "0", "0", "192", "no"],
    }


def test_attacks_across_recordings_and_their_controls(tmp_path: Path) -> None:
    (frame,) = [a for a in attacks() if a.name == "frame"]
    found = [
        attacked(frame.model_copy(update=changes), video, 0.5)
        for changes in (
            {"name": "frame-across-group", "across": "group"},
            {"name": "frame-within-group", "across": "group", "control": True},
        )
        for video in ("veiled", "raw")
    ]
    page = page_of(with_findings(found), tmp_path)
    assert "Identity, crossed with group" in page.headings
    names = [line[0] for table in page.tables for line in table]
    assert {"frame-across-group", "frame-within-group"} <= set(names)
    assert "across group, control" in page.table("Settings")["frame-within-group"][0]


def test_further_labels_have_a_section(tmp_path: Path) -> None:
    (frame,) = [a for a in attacks() if a.name == "frame"]
    named = frame.model_copy(update={"name": "frame-gender", "label": "gender"})
    found = [
        attacked(named, video, 0.6, classes=("f", "m"), label="gender")
        for video in ("veiled", "raw")
    ]
    page = page_of(with_findings(found), tmp_path)
    assert "Gender" in page.headings


class TestRawFrames:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """An audit whose strongest attack and whose reconstruction have left images."""
        found = leaking()
        assert found.strongest is not None
        named = {"picture": "surest.png", "picture_with_original": "surest-with-original.png"}
        changed = [
            f.model_copy(update=named) if f in found.attacks and f.video == "veiled" else f
            for f in found.findings
        ]
        found.model_copy(update={"findings": changed}).save(tmp_path)
        for number, name in enumerate((*found.strongest.chosen, "reconstruction")):
            stem = "reconstruction" if name == "reconstruction" else "surest"
            folder = tmp_path / "attacks" / f"{name}-veiled"
            folder.mkdir(parents=True, exist_ok=True)
            write_png(folder / f"{stem}.png", width=8 + number)
            write_png(folder / f"{stem}-with-original.png", width=80 + number)
        return tmp_path

    def test_are_shown_only_where_they_are_asked_for(self, folder: Path) -> None:
        audit = Audit.read(folder)
        veiled = write_audit(audit, folder).read_text()
        raw = write_audit(audit, folder, folder / "raw.html", show_raw=True).read_text()
        assert "veiled and original" in raw
        assert "veiled and original" not in veiled
        sources = [
            {uri for image in Page(text).all("img") if "png" in (uri := image["src"] or "")[:20]}
            for text in (veiled, raw)
        ]
        assert [len(found) for found in sources] == [2, 2]
        assert not sources[0] & sources[1]


def page_of(audit: Audit, folder: Path) -> Page:
    return Page(write_audit(audit, folder).read_text(encoding="utf-8"))
