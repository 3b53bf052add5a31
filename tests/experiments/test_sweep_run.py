"""Sweeps on one machine: what is run, what is skipped, and that nothing runs twice."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments.sweep_examples import Bench, grid_of, is_running
from motionveil.errors import MotionveilError
from motionveil.experiments.sweep.run import (
    Recorded,
    SweepProgress,
    local_engine,
    read_records,
    run_sweep,
)
from motionveil.experiments.sweep.run_job import Task, run_job
from programs import PATIENCE, until

TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "bench")


@pytest.fixture
def start(bench: Bench) -> Iterator[Any]:
    """Starts a sweep of the bench in a process, and in a process group, of its own."""
    begun: list[subprocess.Popen[bytes]] = []

    def begin(jobs: int = 1) -> subprocess.Popen[bytes]:
        words = [str(bench.folder), str(len(bench.runs)), str(jobs)]
        command = [sys.executable, "-m", "experiments.sweep_examples", *words]
        process = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])},
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        begun.append(process)
        return process

    yield begin
    for process in begun:
        process.kill()
        process.communicate()


def sweep(bench: Bench, jobs: int = 1, **options: Any) -> Recorded:
    engine = local_engine(jobs)
    return run_sweep(bench.runs, bench.out, engine, program=bench.program, **options)


def statuses(recorded: Recorded) -> list[str]:
    return [record.status for _, record in recorded]


def test_every_run_is_carried_out_in_its_own_folder(bench: Bench) -> None:
    outcomes = sweep(bench, jobs=2, threads="3")
    assert statuses(outcomes) == ["done"] * 2
    bench.assert_once()
    for number, run in enumerate(bench.runs):
        assert (run.folder / "result.txt").read_text() == f"tradeoff m.csv --seed {number}"
        log = run.log.read_text()
        assert log.startswith("$ motionveil tradeoff m.csv --seed")
        assert f"working in {run.name} with 3 threads" in log
        record = run.job.read()
        assert (record.status, record.value, record.attempts) == ("done", {"exit_status": 0}, 1)
        assert record.seconds > 0
    stored = json.loads((bench.out / "sweep.json").read_text())["runs"]
    assert [(c["name"], c["status"]) for c in stored] == [(c.name, "done") for c in bench.runs]


def test_done_runs_are_skipped(bench: Bench) -> None:
    sweep(bench)
    assert statuses(sweep(bench)) == ["done"] * 2
    bench.assert_once()


def test_a_longer_axis_runs_only_what_is_new(bench: Bench) -> None:
    sweep(bench)
    bench.runs = grid_of(axes={"--seed": [0, 1, 2]}).runs(bench.out)
    sweep(bench)
    bench.assert_once()


def test_a_failed_run_stops_no_other_and_is_retried_on_request(bench: Bench) -> None:
    bench.tell("fail-seed=1")
    before = statuses(sweep(bench))
    assert before == ["done", "failed"]
    record = bench.runs[1].job.read()
    assert record.value == {"exit_status": 3}
    assert record.reason == "the data are missing"
    assert "the data are missing" in bench.runs[1].log.read_text()
    bench.untell()
    assert statuses(sweep(bench)) == before, "not asked for"
    assert bench.notes("begin").count("seed=1") == 1
    assert statuses(sweep(bench, retry=True)) == ["done"] * 2
    bench.assert_once()
    retried = bench.runs[1].job.read()
    assert (retried.attempts, retried.reason) == (2, None)


def test_a_retried_run_may_fail_again_once(bench: Bench) -> None:
    bench.tell("fail-seed=1")
    sweep(bench)
    sweep(bench, retry=True)
    assert bench.notes("begin").count("seed=1") == 2


def test_other_words_in_the_same_folder_are_refused_before_anything_runs(bench: Bench) -> None:
    sweep(bench)
    grid = grid_of(arguments=["other.csv"], axes={"--seed": [9, 1]})
    bench.runs = grid.runs(bench.out)
    with pytest.raises(MotionveilError, match=r"seed=1/job\.json: the folder holds another job"):
        sweep(bench)
    assert "seed=9" not in bench.notes("begin")


@pytest.mark.parametrize("damage", ['{"status": "done"}', b"\xff"])
def test_a_damaged_record_is_reported_and_the_run_repeated(
    bench: Bench, damage: str | bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep(bench)
    file = bench.runs[0].job.file
    file.write_bytes(damage if isinstance(damage, bytes) else damage.encode())
    assert bench.runs[0].job.read().status == "damaged"
    assert statuses(sweep(bench)) == ["done"] * 2
    assert capsys.readouterr().err.count(f"{file}: cannot be read; the job is run again") == 1
    assert bench.notes("begin").count("seed=0") == 2
    assert bench.notes("begin").count("seed=1") == 1


def test_progress_counts_the_runs(bench: Bench) -> None:
    bench.tell("fail-seed=1")
    told: list[SweepProgress] = []
    sweep(bench, progress=told.append)
    assert (told[0].total, told[0].done, told[0].seconds_left) == (2, 0, None)
    last = told[-1]
    assert (last.done, last.failed, last.running) == (1, 1, 0)
    assert str(last) == "1 of 2 done, 1 failed"
    assert str(SweepProgress(12, 3, 1, 2, 60.0)) == "3 of 12 done, 1 failed, 2 running"


def test_a_held_run_is_left_alone(bench: Bench) -> None:
    run = bench.runs[0]
    with run.job.lock():
        task = Task(run, threads="1", directory=str(bench.folder), program=bench.program)
        assert run_job(task) is None
    assert run.job.read().status == "to do"
    assert bench.notes("begin") == []


@pytest.mark.slow
def test_a_held_run_is_waited_for_and_not_run(bench: Bench) -> None:
    """As another sweep does: it holds the run, finishes it, and lets it go."""
    sweep(bench)
    record = bench.runs[0].job.read()
    bench.runs[0].job.file.unlink()
    with bench.runs[0].job.lock() as held:
        assert held is not None
        told: list[SweepProgress] = []

        def tell(progress: SweepProgress) -> None:
            told.append(progress)
            if len(told) == 2:
                bench.runs[0].job.write(record)
                fcntl.flock(held, fcntl.LOCK_UN)

        assert statuses(sweep(bench, progress=tell)) == ["done"] * 2
    bench.assert_once()


@pytest.mark.slow
def test_two_sweeps_at_once_share_the_runs(bench: Bench, start: Any) -> None:
    bench.tell("hold-seed=0", "hold-seed=1")
    first, second = start(), start()
    until(lambda: len(bench.notes("step2")) == 2)
    bench.untell()
    assert first.wait(PATIENCE) == 0
    assert second.wait(PATIENCE) == 0
    assert statuses(read_records(bench.runs)) == ["done"] * 2
    bench.assert_once()


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)]
)
def test_a_sweep_that_is_stopped_or_killed_resumes(
    bench: Bench, start: Any, number: signal.Signals
) -> None:
    """What was done stays done, no run continues alone, and a stale lock holds nothing up."""
    bench.tell("hold-seed=1")
    process = start(jobs=2)
    until(lambda: bench.runs[0].job.read().status == "done" and "seed=1" in bench.notes("step2"))
    process.send_signal(number)
    assert process.wait(PATIENCE) != 0
    until(lambda: bench.runs[1].job.read().status == "stopped")
    until(lambda: not any(map(is_running, bench.processes("begin"))))
    bench.untell()
    assert statuses(sweep(bench)) == ["done"] * 2
    bench.assert_once()
    assert sorted(bench.notes("begin")) == ["seed=0", "seed=1", "seed=1"]


@pytest.mark.slow
def test_a_run_whose_process_is_killed_has_failed(bench: Bench, start: Any) -> None:
    bench.tell("hold-seed=0")
    process = start()
    until(lambda: bench.notes("step2"))
    os.kill(bench.processes("step2")[0], signal.SIGKILL)
    assert process.wait(PATIENCE) == 0
    assert statuses(read_records(bench.runs)) == ["failed", "done"]
    record = bench.runs[0].job.read()
    assert record.reason == "killed by SIGKILL"
    bench.untell()
    assert statuses(sweep(bench, retry=True)) == ["done"] * 2
    bench.assert_once()


def test_looking_changes_nothing(bench: Bench) -> None:
    assert statuses(read_records(bench.runs)) == ["to do"] * 2
    assert not bench.out.exists()


def test_a_folder_that_cannot_be_made_is_an_error(bench: Bench) -> None:
    bench.out.write_text("a file")
    with pytest.raises(MotionveilError, match="out"):
        sweep(bench)
    assert bench.notes("begin") == []


def test_train_is_resumed_when_it_has_begun(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "bench")
    bench.runs = grid_of(command="train", axes={"--seed": [0, 1]}).runs(bench.out)
    (bench.runs[1].folder / "checkpoints").mkdir(parents=True)
    sweep(bench)
    results = [(run.folder / "result.txt").read_text() for run in bench.runs]
    assert results == ["train m.csv --seed 0", "train m.csv --seed 1 --resume"]
