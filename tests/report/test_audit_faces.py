"""What a report says of faces."""

from __future__ import annotations

from pathlib import Path

from audit_examples import leaking, stored
from test_audit_page import Page

from motionveil.audit_results import Audit, FaceFinding, FaceNaming, Measured
from motionveil.report import write_audit


def measured(value: float) -> Measured:
    return Measured(value=value, interval=(max(0.0, value - 0.1), min(1.0, value + 0.1)))


def faces(**changes: object) -> FaceFinding:
    values = {
        "name": "faces",
        "label": "identity",
        "video": "veiled",
        "attack": {"kind": "faces"},
        "clips": 192,
        "with_faces": 150,
        "original": measured(0.8),
        "veiled": measured(0.06),
        "again": measured(0.02),
        "naming": FaceNaming(
            clips=150, original=measured(0.57), veiled=measured(0.19), floor=0.13, p=0.086
        ),
        "seconds": 49.0,
    }
    return FaceFinding.model_validate(values | changes)


def page_of(audit: Audit, folder: Path) -> Page:
    return Page(write_audit(audit, folder).read_text(encoding="utf-8"))


def test_are_told_in_the_verdict_and_in_a_table(tmp_path: Path) -> None:
    page = page_of(leaking().model_copy(update={"faces": [faces()]}), tmp_path)
    assert "a detector finds one in 6 % (0 to 16) of the veiled frames" in page.verdict
    assert "2 % (0 to 12) are found again where they were" in page.verdict
    assert "names the right identity from veiled frames of 19 %" in page.verdict
    assert "Faces" in page.headings
    assert "Face detection, face recognition" not in page.text


def test_a_detector_alone_names_nobody(tmp_path: Path) -> None:
    alone = leaking().model_copy(update={"faces": [faces(naming=None)]})
    page = page_of(alone, tmp_path)
    assert "names the right identity from" not in page.verdict
    assert "Face recognition, and programs that were made elsewhere" in page.text


def test_where_there_are_none_nothing_follows(tmp_path: Path) -> None:
    none = faces(
        with_faces=0, original=measured(0.0), veiled=measured(0.0), again=None, naming=None
    )
    page = page_of(leaking().model_copy(update={"faces": [none]}), tmp_path)
    assert "that it finds none in the veiled ones says nothing" in page.verdict


def test_alone_they_are_no_attack_that_learns(tmp_path: Path) -> None:
    page = page_of(stored([], faces=[faces()]), tmp_path)
    assert "only faces were looked for" in page.verdict


def test_of_reconstructions_have_a_column(tmp_path: Path) -> None:
    found = leaking()
    (rebuilt,) = found.reconstructions
    groups = {
        name: group.model_copy(update={"faces": measured(0.3), "original_faces": 0.9})
        for name, group in (("known", rebuilt.known), ("strangers", rebuilt.strangers))
    }
    changed = found.model_copy(update={"reconstructions": [rebuilt.model_copy(update=groups)]})
    page = page_of(changed, tmp_path)
    assert "With a face, % of frames" in page.text
    assert "With a face, % of frames" not in page_of(found, tmp_path).text
