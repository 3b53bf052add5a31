from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from motionveil.cli import main
from published.sbu_examples import sbu_result, sbu_row


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder with an invented result: BDQ as published on action, far off on the pair."""
    folder = tmp_path / "sbu"
    rows = [sbu_row("bdq", 2.0, action=79, pair=70), sbu_row("bdq", 0.0)]
    sbu_result(*rows).save(folder / "results.json")
    return folder


@pytest.mark.parametrize("name", ["", "results.json"])
def test_prints_both_figures_and_a_verdict(
    run: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(run / name), "--against", "paper"]) == 0
    said = capsys.readouterr().out.splitlines()
    action, pair = (line for line in said if line.startswith("bdq, alpha 2 "))
    assert "84.0 (75-90), n 94" in action
    assert "within" in action
    assert "74.5 (65-82), n 94" in pair
    assert "34.2 (25-44), n 94" in pair
    assert "outside" in pair
    assert "not compared: bdq, alpha 0: published is alpha 2" in said
    assert any(line.startswith("sbu: pair, clothes and session") for line in said)
    assert "not the published experiment:" not in said


def test_says_what_is_another_experiment(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = sbu_result(sbu_row("bdq", 2.0), recipe={"size": 96, "frames": 16})
    result.save(run / "results.json")
    assert main(["verify", str(run)]) == 0
    said = capsys.readouterr().out
    departures = said.partition("not the published experiment:")[2].splitlines()
    assert ["size", "96", "224"] in [line.split() for line in departures]


def test_writes_json(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "out" / "verified.json"
    assert main(["verify", str(run), "--json", str(file)]) == 0
    assert f"wrote {file}" in capsys.readouterr().out
    written = json.loads(file.read_text("utf-8"))
    verdicts = [(line["method"], line["axis"], line["verdict"]) for line in written["comparisons"]]
    assert verdicts == [("bdq", "action", "within"), ("bdq", "privacy", "outside")]
    assert written["dataset"] == "sbu"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("actors", "the data set is 'actors'; there are published figures for sbu, kth, ipn"),
        ("kth", "kth: bdq"),
    ],
)
def test_faults_are_one_line(
    run: Path, name: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sbu_result(sbu_row("bdq", 2.0), name=name).save(run / "results.json")
    assert main(["verify", str(run)]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"motionveil: error: {run / 'results.json'}: ")
    assert said in error
    assert error.count("\n") == 1


def test_faults_name_the_file_given(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = run / "sbu-seed0.json"
    sbu_result(sbu_row("bdq", 2.0), name="actors").save(file)
    for words in (["verify", str(file)], ["report", str(_without_rows(run / "empty.json"))]):
        assert main(words) == 1
        assert capsys.readouterr().err.startswith(f"motionveil: error: {words[1]}: ")


def _without_rows(file: Path) -> Path:
    sbu_result().save(file)
    return file


def test_a_result_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(tmp_path / "none")]) == 1
    assert "cannot read results" in capsys.readouterr().err


def test_others_than_the_paper_are_wrong_usage(run: Path, capsys: object) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["verify", str(run), "--against", "hearsay"])


@pytest.mark.slow
def test_needs_no_torch(run: Path) -> None:
    code = f"from motionveil.cli import main; main(['verify', {str(run)!r}])"
    code += "; import sys; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=False)
    assert done.returncode == 0
