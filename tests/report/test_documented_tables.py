"""Tables of the documentation: drawn from figures in the repository, and from the latest."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from audit_examples import attacked, attacks, leaking, searched
from report_examples import LEARNED, result, row
from test_attackers_shown import rows

from benchmark_code import import_benchmark
from motionveil.audit_results import (
    Audit,
    ClipAnswer,
    FaceNaming,
    FaceSearch,
    Measured,
    Reconstruction,
)
from motionveil.results import Accuracy, Training
from motionveil.spec import DEFAULT, load_spec

ROOT = Path(__file__).resolve().parents[2]
tables = import_benchmark("tables")
kept = import_benchmark("kept")
of_audits = import_benchmark("tables_of_audits")
of_results = import_benchmark("tables_of_results")
of_speeds = import_benchmark("tables_of_speeds")


PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_show_the_stored_results(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert tables.drawn(text) == text


def test_every_table_of_the_results_is_drawn() -> None:
    text = (ROOT / "docs/results.md").read_text(encoding="utf-8")
    blocks = list(tables.BLOCK.finditer(text))
    assert all("\n| " in block[0] for block in blocks)
    by_hand = [line for line in tables.BLOCK.sub("", text).splitlines() if line.startswith("|")]
    assert not by_hand


def cells_of(table: str) -> list[list[str]]:
    """Return the cells of a table's lines, without its head."""
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]


def test_kept_small_with_every_answer(tmp_path: Path) -> None:
    stored = result(rows())
    stored.save(tmp_path / "results.json")
    kept.keep([tmp_path / "results.json"], tmp_path / "kept.json.gz")
    read = kept.read_result(tmp_path / "kept.json.gz")
    assert [one.attackers for one in read.rows] == [one.attackers for one in stored.rows]
    assert [p.clip for p in read.rows[0].predictions] == [
        p.clip for p in stored.rows[0].predictions
    ]
    assert not any(one.curves for one in read.rows)


