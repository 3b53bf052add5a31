"""The built-in data must be an honest test bed: neither too easy nor too hard to mean anything.

Trains the small networks for some minutes: slow.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from motionveil.results import Result
from threads import GIVEN

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "actors_test_bed.py"
PEOPLE = 10


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_raw_video_gives_both_one_frame_no_action_and_a_difference_the_identity(
    quickstart_run: Path, tmp_path: Path
):
    measured = tmp_path / "figures.json"
    words = ["--data", str(quickstart_run / "actors"), "--without-raw", "--json", str(measured)]
    subprocess.run([sys.executable, str(BENCHMARK), *words], check=True, env=GIVEN)
    figures = {name: value["accuracy"] for name, value in json.loads(measured.read_text()).items()}
    (raw,) = (row for row in Result.read(quickstart_run).rows if row.method == "raw")

    assert raw.action.accuracy >= 0.95
    assert raw.privacy.frame.accuracy >= 0.95
    assert figures["one frame of raw video, action"] < 0.70
    assert figures["frame difference, identity by frame"] >= 3 / PEOPLE
