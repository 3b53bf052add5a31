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

from experiments.sweep_examples import Bench, grid_of
from motionveil.errors import MotionveilError
from motionveil.experiments.sweep.attempt import TETHER, Task, run_cell
from motionveil.experiments.sweep.cells import claim, read_record, standing
from motionveil.experiments.sweep.local import LocalEngine
from motionveil.experiments.sweep.run import Outcome, Progress, look, run_sweep
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
        words = [str(bench.folder), str(len(bench.cells)), str(jobs)]
        command = [sys.executable, "-m", "experiments.sweep_examples", *words]
        process = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": str(TESTS)},
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        begun.append(process)
        return process

    yield begin
    for process in begun:
        process.kill()
        process.communicate()


def sweep(bench: Bench, jobs: int = 1, **options: Any) -> list[Outcome]:
    engine = LocalEngine(jobs)
    return run_sweep(bench.cells, bench.out, engine, program=bench.program, **options)


def test_every_cell_is_run_in_its_own_folder(bench: Bench) -> None:
    outcomes = sweep(bench, jobs=2, threads="3")
    assert [o.status for o in outcomes] == ["done"] * 2
    bench.assert_once()
    for number, cell in enumerate(bench.cells):
        assert (cell.folder / "result.txt").read_text() == f"tradeoff m.csv --seed {number}"
        log = cell.log.read_text()
        assert log.startswith("$ motionveil tradeoff m.csv --seed")
        assert f"working in {cell.name} with 3 threads" in log
        record = read_record(cell)
        assert record is not None
        assert (record.status, record.exit_status, record.attempts) == ("done", 0, 1)
        assert record.words == cell.words
        assert record.seconds > 0
    stored = json.loads((bench.out / "sweep.json").read_text())["cells"]
    assert [(c["name"], c["status"]) for c in stored] == [(c.name, "done") for c in bench.cells]


def test_done_cells_are_skipped(bench: Bench) -> None:
    sweep(bench)
    assert [o.status for o in sweep(bench)] == ["done"] * 2
    bench.assert_once()


def test_a_longer_axis_runs_only_what_is_new(bench: Bench) -> None:
    sweep(bench)
    bench.cells = grid_of(axes={"--seed": [0, 1, 2]}).cells(bench.out)
    sweep(bench)
    bench.assert_once()


def test_a_failed_cell_stops_no_other_and_is_retried_on_request(bench: Bench) -> None:
    bench.tell("fail-seed=1")
    statuses = [o.status for o in sweep(bench)]
    assert statuses == ["done", "failed"]
    record = read_record(bench.cells[1])
    assert record is not None
    assert record.exit_status == 3
    assert "the data are missing" in bench.cells[1].log.read_text()
    bench.untell()
    assert [o.status for o in sweep(bench)] == statuses, "not asked for"
    assert bench.notes("begin").count("seed=1") == 1
    assert [o.status for o in sweep(bench, retry=True)] == ["done"] * 2
    bench.assert_once()
    retried = read_record(bench.cells[1])
    assert retried is not None
    assert (retried.attempts, retried.exit_status) == (2, 0)


def test_a_retried_cell_may_fail_again_once(bench: Bench) -> None:
    bench.tell("fail-seed=1")
    sweep(bench)
    sweep(bench, retry=True)
    assert bench.notes("begin").count("seed=1") == 2


def test_other_words_in_the_same_folder_are_refused_before_anything_runs(bench: Bench) -> None:
    sweep(bench)
    grid = grid_of(arguments=["other.csv"], axes={"--seed": [9, 1]})
    bench.cells = grid.cells(bench.out)
    with pytest.raises(MotionveilError, match=r"seed=1/cell\.json: the folder holds another run"):
        sweep(bench)
    assert "seed=9" not in bench.notes("begin")