def test_several_results_are_kept_as_one(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.json" for number in range(3)]
    for number, file in enumerate(files[:2]):
        stored = result([rows()[number]])
        stored.environment["device"] = ("cpu", "cuda:0")[number]
        stored.save(file)
    kept.keep(files[:2], tmp_path / "kept.json.gz")
    read = kept.read_result(tmp_path / "kept.json.gz")
    assert [row.method for row in read.rows] == [row.method for row in rows()[:2]]
    assert read.environment["device"] == "cpu; cuda:0"
    other = result(rows())
    other.dataset.hash = "0" * 64
    other.save(files[2])
    with pytest.raises(SystemExit, match=r"2\.json: other data"):
        kept.keep(files, tmp_path / "kept.json.gz")


def test_a_kept_audit_draws_the_same_tables(tmp_path: Path) -> None:
    whole = leaking()
    file = whole.save(tmp_path)
    kept.keep([file], tmp_path / "kept.json.gz")
    read = kept.read_audit(tmp_path / "kept.json.gz")
    assert of_audits.attacks_table([read]) == of_audits.attacks_table([whole])
    assert (tmp_path / "kept.json.gz").stat().st_size < file.stat().st_size / 5
    with pytest.raises(SystemExit, match="a file of its own"):
        kept.keep([file, file], tmp_path / "kept.json.gz")


def test_reconstructions_stand_beside_the_mean_frame_and_the_original() -> None:
    lines = cells_of(of_audits.reconstructions_table([leaking(), leaking()]))
    assert len(lines) == 4
    one = next(f for f in leaking().findings if isinstance(f, Reconstruction))
    psnr, ssim = one.known.psnr, one.unseen.ssim
    assert lines[0] == lines[1]
    assert lines[0][1].startswith(f"{psnr.value:.1f} ({psnr.interval[0]:.1f} to")
    assert lines[0][4].startswith(f"{ssim.value:.3f} (")
    assert lines[2][1:5] == [
        f"{one.known.baseline_psnr:.1f}",
        f"{one.known.baseline_ssim:.3f}",
        f"{one.unseen.baseline_psnr:.1f}",
        f"{one.unseen.baseline_ssim:.3f}",
    ]
    assert lines[3][5] == f"{100 * one.known.original_recognised:.1f}"


def test_findings_of_rows_that_are_not_complete(tmp_path: Path) -> None:
    answers = [
        ClipAnswer(
            clip="a#0-9", recording="a", truth=truth, probabilities=shares, frames=0, surest=0
        )
        for truth, shares in [(0, [0.9, 0.1]), (1, [0.6, 0.4]), (1, [0.2, 0.8])]
    ]
    training = Training(epochs=7, accuracy=0.98, rate=0.003)
    whole = attacked(next(a for a in attacks() if a.name == "clip"), "veiled", 0.5)
    changes = {"answers": answers, "trainings": [training]}
    recognised = whole.model_copy(update=changes).model_dump(mode="json")
    search = next(a for a in attacks() if a.kind == "retrieve")
    other = searched(search, "veiled", 0.5).model_dump(mode="json")
    row = tmp_path / "seed3-validation" / "moments"
    for name, value in {"clip": recognised, "broken": None, "ranks": other}.items():
        folder = row / "attacks" / name
        folder.mkdir(parents=True)
        (folder / "job.json").write_text(json.dumps({"value": value}), encoding="utf-8")
    kept.keep_findings([row], tmp_path / "kept.json")
    found = kept.read_json(tmp_path / "kept.json")
    clip, ranks = found
    assert (clip["right"], clip["n"], clip["seed"], clip["attacker"]) == (2, 3, 3, "clip")
    rank_1 = searched(search, "veiled", 0.5).rank_1.value
    assert ranks["right"] / ranks["n"] == pytest.approx(rank_1)
    (line,) = cells_of(of_results.findings_table([found]))
    assert line[:2] == ["`moments`", "3"]
    assert line[2] == "66.7 (21 to 94, n = 3) [98]"
    assert line[3].startswith(f"{100 * rank_1:.1f} (")

    action = {"accuracy": 0.75, "n": 4}
    (row / "job.json").write_text(json.dumps({"value": {"action": action}}), encoding="utf-8")
    kept.keep_findings([row], tmp_path / "kept.json")
    assert kept.read_json(tmp_path / "kept.json")[0] == {
        **{"row": "moments", "seed": 3, "split": "validation"},
        **{"attacker": "action", "right": 3, "n": 4},
    }


def test_the_default_encoder_states_what_was_measured_of_it() -> None:
    stored = kept.read_result(ROOT / "docs/results/strongest-moments-seed0.json.gz")
    (line,) = cells_of(of_results.attackers_table([stored]))
    action, strongest = line[1], line[2].partition(",")[0]
    measured = load_spec(DEFAULT).provenance["measured"]
    for figure in (action, strongest):
        assert figure.removesuffix(")") in measured


def test_a_line_for_each_method_the_strongest_in_bold() -> None:
    stored = result(rows())
    table = of_results.attackers_table([stored])
    found = cells_of(table)
    assert len(found) == len(stored.rows)
    for cells in found:
        shown = [cell for cell in cells[3:-1] if cell]  # the examples lack one of the attackers
        bold = [float(cell.strip("*").split()[0]) for cell in shown if cell.startswith("**")]
        figures = [float(cell.strip("*").split()[0]) for cell in shown]
        assert not bold or bold == [max(figures)]
        assert float(cells[2].split()[0]) >= max(figures)
        if bold:  # else the published network is the strongest, which has no column
            assert re.fullmatch(r"97\.0, 23 epochs|9[14]\.0, 23 to 31 epochs", cells[-1])
    assert "seeds 0;" in table.splitlines()[-1]


def test_a_trade_off_with_what_bdq_learned() -> None:
    plain = result([row("raw"), row("blur-4")])
    assert [len(cells) for cells in cells_of(of_results.tradeoff_table([plain]))] == [4, 4]
    stored = result([row("raw"), row("bdq-untrained"), row("bdq", 2.0)])
    raw, untrained, trained = cells_of(of_results.tradeoff_table([stored]))
    assert raw[4:] == untrained[4:] == ["", ""]
    assert 7.5 > LEARNED[6] == 5.5
    assert trained[4:] == ["1.90", "5.5 to 9.2"]
    assert trained[1].startswith(f"{100 * stored.rows[2].action.accuracy:.1f} (")
    with_attackers = cells_of(of_results.tradeoff_table([result(rows())]))
    assert len(with_attackers[0]) == 4 + 5 + 2


def test_the_attacks_of_an_audit_the_worst_first() -> None:
    audit = leaking()
    found = cells_of(of_audits.attacks_table([audit]))
    at = [cells[0] for cells in found].index("**strongest**, corrected")
    *privacy, action = found[:at]
    figures = [float(cells[2].split()[0]) for cells in privacy]
    assert figures == sorted(figures, reverse=True)
    assert action[:2] == ["`action`", "action"]
    of = {cells[0]: cells for cells in found}
    frame = next(f for f in audit.attacks if (f.name, f.video) == ("frame", "veiled"))
    raw = next(f for f in audit.attacks if (f.name, f.video) == ("frame", "raw"))
    assert of["`frame`"][3:6] == [
        f"{100 * share:.1f}"
        for share in (frame.scores.frame.value, frame.curve[-1], raw.scores.clip.value)
    ]
    assert of["`clip`"][3] == ""  # it answers for whole clips only
    assert of["`h264-28`"][5] == ""  # raw video is not compressed
    assert any(name.startswith("`retrieval`, rank 1") for name in of)


def with_faces(encoder: str, share: float) -> Audit:
    def measured(value: float) -> Measured:
        return Measured(value=value, interval=(value, value))

    naming = FaceNaming(
        clips=9, original=measured(0.8), veiled=measured(share), chance_level=0.1, p=0.5
    )
    faces = FaceSearch(
        name="faces", label="identity", video="veiled", attack={}, seconds=1, clips=19,
        with_faces=18, original=measured(0.9), veiled=measured(share),
        redetected=measured(share / 2), naming=naming,
    )  # fmt: skip
    return leaking().model_copy(update={"encoder": encoder, "findings": [faces]})


def test_faces_of_several_audits_each_beside_its_originals() -> None:
    table = of_audits.faces_table([with_faces("one", 0.2), with_faces("other", 0.1)])
    one, other = cells_of(table)
    assert one[:3] == ["`one`", "90.0 (90 to 90)", "20.0 (20 to 20)"]
    assert one[3:] == ["10.0 (10 to 10)", "80.0 (80 to 80)", "20.0 (20 to 20)"]
    assert other[0] == "`other`"
    assert "n = 19 clips, 18 with faces" in table
    assert "chance level 10.0" in table


def test_validations_in_both_orders() -> None:
    accuracy = Accuracy.of([1.0, 0.0], [0, 1]).model_dump()
    value: dict[str, Any] = {
        "dataset": "actors", "method": "bdq", "alpha": 6.0, "action": accuracy,
        "privacy": {"frame": accuracy, "clip": accuracy},
    }  # fmt: skip
    camera = value | {"order": "camera", "scales": [1.0, 0.84]}
    paper = value | {"order": "paper", "scales": [1.0]}
    one, other = cells_of(of_results.orders_table([[camera, paper]]))
    assert one[:4] == ["actors", "BDQ, α = 6", "camera", "2"]
    assert other[1:3] == ["BDQ, α = 6, training clips not scaled", "paper"]
    assert one[4].startswith("50.0 (")


def test_steps_against_those_with_the_wasted_work() -> None:
    seconds = {"motionveil": 2.0, "wasting": 3.0, "motionveil, its encoder": 2.5, "released": 4.0,
               "released, NCHW": 5.0}  # fmt: skip
    figures = {
        "rows": [{"method": name, "seconds": s} for name, s in seconds.items()],
        "shares": {"E": 0.02, "T": 0.8, "P": 0.1},
        "forward_of_action": 0.25,
        "arithmetic": 1.32,
        "largest_difference": 0.0,
    }
    table = of_speeds.step_table([figures])
    assert [cells[1:] for cells in cells_of(table)] == [
        ["2000", "3000", "1.50"],
        ["2500", "4000", "1.60"],
        ["2000", "4000", "2.00"],
        ["2000", "5000", "2.50"],
    ]
    assert "E 2.0, T 80.0, P 10.0; T's forward pass 25.0 of T's" in table


def test_threads_on_a_quiet_and_on_a_busy_machine() -> None:
    found = [
        {"threads": threads, "policy": policy, "busy": busy, "ms": 10.4 * threads + busy}
        for busy in (False, True)
        for threads, policy in ((1, "default"), (2, "PASSIVE"))
    ]
    assert cells_of(of_speeds.threads_table([{"rows": found}])) == [
        ["1", "default", "10", "11"],
        ["2", "PASSIVE", "21", "22"],
    ]


def test_what_the_loader_measures_is_drawn() -> None:
    loader, measuring = import_benchmark("loader"), import_benchmark("measuring")
    seconds = {"cache": 0.08, "png": 0.8, "pyav": 0.4}
    taken = {name: measuring.Seconds(value, value) for name, value in seconds.items()}
    found = [loader.row(name, one, taken["cache"], 16) for name, one in taken.items()]
    videos = {"width": 386, "height": 294, "clips": 16, "rows": found}
    (cells,) = cells_of(of_speeds.loader_table([{"runs": 5, "videos": [videos]}]))
    assert cells[:4] == ["386 x 294", "5.0", "200", "50.0"]
    assert cells[4:] == ["10.0 times as fast", "25.0", "5.0 times as fast"]
