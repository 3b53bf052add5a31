"""One real quickstart: what it leaves, and whether its data are an honest test bed.

In one file, so that the quickstart is run once where tests are shared out over processes.
"""

from __future__ import annotations

import base64
import csv
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from motionveil.results import Result
from motionveil.spec import EncoderSpec
from motionveil.video import count_frames, read_frames
from threads import GIVEN

PEOPLE = 10


@pytest.mark.slow
@pytest.mark.timeout(1800)
class TestQuickstart:
    """What the real one leaves, and whether it does what the README says of it."""

    @pytest.fixture
    def result(self, quickstart_run: Path) -> dict[str, Any]:
        values: dict[str, Any] = json.loads((quickstart_run / "results.json").read_text("utf-8"))
        return values

    @pytest.fixture
    def rows(self, result: dict[str, Any]) -> dict[tuple[str, bool], dict[str, Any]]:
        """The rows by method, and whether it was trained against the adversary."""
        return {(row["method"], bool(row["alpha"])): row for row in result["rows"]}

    def test_results_hold_five_rows_and_the_time(self, result: dict[str, Any]):
        methods = [(row["method"], row["alpha"]) for row in result["rows"]]
        untrained = [(name, None) for name in ("raw", "moments", "flow-untrained")]
        assert methods[:4] == [*untrained, ("bdq", 0)]
        assert [name for name, _ in methods[4:]] == ["bdq"]
        assert methods[4][1] > 0
        assert result["seconds"] > 0
        for row in result["rows"]:
            assert len(row["attackers"]) == 2
            assert all(one["trainings"] for one in row["attackers"])
            privacy = row["privacy"]
            for accuracy in (row["action"], privacy["frame"], privacy["clip"]):
                low, high = accuracy["interval"]
                assert 0 <= low <= accuracy["accuracy"] <= high <= 1
                assert 0 < accuracy["chance_level"] < 0.5
                assert accuracy["n"] == len(row["predictions"]) >= 100

    def test_it_films_ten_people_in_eight_actions(self, quickstart_run: Path):
        dataset = Result.read(quickstart_run).dataset
        assert dataset.parts == {"validation": (800, 240)}
        assert len(dataset.privacy_names) == PEOPLE
        assert len(dataset.actions) == 8

    def test_the_first_held_out_video_is_veiled_whole(self, quickstart_run: Path):
        held_out = next((quickstart_run / "actors" / "seed0").glob("person00/session10.mkv"))
        assert count_frames(quickstart_run / "veiled.mp4") == count_frames(held_out)

    def test_raw_video_and_differences_give_the_identity(
        self, rows: dict[tuple[str, bool], dict[str, Any]]
    ):
        """Or hiding it would be no feat; that one frame gives no action, its making decides."""
        raw = rows["raw", False]
        assert raw["action"]["accuracy"] >= 0.9
        assert raw["privacy"]["frame"]["accuracy"] >= 0.95
        assert rows["bdq", False]["privacy"]["frame"]["accuracy"] >= 3 / PEOPLE

    def test_action_is_kept(self, rows: dict[tuple[str, bool], dict[str, Any]]):
        raw, trained = (rows[key]["action"]["accuracy"] for key in (("raw", False), ("bdq", True)))
        assert trained >= 0.9 * raw

    def test_identity_is_at_most_half_of_raw(self, rows: dict[tuple[str, bool], dict[str, Any]]):
        raw, trained = (rows[key]["privacy"]["frame"] for key in (("raw", False), ("bdq", True)))
        assert trained["accuracy"] <= 0.5 * raw["accuracy"]

    def test_the_default_encoder_shows_less_than_a_difference(
        self, rows: dict[tuple[str, bool], dict[str, Any]]
    ):
        difference, moments = rows["bdq", False], rows["moments", False]
        assert moments["action"]["accuracy"] >= 0.8 * rows["raw", False]["action"]["accuracy"]
        shown, left = (row["privacy"]["frame"]["accuracy"] for row in (difference, moments))
        assert left <= 0.5 * shown

    def test_the_adversary_made_the_difference(self, rows: dict[tuple[str, bool], dict[str, Any]]):
        plain, trained = (rows["bdq", adversarial]["privacy"]["frame"] for adversarial in (0, 1))
        assert trained["accuracy"] < plain["accuracy"]

    def test_the_encoder_is_the_trained_one(
        self, quickstart_run: Path, rows: dict[tuple[str, bool], dict[str, Any]]
    ):
        spec = EncoderSpec.read(quickstart_run / "encoder.json")
        assert spec == EncoderSpec.model_validate(rows["bdq", True]["encoder"])
        assert spec.settings.boundaries != EncoderSpec.untrained(range=0.1).settings.boundaries

    def test_the_report_needs_nothing_else(self, quickstart_run: Path):
        page = (quickstart_run / "report.html").read_text(encoding="utf-8")
        addresses = re.findall(r"(?:src|href|poster)\s*=\s*[\"']([^\"']*)", page)
        addresses += re.findall(r"url\(([^)]*)\)|@import", page)
        assert addresses
        assert all(address.startswith("data:") for address in addresses)
        assert "<script" not in page
        assert (quickstart_run / "timeline.png").stat().st_size > 10_000
        video = base64.b64encode((quickstart_run / "veiled.mp4").read_bytes()).decode()
        assert f"data:video/mp4;base64,{video}" in page

    def test_the_veiled_video_plays(self, quickstart_run: Path, result: dict[str, Any]):
        source = result["rows"][0]["predictions"][0]["clip"].rpartition("#")[0]
        frames = list(read_frames(quickstart_run / "veiled.mp4"))
        assert len(frames) == count_frames(quickstart_run / "actors" / "seed0" / source)
        assert frames[0].image.std() < 2  # the neutral frame shows nothing
        assert max(frame.image.std() for frame in frames) > 5  # but the video shows motion


