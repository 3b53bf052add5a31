"""`motionveil score`: what it reads, prints and writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from motionveil.cli import main
from motionveil.recognition import Event
from motionveil.recognition.reports import JsonReport


def write_events(path: Path, told: list[tuple[str, float, float | None, str]]) -> Path:
    """Write events as `motionveil recognise --json` does, each told half a second late."""
    lines: list[str] = []
    for source, start, end, label in told:
        report = JsonReport(lines.append, source)
        kind = "no motion" if label == "no motion" else "action"
        report.event(Event(start + 0.5, start, None, kind, label, 0.8))
        if end is not None:
            report.event(Event(end + 0.5, start, end, kind, label, 0.9))
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_a_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = [("in.mp4", 0.0, 10.0, "no motion"), ("in.mp4", 10.0, 19.5, "läuft")]
    events = write_events(tmp_path / "events.jsonl", told)
    truth = tmp_path / "truth.csv"
    truth.write_text("from,to,label\n10,20,läuft\n", encoding="utf-8")
    out = tmp_path / "score.json"
    words = ["score", str(events), str(truth), "--json", str(out), "--seconds", "40"]
    assert main(words) == 0
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["f1"] == {"0.1": 1.0, "0.25": 1.0, "0.5": 1.0}
    assert found["f1_by_class"]["läuft"]["0.5"] == 1.0
    assert found["frame_accuracy"] == pytest.approx(1 - 0.5 / 40)
    assert found["mean_average_precision"] == 1.0
    assert found["latency_from_start"] == {"median": 0.5, "percentile_95": 0.5}
    assert found["latency_from_end"]["median"] == -9.5
    assert found["false_alarms_per_hour"] == 0
    assert (found["seconds"], found["background_seconds"]) == (40, 30)
    printed = capsys.readouterr().out
    assert "läuft" in printed
    assert "median -9.50, 95 % -9.50" in printed


def test_an_event_that_did_not_end_goes_on_to_the_last_time(tmp_path: Path) -> None:
    told = [("in", 0.0, 9.5, "no motion"), ("in", 4.0, None, "x")]
    events = write_events(tmp_path / "events.jsonl", told)
    truth = tmp_path / "truth.csv"
    truth.write_text("from,to,label\n4,10,x\n")
    out = tmp_path / "score.json"
    assert main(["score", str(events), str(truth), "--json", str(out)]) == 0
    assert json.loads(out.read_text())["frame_accuracy"] == 1.0


def test_sources_are_kept_apart(tmp_path: Path) -> None:
    told = [("a", 0.0, 5.0, "x"), ("b", 10.0, 15.0, "x")]
    events = write_events(tmp_path / "events.jsonl", told)
    truth = tmp_path / "truth.csv"
    truth.write_text("source,from,to,label\na,0,5,x\na,10,15,x\n")
    out = tmp_path / "score.json"
    assert main(["score", str(events), str(truth), "--json", str(out)]) == 0
    found = json.loads(out.read_text())
    assert found["f1"]["0.5"] == 0.5
    assert found["false_alarms"] == 1


@pytest.mark.parametrize(
    ("events", "truth", "problem"),
    [
        ("nonsense\n", "from,to,label\n", "events.jsonl: line 1"),
        ('{"state": "ends"}\n', "from,to,label\n", "source: Field required"),
        (
            "",
            "from,label\n",
            "truth.csv:1: found columns 'from,label'; there must be from, to, label",
        ),
        ("", "from,to,label\n5,4,x\n", "truth.csv:2: from 5, to 4"),
        ("", "from,to,label\nx,4,x\n", "csv:2: from x"),
        ("", "from,to,label\n1,4,\n", "csv:2: the label"),
    ],
)
def test_files_that_are_wrong(
    tmp_path: Path, events: str, truth: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "events.jsonl").write_text(events)
    (tmp_path / "truth.csv").write_text(truth)
    words = ["score", str(tmp_path / "events.jsonl"), str(tmp_path / "truth.csv")]
    assert main(words) == 1
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize(
    ("truth", "problem"),
    [("from,to,label\n", "needs a column source"), ("source,from,to,label\nc,1,2,x\n", "none is")],
)
def test_sources_that_do_not_fit(
    tmp_path: Path, truth: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    events = write_events(tmp_path / "e", [("a", 0.0, 5.0, "x"), ("b", 0.0, 5.0, "x")])
    (tmp_path / "truth.csv").write_text(truth)
    assert main(["score", str(events), str(tmp_path / "truth.csv")]) == 1
    assert problem in capsys.readouterr().err
