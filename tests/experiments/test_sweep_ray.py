"""Sweeps on a real Ray cluster of this machine; it takes seconds to start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.sweep_examples import Bench, is_running
from motionveil.errors import MotionveilError
from motionveil.experiments.sweep.run import (
    Engine,
    local_engine,
    ray_engine,
    read_records,
    run_sweep,
)
from programs import PATIENCE, until

pytestmark = pytest.mark.slow

ray = pytest.importorskip("ray")


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a cluster of two cores and a GPU that is not there, which Ray believes in."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # listens to this machine only
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "num_gpus": 1})
    yield cluster.address
    cluster.shutdown()


def status_of(bench: Bench) -> list[str]:
    return [record.status for _, record in read_records(bench.runs)]


def owner_of(process: int) -> int:
    """Return the worker that carries out a run: the parent of its process."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def sweep_apart(bench: Bench, engine: Engine) -> threading.Thread:
    options = {"program": bench.program}
    thread = threading.Thread(
        target=run_sweep, args=(bench.runs, bench.out, engine), kwargs=options, daemon=True
    )
    thread.start()
    return thread


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds a parent by /proc")
def test_a_worker_killed_in_the_middle_loses_nothing(cluster: str, tmp_path: Path) -> None:
    bench = Bench(tmp_path / "bench", seeds=5)
    killed = "seed=3"
    bench.tell(f"hold-{killed}")
    sweep = sweep_apart(bench, ray_engine(cluster))
    until(lambda: killed in bench.notes("step2") and len(bench.notes("end")) == 4)
    process = dict(zip(bench.notes("step2"), bench.processes("step2"), strict=True))[killed]
    os.kill(owner_of(process), signal.SIGKILL)
    until(lambda: bench.notes("begin").count(killed) == 2)
    until(lambda: not is_running(process))
    bench.untell()
    sweep.join(60)
    assert status_of(bench) == ["done"] * 5
    bench.assert_once()
    assert sorted(bench.notes("begin")) == sorted([*(run.name for run in bench.runs), killed])
    attempts = {run.name: run.job.read().attempts for run in bench.runs}
    assert attempts == {run.name: 1 + (run.name == killed) for run in bench.runs}


def test_fractions_of_a_gpu_run_at_once(cluster: str, tmp_path: Path) -> None:
    bench = Bench(tmp_path / "bench", seeds=3)
    bench.tell(*(f"hold-{run.name}" for run in bench.runs))
    sweep = sweep_apart(bench, ray_engine(cluster, gpus=0.5))
    until(lambda: len(bench.notes("step2")) == 2)
    bench.untell()
    sweep.join(60)
    assert status_of(bench) == ["done"] * 3
    bench.assert_once()


def test_both_engines_leave_the_same(cluster: str, tmp_path: Path) -> None:
    here, there = Bench(tmp_path / "here"), Bench(tmp_path / "there")
    for bench in (here, there):
        bench.tell("fail-seed=1")
    run_sweep(here.runs, here.out, local_engine(), program=here.program)
    run_sweep(there.runs, there.out, ray_engine(cluster), program=there.program)
    assert status_of(here) == status_of(there) == ["done", "failed"]
    results = [bench.runs[0].folder / "result.txt" for bench in (here, there)]
    assert results[0].read_text() == results[1].read_text()
    records = [bench.runs[1].job.read() for bench in (here, there)]
    assert [record.value for record in records] == [{"exit_status": 3}] * 2


def test_a_cluster_that_is_not_there_is_named() -> None:
    with pytest.raises(MotionveilError, match=r"127\.0\.0\.1:1: no Ray cluster listens here"):
        ray_engine("127.0.0.1:1").__enter__()


def test_more_than_the_machine_has_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(MotionveilError, match="a run asks for 9 GPU, this machine has"):
        ray_engine(gpus=9).__enter__()
    assert not ray.is_initialized()


def test_a_sweep_that_is_interrupted_stops_its_runs_and_resumes(tmp_path: Path) -> None:
    """On a cluster of its own, as without `--address`."""
    bench = Bench(tmp_path / "bench")
    bench.tell("hold-seed=1")
    process = subprocess.Popen(
        [sys.executable, "-m", "experiments.sweep_examples", str(bench.folder), "2", "ray"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until(lambda: status_of(bench)[0] == "done" and "seed=1" in bench.notes("step2"))
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) != 0
    finally:
        process.kill()
    assert status_of(bench) == ["done", "stopped"]
    until(lambda: not is_running(bench.processes("step2")[-1]))
    bench.untell()
    run_sweep(bench.runs, bench.out, local_engine(), program=bench.program)
    bench.assert_once()
