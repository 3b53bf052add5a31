"""What a report says where the place may be taken for the person, and of further labels."""

from __future__ import annotations

from pathlib import Path

import pytest
from audit_examples import attacked, attacks, leaking
from motionveil.report.audit_confounds import judge_confound
from report_examples import write_png
from test_audit_page import Page

from motionveil.audit_results import Audit, Confound
from motionveil.report import write_audit


def confound(**changes: object) -> Confound:
    values = {
        "label": "identity",
        "column": "group",
        "clips": 192,
        "shared": 192,
        "crossable": 192,
        "tells": 1.0,
        "floor": 0.125,
    }
    return Confound.model_validate(values | changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"shared": 0, "tells": 0.125}, "by the recording alone the identity cannot be recognised"),
        ({"tells": 0.1}, "by the recording alone nothing is recognised"),
        ({"crossable": 0}, "the wall, the light, the clothes, counts as the identity here"),
        ({}, "some of what is recognised may be the recording, not the identity"),
        ({"column": "room"}, "some of what is recognised may be the room, not the identity"),
    ],
)
def test_what_a_column_means_for_a_label(changes: dict[str, object], said: str) -> None:
    assert said in judge_confound(confound(**changes))


def crossing_audit(across: float, within: float) -> Audit:
    """An audit in which an attack across recordings and its control know so much."""
    (frame,) = [a for a in attacks() if a.name == "frame"]
    found = [
        attacked(frame.model_copy(update=changes), video, known if video == "veiled" else 0.9)
        for changes, known in (
            ({"name": "frame-across-group", "across": "group"}, across),
            ({"name": "frame-within-group", "across": "group", "control": True}, within),
        )
        for video in ("veiled", "raw")
    ]
    return leaking().model_copy(update={"crossings": found, "confounds": [confound()]})


@pytest.mark.parametrize(
    ("across", "within", "said"),
    [
        (0.0, 0.8, "What is recognised is the recording, as far as these clips can tell."),
        (0.4, 0.9, "Part of what is recognised is the recording."),
        (0.7, 0.7, "These clips do not show that it goes by the recording."),
    ],
)
def test_attacks_across_recordings_and_their_controls(
    across: float, within: float, said: str, tmp_path: Path
) -> None:
    page = page_of(crossing_audit(across, within), tmp_path)
    assert said in page.verdict
    assert "The identity, or the place?" in page.headings
    names = [line[0] for table in page.tables for line in table]
    assert {"frame-across-group", "frame-within-group"} <= set(names)
    assert "having learned from clips under other values of the recording only" in page.text


def test_further_labels_have_a_section_and_a_sentence(tmp_path: Path) -> None:
    (frame,) = [a for a in attacks() if a.name == "frame"]
    named = frame.model_copy(update={"name": "frame-gender", "label": "gender"})
    found = [
        attacked(named, video, 0.6, classes=("f", "m"), label="gender")
        for video in ("veiled", "raw")
    ]
    page = page_of(leaking().model_copy(update={"beside": found}), tmp_path)
    assert "The gender: what each attack learned" in page.headings
    assert "“frame-gender” is right about" in page.verdict
    assert "Anything but the identity and the gender" in page.text


class TestRawFrames:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """An audit whose strongest attack and whose reconstruction have left pictures."""
        found = leaking()
        assert found.strongest is not None
        named = {"picture": "surest.png", "picture_with_original": "surest-with-original.png"}
        changed = [f.model_copy(update=named) if f.video == "veiled" else f for f in found.attacks]
        found.model_copy(update={"attacks": changed}).save(tmp_path)
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
        assert "as they were filmed" in raw
        assert "as they were filmed" not in veiled
        sources = [
            {uri for image in Page(text).all("img") if "png" in (uri := image["src"] or "")[:20]}
            for text in (veiled, raw)
        ]
        assert [len(found) for found in sources] == [2, 2]
        assert not sources[0] & sources[1]


def page_of(audit: Audit, folder: Path) -> Page:
    return Page(write_audit(audit, folder).read_text(encoding="utf-8"))
