"""Tables of attackers in the documentation: made of stored results, and of the latest."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from audit_examples import attacked, attacks, searched
from report_examples import result
from test_attackers_shown import rows

from benchmark_code import import_benchmark
from motionveil.audit_results import ClipAnswer
from motionveil.results import Training

ROOT = Path(__file__).resolve().parents[2]
tables = import_benchmark("attacker_tables")


PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_show_the_stored_results(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert tables.drawn(text) == text


def test_kept_small_with_every_answer(tmp_path: Path) -> None:
    stored = result(rows())
    stored.save(tmp_path / "results.json")
    tables.keep([tmp_path / "results.json"], tmp_path / "kept.json.gz")
    kept = tables.read(tmp_path / "kept.json.gz")
    assert [one.attackers for one in kept.rows] == [one.attackers for one in stored.rows]
    assert [p.clip for p in kept.rows[0].predictions] == [
        p.clip for p in stored.rows[0].predictions
    ]
    assert not any(one.curves for one in kept.rows)


def test_several_results_are_kept_as_one(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.json" for number in range(3)]
    for number, file in enumerate(files[:2]):
        stored = result([rows()[number]])
        stored.environment["device"] = ("cpu", "cuda:0")[number]
        stored.save(file)
    tables.keep(files[:2], tmp_path / "kept.json.gz")
    kept = tables.read(tmp_path / "kept.json.gz")
    assert [row.method for row in kept.rows] == [row.method for row in rows()[:2]]
    assert kept.environment["device"] == "cpu; cuda:0"
    other = result(rows())
    other.dataset.hash = "0" * 64
    other.save(files[2])
    with pytest.raises(SystemExit, match=r"2\.json: other data"):
        tables.keep(files, tmp_path / "kept.json.gz")


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
    tables.keep_findings([row], tmp_path / "kept.json")
    found = json.loads((tmp_path / "kept.json").read_text(encoding="utf-8"))
    (one,) = found
    assert (one["right"], one["n"], one["seed"], one["attacker"]) == (2, 3, 3, "clip")
    assert "| moments | 3 | 66.7 of 3 (98) |" in tables.findings_table([tmp_path / "kept.json"])


def test_a_line_for_each_method_the_strongest_in_bold() -> None:
    stored = result(rows())
    lines = tables.table([stored]).splitlines()
    found = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:-2]]
    assert len(found) == len(stored.rows)
    for cells in found:
        shown = [cell for cell in cells[3:-1] if cell]  # the examples lack one of the attackers
        bold = [float(cell.strip("*").split()[0]) for cell in shown if cell.startswith("**")]
        figures = [float(cell.strip("*").split()[0]) for cell in shown]
        assert not bold or bold == [max(figures)]
        assert float(cells[2].split()[0]) >= max(figures)
        if bold:  # else the published network is the strongest, which has no column
            assert re.fullmatch(r"97\.0, 23 epochs|9[14]\.0, 23 to 31 epochs", cells[-1])
    assert "seeds 0;" in lines[-1]
