"""What a report says of faces."""

from __future__ import annotations

from pathlib import Path

from audit_examples import leaking, stored
from test_audit_page import Page

from motionveil.audit_results import Audit, FaceNaming, FaceSearch, Measured, Reconstruction
from motionveil.report import write_audit


def measured(value: float) -> Measured:
    return Measured(value=value, interval=(max(0.0, value - 0.1), min(1.0, value + 0.1)))


def faces(**changes: object) -> FaceSearch:
    values = {
        "name": "faces",
        "label": "identity",
        "video": "veiled",
        "attack": {"kind": "faces"},
        "clips": 192,
        "with_faces": 150,
        "original": measured(0.8),
        "veiled": measured(0.06),
        "redetected": measured(0.02),
        "naming": FaceNaming(
            clips=150, original=measured(0.57), veiled=measured(0.19), chance_level=0.13, p=0.086
        ),
        "seconds": 49.0,
    }
    return FaceSearch.model_validate(values | changes)


def page_of(audit: Audit, folder: Path) -> Page:
    return Page(write_audit(audit, folder).read_text(encoding="utf-8"))


def with_faces(found: FaceSearch) -> Audit:
    audit = leaking()
    return audit.model_copy(update={"findings": [*audit.findings, found]})


def test_are_a_section_with_a_row_for_each_video(tmp_path: Path) -> None:
    page = page_of(with_faces(faces()), tmp_path)
    assert "Faces" in page.headings
    veiled, original = page.table_rows("Frames with a face, %")
    assert veiled[0] == "faces veiled"
    assert veiled[2:] == [
        "6.0 (0.0 to 16.0)", "2.0 (0.0 to 12.0)", "19.0 (9.0 to 29.0)", "13.0", "192", "150",
    ]  # fmt: skip
    assert original[2:5] == ["80.0 (70.0 to 90.0)", "–", "57.0 (47.0 to 67.0)"]


def test_a_detector_alone_names_nobody(tmp_path: Path) -> None:
    page = page_of(with_faces(faces(naming=None)), tmp_path)
    assert [row[4:6] for row in page.table_rows("Frames with a face, %")] == [["–", "–"]] * 2


def test_alone_they_are_no_attack_that_learns(tmp_path: Path) -> None:
    page = page_of(stored([faces()]), tmp_path)
    assert "No attack that learns from veiled video was carried out" in page.verdict


def test_of_reconstructions_have_columns(tmp_path: Path) -> None:
    found = leaking()
    (rebuilt,) = found.of(Reconstruction)
    groups = {
        name: group.model_copy(update={"faces": measured(0.3), "original_faces": 0.9})
        for name, group in (("known", rebuilt.known), ("unseen", rebuilt.unseen))
    }
    changed = stored([rebuilt.model_copy(update=groups)])
    assert "Faces, %" in page_of(changed, tmp_path).text
    assert "Faces, %" not in page_of(found, tmp_path).text
