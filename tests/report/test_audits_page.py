"""What a reader of several audits side by side would read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from audit_examples import VEILED, at_chance_level, audit, leaking
from report_examples import write_png
from test_audit_page import CLAIMS, Page

from motionveil.audit_results import Audit, Measured, RebuiltClip, Reconstruction
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
        ("tight", at_chance_level()),
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
    page = beside(("few", few), ("all", leaking(searches=False)), folder=tmp_path)
    attacks = next(t for t in page.tables if t[0][0] == "Attack")
    cells = {row[0]: row[1:] for row in attacks[1:]}
    dash = page.tables[1][0].index("runs/few") - 1
    assert cells["clip"][dash] == "–"
    assert figures(cells["clip"][1 - dash]) > 40
    assert "retrieval" not in page.text


def test_two_audits_of_one_encoder_are_told_apart(tmp_path):
    pairs = [(leaking(), tmp_path / "short"), (at_chance_level(), tmp_path / "long")]
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
        ({"findings": [], "strongest": None}, "there is no attack on veiled video in it"),
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
    for folder, found in zip(folders, (leaking(), at_chance_level()), strict=True):
        folder.mkdir()
        found.save(folder)
    words = ["report", *map(str, folders)]
    assert main(words) == 0
    assert capsys.readouterr().out == f"{folders[0] / 'audits.html'}\n"
    assert main([*words, "--show-raw"]) == 1
    assert "no two audits have stored reconstructions of one clip" in capsys.readouterr().err


def with_samples(found: Audit, folder: Path, clips: Sequence[str], shade: int) -> Audit:
    """Return an audit whose reconstruction has stored frames of clips, each of one shade."""
    (made,) = found.of(Reconstruction)
    (folder / "attacks" / "reconstruction-veiled").mkdir(parents=True)
    samples = []
    for number, clip in enumerate(clips):
        names = [f"clip-{number}.png", f"clip-{number}-original.png"]
        for name in (*names, "mean.png"):
            write_png(folder / "attacks" / "reconstruction-veiled" / name, shade, 8)
        samples.append(
            RebuiltClip(
                clip=clip,
                known=number == 0,
                psnr=20 + shade + number,
                ssim=0.5,
                baseline_psnr=11,
                baseline_ssim=0.25,
                picture=names[0],
                original=names[1],
            )
        )
    changes = {"samples": samples, "mean_picture": "mean.png", "held_out": [2.0], "losses": [2.0]}
    rest = [finding for finding in found.findings if finding is not made]
    made = made.model_copy(update=changes | {"stopped": shade > 8})
    return found.model_copy(update={"findings": [*rest, made]})


@pytest.mark.parametrize("show_raw", [False, True])
def test_reconstructions_stand_side_by_side(tmp_path, show_raw):
    """The paper's figure 7: the clips that all have, in the order in which audits are given."""
    audits = []
    for name, shade, clips in (("untrained", 9, "abc"), ("trained", 8, "cab"), ("flow", 10, "bxa")):
        found = with_samples(leaking(raw=False), tmp_path / name, clips, shade)
        audits.append((found.model_copy(update={"encoder": name}), tmp_path / name))
    asked = audits[0][0].of(Reconstruction)[0]  # of the first audit only, with a face detector
    seen = Measured(value=0.25, interval=(0.2, 0.3))
    asked.known = asked.known.model_copy(update={"faces": seen, "original_faces": 0.99})
    target = write_audits(audits, tmp_path / "audits.html", show_raw=show_raw)
    page = Page(target.read_text(encoding="utf-8"))
    (table,) = (t for t in page.tables if "untrained" in t[0] and "mean frame" in t[0])
    raw = ["original"] if show_raw else []
    blank = [""] if show_raw else []
    assert table[0] == ["Clip of", *raw, "untrained", "trained", "flow", "mean frame"]
    first, second = table[1:3]
    assert first == [
        "a known person", *blank, "29.0; 0.500", "29.0; 0.500", "32.0; 0.500", "11.0; 0.250"
    ]  # fmt: skip
    assert second[0] == "an unseen person"
    quality = audits[0][0].of(Reconstruction)[0].known
    psnr = next(row for row in table if row[0] == "PSNR, dB, known people (n = 144)")
    assert float(psnr[-4].split()[0]) == round(quality.psnr.value, 1)
    assert psnr[-1] == f"{quality.baseline_psnr:.1f}"
    who = "known people (n = 144)"
    named = next(r for r in table if r[0].startswith(f"Identity recognised, % of frames, {who}"))
    assert named[0].endswith("chance level 16.7")
    assert named[1:-4] == (["95.0"] if show_raw else [])
    assert float(named[-4].split()[0]) == round(100 * quality.recognised.value, 1)
    assert named[-1] == "–"
    (faces,) = (row for row in table if row[0] == f"Faces found, % of frames, {who}")
    assert faces[1:] == [*(["99.0"] if show_raw else []), "25.0 (20.0 to 30.0)", "–", "–", "–"]
    assert ["U-Net converged", *(["–"] if show_raw else []), "yes", "no", "yes", "–"] in table
    alts = [image["alt"] for image in page.all("img") if "clip" in (image["alt"] or "")]
    assert len(alts) == 2 * (5 if show_raw else 3)
    assert ("original, clip 1" in alts) == ("mean frame, clip 5" in alts) == show_raw


def test_audits_that_recognise_nothing_are_compared_too(tmp_path):
    audits = []
    for name in ("one", "two"):
        found = with_samples(leaking(raw=False), tmp_path / name, "ab", 9)
        changes = {"findings": found.of(Reconstruction), "strongest": None, "encoder": name}
        audits.append((found.model_copy(update=changes), tmp_path / name))
    page = Page(write_audits(audits, tmp_path / "audits.html").read_text(encoding="utf-8"))
    assert "No attack that recognises the identity was carried out." in page.text
    assert "Reconstructed clips" in page.headings
