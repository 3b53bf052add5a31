"""One run of a sweep: a command in a process of its own, on this machine or on a Ray worker."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event

from motionveil.errors import MotionveilError
from motionveil.job_store import Job, Record

_TICK = 0.1
"""Seconds between two looks at whether the run shall stop."""

_SIGNALS = ((signal.SIGINT, 10.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, None))
"""The signals that stop a command, each with the seconds that it has to obey."""

_START = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: it ends with its parent
    if os.getppid() != int(sys.argv[1]):
        sys.exit("the sweep has ended")
signal.signal(signal.SIGINT, signal.SIG_DFL)  # shells and Ray may have Ctrl-C ignored
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Becomes the command. No `preexec_fn`, which is unsafe where there are threads."""


@dataclass(frozen=True)
class SweepRun:
    """One run of a sweep.

    Attributes:
        folder: Its folder, named by its values: `seed=0,adversarial.lr=0.003`.
        words: The command and its arguments, without `--out`.
        values: The values of the axes, by axis, as text.
    """

    folder: Path
    words: tuple[str, ...]
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.name

    @property
    def job(self) -> Job:
        """Where its record is stored."""
        return Job(self.folder, list(self.words))

    @property
    def log(self) -> Path:
        """What the command printed, in all attempts."""
        return self.folder / "log.txt"


@dataclass(frozen=True)
class Task:
    """A run that shall be carried out, and how.

    Attributes:
        run: The run; its folder is absolute, since a Ray worker has another working directory.
        threads: OMP_NUM_THREADS of the command.
        directory: Working directory of the command.
        tried: Attempts after which a failed run is tried again. One with more has been tried by
            another sweep, or by a first start of this task, and is left alone.
        program: What runs the words; None for the motionveil of this Python.
    """

    run: SweepRun
    threads: str
    directory: str
    tried: int = 0
    program: tuple[str, ...] | None = None


def run_job(task: Task, stop: Event | None = None) -> Record | None:
    """Carry out a run, unless it is done, has failed already, or is held by another process.

    Args:
        task: The run and how it is carried out.
        stop: Stops the command when set; a later sweep resumes the run.

    Returns:
        The record as it is now; None if another process holds the run.

    Raises:
        MotionveilError: The folder cannot be written, or holds another run.
    """
    job = task.run.job
    with job.lock() as held:
        if held is None:
            return None
        # Only now: whoever held the run before may have finished it a moment ago.
        before = job.read()
        if before.status == "done" or (before.status == "failed" and before.attempts != task.tried):
            return before
        attempt = replace(before, status="running", attempts=before.attempts + 1, reason=None)
        job.write(attempt)
        began, exit_status = time.monotonic(), None
        try:
            exit_status = _execute(task, held, stop)
        finally:
            attempt = replace(attempt, seconds=before.seconds + time.monotonic() - began)
            record = job.write(_ended(attempt, exit_status, task.run.log))
        return record


def give_up(run: SweepRun, reason: str, patience: float = 30.0) -> Record | None:
    """Record the failure of a run whose process could not do so, once it is free.

    Returns:
        The record; None if another process still holds the run after `patience` seconds.
    """
    end = time.monotonic() + patience
    while time.monotonic() < end:
        with run.job.lock() as held:
            if held is not None:
                record = run.job.read()
                if record.status != "done":
                    record = run.job.write(replace(record, status="failed", reason=reason))
                return record
        time.sleep(0.5)
    return None


def _ended(attempt: Record, exit_status: int | None, log: Path) -> Record:
    if exit_status is None:
        return replace(attempt, status="stopped")
    if exit_status == 0:
        return replace(attempt, status="done", value={"exit_status": 0})
    if exit_status < 0:
        reason = f"killed by {signal.Signals(-exit_status).name}"
    else:
        last = (last_lines(log, 1) or [f"exit status {exit_status}"])[0]
        reason = last.strip().removeprefix("motionveil: error: ")
    return replace(attempt, status="failed", value={"exit_status": exit_status}, reason=reason)


def last_lines(log: Path, count: int) -> list[str]:
    """Return the last lines of a log; of progress that overwrites itself, the last state."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [line for line in lines if line.strip()][-count:]


def _execute(task: Task, held: int, stop: Event | None) -> int | None:
    """Run the command to its end and return its exit status; None when it was stopped."""
    run = task.run
    program = task.program or (sys.executable, "-m", "motionveil")
    words = [*run.words, *_resume(run), "--out", str(run.folder)]
    with run.log.open("ab") as log:
        log.write(f"$ {shlex.join(['motionveil', *words])}\n".encode())
        log.flush()
        try:
            command = subprocess.Popen(
                [sys.executable, "-c", _START, str(os.getpid()), *program, *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(held,),  # the run is held for as long as its command lives
                env={**os.environ, "OMP_NUM_THREADS": task.threads},
                cwd=task.directory,
                start_new_session=True,  # Ctrl-C reaches the sweep only, which stops the command
            )
        except OSError as error:
            raise MotionveilError(f"{task.directory}: cannot run here: {error}") from error
    try:
        while stop is None or not stop.is_set():
            try:
                return command.wait(_TICK)
            except subprocess.TimeoutExpired:
                continue
        return None
    finally:
        _stop(command)


def _stop(command: subprocess.Popen[bytes]) -> None:
    """Stop a command and the processes of its session, if it still runs."""
    for number, patience in _SIGNALS:
        if command.poll() is not None:
            return
        os.killpg(command.pid, number)
        try:
            command.wait(patience)
        except subprocess.TimeoutExpired:
            continue


def _resume(run: SweepRun) -> Sequence[str]:
    """Return the option that makes a command resume; only `train` needs one."""
    has_begun = run.words[0] == "train" and (run.folder / "checkpoints").exists()
    return ["--resume"] if has_begun else []