@pytest.mark.parametrize("damage", ['{"status": "done"}', b"\xff"])
def test_a_damaged_record_is_said_and_the_cell_run_again(
    bench: Bench, damage: str | bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep(bench)
    file = bench.cells[0].file
    file.write_bytes(damage if isinstance(damage, bytes) else damage.encode())
    assert standing(bench.cells[0]) == "damaged"
    assert [o.status for o in sweep(bench)] == ["done"] * 2
    assert capsys.readouterr().err.count(f"{file}: cannot be read; the cell is run again") == 1
    assert bench.notes("begin").count("seed=0") == 2
    assert bench.notes("begin").count("seed=1") == 1


def test_progress_counts_the_cells(bench: Bench) -> None:
    bench.tell("fail-seed=1")
    told: list[Progress] = []
    sweep(bench, progress=told.append)
    assert (told[0].total, told[0].done, told[0].seconds_left) == (2, 0, None)
    last = told[-1]
    assert (last.done, last.failed, last.running) == (1, 1, 0)
    assert str(last) == "1 of 2 done, 1 failed"
    assert str(Progress(12, 3, 1, 2, 60.0)) == "3 of 12 done, 1 failed, 2 running"


def test_a_held_cell_is_left_alone(bench: Bench) -> None:
    cell = bench.cells[0]
    with claim(cell):
        task = Task(cell, threads="1", here=str(bench.folder), program=bench.program)
        assert run_cell(task) is None
    assert read_record(cell) is None
    assert bench.notes("begin") == []


@pytest.mark.slow
def test_a_held_cell_is_waited_for_and_not_run(bench: Bench) -> None:
    """As another sweep does: it holds the cell, finishes it, and lets it go."""
    sweep(bench)
    record = read_record(bench.cells[0])
    assert record is not None
    bench.cells[0].file.unlink()
    with claim(bench.cells[0]) as held:
        assert held is not None
        told: list[Progress] = []

        def tell(progress: Progress) -> None:
            told.append(progress)
            if len(told) == 2:
                bench.cells[0].file.write_text(record.model_dump_json())
                fcntl.flock(held, fcntl.LOCK_UN)

        assert [o.status for o in sweep(bench, progress=tell)] == ["done"] * 2
    bench.assert_once()


@pytest.mark.slow
def test_two_sweeps_at_once_share_the_cells(bench: Bench, start: Any) -> None:
    bench.tell("hold-seed=0", "hold-seed=1")
    first, second = start(), start()
    until(lambda: len(bench.notes("step2")) == 2)
    bench.untell()
    assert first.wait(PATIENCE) == 0
    assert second.wait(PATIENCE) == 0
    assert [o.status for o in look(bench.cells)] == ["done"] * 2
    bench.assert_once()


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)]
)
def test_a_sweep_that_is_stopped_or_killed_goes_on(
    bench: Bench, start: Any, number: signal.Signals
) -> None:
    """What was done stays done, no cell runs on alone, and a stale claim holds nothing up."""
    bench.tell("hold-seed=1")
    process = start(jobs=2)
    until(lambda: standing(bench.cells[0]) == "done" and "seed=1" in bench.notes("step2"))
    process.send_signal(number)
    assert process.wait(PATIENCE) != 0
    until(lambda: standing(bench.cells[1]) == "stopped")
    for cell in bench.processes("begin"):
        with pytest.raises(ProcessLookupError):
            os.kill(cell, 0)
    bench.untell()
    assert [o.status for o in sweep(bench)] == ["done"] * 2
    bench.assert_once()
    assert sorted(bench.notes("begin")) == ["seed=0", "seed=1", "seed=1"]


@pytest.mark.slow
def test_a_cell_whose_process_is_killed_has_failed(bench: Bench, start: Any) -> None:
    bench.tell("hold-seed=0")
    process = start()
    until(lambda: bench.notes("step2"))
    os.kill(bench.processes("step2")[0], signal.SIGKILL)
    assert process.wait(PATIENCE) == 0
    assert [o.status for o in look(bench.cells)] == ["failed", "done"]
    record = read_record(bench.cells[0])
    assert record is not None
    assert record.exit_status == 128 + signal.SIGKILL
    bench.untell()
    assert [o.status for o in sweep(bench, retry=True)] == ["done"] * 2
    bench.assert_once()


def test_looking_changes_nothing(bench: Bench) -> None:
    assert [o.status for o in look(bench.cells)] == ["to do"] * 2
    assert not bench.out.exists()


def test_a_folder_that_cannot_be_made_is_an_error(bench: Bench) -> None:
    bench.out.write_text("a file")
    with pytest.raises(MotionveilError, match="out"):
        sweep(bench)
    assert bench.notes("begin") == []


def test_train_is_resumed_when_it_has_begun(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "bench")
    bench.cells = grid_of(command="train", axes={"--seed": [0, 1]}).cells(bench.out)
    (bench.cells[1].folder / "checkpoints").mkdir(parents=True)
    sweep(bench)
    results = [(cell.folder / "result.txt").read_text() for cell in bench.cells]
    assert results == ["train m.csv --seed 0", "train m.csv --seed 1 --resume"]


def test_needs_no_torch() -> None:
    modules = ("run", "local", "ray_engine", "grid")
    code = "".join(f"import motionveil.experiments.sweep.{name};" for name in modules)
    code += "import motionveil.cli.sweep, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells a process of its parent's end"
)
def test_a_command_does_not_outlive_its_tether(tmp_path: Path) -> None:
    """As when Ray kills everything below a worker, and leaves the tether no time to stop it."""
    sleeping = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    with (tmp_path / "claim").open("w") as claim:
        tether = subprocess.Popen(
            [sys.executable, "-m", TETHER, str(claim.fileno()), sys.executable, "-c", sleeping],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(claim.fileno(),),
        )
        assert tether.stdout is not None
        command = int(tether.stdout.readline())
        tether.kill()
        tether.wait(PATIENCE)
    until(lambda: not is_running(command))


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
