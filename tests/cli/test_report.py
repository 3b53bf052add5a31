import sys
from pathlib import Path

import pytest

from motionveil.cli import main

sys.path.append(str(Path(__file__).parents[1] / "report"))
from report_examples import dataset, result, row


@pytest.fixture
def run_folder(tmp_path) -> Path:
    result([row("raw", n=24), row("bdq", 2.0, n=24, epochs=2)]).save(tmp_path / "run/results.json")
    return tmp_path / "run"


def test_writes_the_page_into_the_run_and_says_where(run_folder, capsys):
    assert main(["report", str(run_folder)]) == 0
    page = run_folder / "report.html"
    assert capsys.readouterr().out.strip() == str(page)
    assert "BDQ, α = 2" in page.read_text(encoding="utf-8")


def test_joins_runs_into_the_file_asked_for(run_folder, tmp_path):
    other = tmp_path / "kth"
    result([row("raw", n=24)], dataset(name="kth")).save(other / "results.json")
    target = tmp_path / "pages" / "both.html"
    assert main(["report", str(run_folder), str(other), "-o", str(target)]) == 0
    text = target.read_text(encoding="utf-8")
    assert "Data set: actors" in text
    assert "Data set: kth" in text
    assert not (run_folder / "report.html").exists()


def test_the_file_itself_and_a_folder_as_target(run_folder, tmp_path):
    assert main(["report", str(run_folder / "results.json"), "-o", str(tmp_path)]) == 0
    assert (tmp_path / "report.html").exists()


def test_a_missing_result_is_one_line(tmp_path, capsys):
    assert main(["report", str(tmp_path / "nowhere")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("motionveil: error:")
    assert "nowhere" in error
    assert error.count("\n") == 1


def test_a_file_that_is_no_result_is_named(tmp_path, capsys):
    (tmp_path / "results.json").write_text('{"rows": 3}')
    assert main(["report", str(tmp_path)]) == 1
    assert "results.json" in capsys.readouterr().err
    assert not (tmp_path / "report.html").exists()


def test_raw_frames_go_with_an_audit_only(run_folder, capsys):
    assert main(["report", str(run_folder), "--show-raw"]) == 1
    assert "--show-raw: it goes with an audit" in capsys.readouterr().err


def test_an_audit_has_a_page_of_its_own(run_folder, tmp_path, capsys):
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit/audit.json").write_text("{}")
    assert main(["report", str(run_folder), str(tmp_path / "audit")]) == 1
    assert "audits have a page of their own" in capsys.readouterr().err


def test_the_results_are_not_replaced_by_their_page(run_folder, capsys):
    before = (run_folder / "results.json").read_bytes()
    assert main(["report", str(run_folder), "-o", str(run_folder / "results.json")]) == 1
    assert "a report is a page; give a folder, or FILE.html" in capsys.readouterr().err
    assert (run_folder / "results.json").read_bytes() == before