@pytest.mark.slow
@pytest.mark.timeout(1800)
class TestRecogniser:
    """What the quickstart leaves names the actions of a held-out session, frame by frame."""

    @pytest.fixture
    def data(self, quickstart_run: Path) -> Path:
        return quickstart_run / "actors" / "seed0"

    def test_it_is_calibrated(self, quickstart_run: Path):
        stored = json.loads((quickstart_run / "recogniser" / "recogniser.json").read_text("utf-8"))
        scores = stored["scores"]
        assert scores["accuracy"]["accuracy"] > 0.9
        assert scores["named_accuracy"] >= scores["accuracy"]["accuracy"]
        assert scores["named"] > 0.8
        assert scores["calibration_error"] < 0.1
        assert stored["calibration"]["clips"] > 100

    def test_it_names_the_actions_of_sessions(self, quickstart_run: Path, data: Path):
        truth: dict[str, list[tuple[float, float, str]]] = {}
        with (data / "manifest.csv").open(encoding="utf-8", newline="") as file:
            lines = (line for line in file if not line.startswith("#"))
            for row in csv.DictReader(lines):
                if row["split"] == "validation":
                    span = (int(row["start"]) / 15, int(row["end"]) / 15, row["action"])
                    truth.setdefault(row["path"], []).append(span)
        sessions = sorted(truth)[:15]
        command = [sys.executable, "-m", "motionveil", "recognise", "--json"]
        command += [str(data / session) for session in sessions]
        done = subprocess.run(
            [*command, "--model", str(quickstart_run)],
            env=GIVEN,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        events = [json.loads(line) for line in done.stdout.splitlines()]
        found = total = 0
        for session in sessions:
            for start, end, action in truth[session]:
                total += 1
                found += any(
                    event["label"] == action
                    and event["source"].endswith(session)
                    and event["state"] == "ends"
                    and min(end, event["to"]) - max(start, event["from"]) > 0.25 * (end - start)
                    for event in events
                )
        assert total == 120
        # About 0.8 are found. Squatting and standing up, one right after the other, are what is
        # lost, and how many of them differs from training to training.
        assert found >= 0.6 * total
