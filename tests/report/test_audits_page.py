"""What a reader of several audits side by side would read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from audit_examples import VEILED, at_the_floor, audit, leaking
from test_audit_page import CLAIMS, Page

from motionveil.audit_results import Audit
from motionveil.cli import main
from motionveil.errors import MotionveilError
from motionveil.report import write_audits


def beside(*audits: tuple[str, Audit], folder: Path) -> Page:
    pairs = [
        (found.model_copy(update={"encoder": f"runs/{name}"}), folder / name)
        for name, found in audits
    ]
    return Page(write_audits(pairs, folder / "audits.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Page:
    return beside(
        ("leaking", leaking()),
        ("tight", at_the_floor()),
        folder=tmp_path_factory.mktemp("audits"),
    )


def figures(cell: str) -> float:
    return float(cell.split()[0])


def test_the_least_accurate_attack_comes_first(page):
    assert list(page.table("Strongest attack")) == [
        "runs/tight",
        "runs/leaking",
        "raw video",
    ]
    assert "Not equal in all audits" not in page.text
    assert re.findall(CLAIMS, page.text, re.I) == []


def test_the_tables_hold_what_the_audits_found(page):
    found = leaking()
    by_name = {f.name: f for f in found.attacks if f.video == "veiled"}
    strongest = page.table("Strongest attack")
    assert strongest["runs/leaking"][0] == ", ".join(found.strongest.chosen)
    assert figures(strongest["runs/leaking"][1]) == round(100 * found.strongest.accuracy.value, 1)
    tables = [
        t for t in page.tables if t[0] == ["Attack", "runs/tight", "runs/leaking", "Raw video"]
    ]
    attacks, action, searches, rebuilt = ({row[0]: row[1:] for row in t[1:]} for t in tables)
    assert attacks.keys() == {n for n in by_name if n != "action"}
    for name, cells in attacks.items():
        assert figures(cells[1]) == round(100 * by_name[name].scores.clip.value, 1)
        assert figures(cells[0]) < figures(cells[1])
        assert (cells[2] == "–") == (name == "h264-28")
    leaked = [figures(cells[1]) for cells in attacks.values()]
    assert leaked == sorted(leaked, reverse=True)
    assert list(action) == ["action"]
    assert set(searches) == {"retrieval", "clip-retrieval"}
    assert list(rebuilt) == ["reconstruction"]


def test_each_encoder_is_a_mark(page):
    (image,) = page.all("img")
    for name in ("runs/leaking", "runs/tight"):
        assert f"{name}: " in image["alt"]


def test_what_differs_is_named(tmp_path):
    again = audit(VEILED, seed=1)
    page = beside(("one", leaking()), ("two", again), folder=tmp_path)
    assert "Not equal in all audits: seed." in page.text


def test_what_was_not_carried_out_is_a_dash(tmp_path):
    few = leaking(only=("frame",), raw=False)
    page = beside(("few", few), ("all", leaking(hunts=False)), folder=tmp_path)
    attacks = next(t for t in page.tables if t[0][0] == "Attack")
    cells = {row[0]: row[1:] for row in attacks[1:]}
    dash = page.tables[1][0].index("runs/few") - 1
    assert cells["clip"][dash] == "–"
    assert figures(cells["clip"][1 - dash]) > 40
    assert "retrieval" not in page.text


def test_two_audits_of_one_encoder_are_told_apart(tmp_path):
    pairs = [(leaking(), tmp_path / "short"), (at_the_floor(), tmp_path / "long")]
    page = Page(write_audits(pairs, tmp_path / "audits.html").read_text(encoding="utf-8"))
    assert set(page.table("Strongest attack")) == {
        "runs/train (short)",
        "runs/train (long)",
        "raw video",
    }


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"split": "fold1"}, "its split is fold1, there it is validation"),
        ({"findings": [], "strongest": None}, "no attack in it recognises the identity"),
    ],
)
def test_what_cannot_stand_side_by_side_is_refused(tmp_path, change, fault):
    other = leaking(raw=False).model_copy(update=change)
    with pytest.raises(MotionveilError, match=fault):
        write_audits([(leaking(), tmp_path / "a"), (other, tmp_path / "b")], tmp_path / "x.html")
    assert not (tmp_path / "x.html").exists()


def test_other_data_are_refused(tmp_path):
    other = leaking(raw=False)
    other.dataset.hash = "sha256:another"
    with pytest.raises(MotionveilError, match="its data is sha256:anoth"):
        write_audits([(leaking(), tmp_path / "a"), (other, tmp_path / "b")], tmp_path / "x.html")


def test_by_the_command_line(tmp_path, capsys):
    folders = [tmp_path / name for name in ("a", "b")]
    for folder, found in zip(folders, (leaking(), at_the_floor()), strict=True):
        folder.mkdir()
        found.save(folder)
    words = ["report", *map(str, folders)]
    assert main(words) == 0
    assert capsys.readouterr().out == f"{folders[0] / 'audits.html'}\n"
    assert main([*words, "--show-raw"]) == 1
    assert "--show-raw: several audits side by side show no frames" in capsys.readouterr().err
