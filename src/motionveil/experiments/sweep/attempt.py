"""Running one cell: the same function on this machine and on Ray."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event

from motionveil.errors import MotionveilError
from motionveil.experiments.sweep.cells import Cell, Record, claim, read_record, write_record

TETHER = "motionveil.experiments.sweep.tether"
_TICK = 0.1
"""Seconds between two looks at whether the cell shall stop."""


@dataclass(frozen=True)
class Task:
    """A cell that shall be run, and how.

    Attributes:
        cell: The cell; its folder is absolute, since a worker of Ray's has a folder of its own.
        threads: OMP_NUM_THREADS of the command.
        here: The folder that relative paths of the command start from.
        tried: Attempts after which a failed cell is tried again. One that has failed since is
            left alone: another sweep, or a first start of this task, has tried it already.
        program: What runs a cell's words; None for the motionveil of the Python that runs this.
    """

    cell: Cell
    threads: str
    here: str
    tried: int = 0
    program: tuple[str, ...] | None = None


def run_cell(task: Task, stop: Event | None = None) -> Record | None:
    """Run a cell, unless it is done, has failed already, or is being run by someone else.

    Args:
        task: The cell and how it is run.
        stop: Ends the command when it is set; the cell goes on in a later sweep.

    Returns:
        The record as it is now; None where another process holds the cell.

    Raises:
        MotionveilError: The folder cannot be written, or holds a cell with other words.
    """
    cell = task.cell
    with claim(cell) as held:
        if held is None:
            return None
        # Only now: whoever held the cell before us may have finished it a moment ago.
        before = read_record(cell) or Record(words=cell.words, key=cell.key, status="stopped")
        if before.status == "done" or (before.status == "failed" and before.attempts != task.tried):
            return before
        attempt = before.model_copy(
            update={"status": "running", "attempts": before.attempts + 1, "fault": None}
        )
        write_record(cell, attempt)
        began = time.monotonic()
        exit_status = None
        try:
            exit_status = _execute(task, held, stop)
        finally:
            ended = {
                "status": _status_of(exit_status),
                "exit_status": exit_status,
                "seconds": before.seconds + time.monotonic() - began,
            }
            after = write_record(cell, attempt.model_copy(update=ended))
        return after


def give_up(cell: Cell, fault: str) -> Record | None:
    """Record that a cell failed without a chance to say so itself, as when its workers died.

    Returns:
        The record; None where another process holds the cell.
    """
    with claim(cell) as held:
        if held is None:
            return None
        before = read_record(cell) or Record(words=cell.words, key=cell.key, status="stopped")
        if before.status == "done":
            return before
        return write_record(cell, before.model_copy(update={"status": "failed", "fault": fault}))


def _status_of(exit_status: int | None) -> str:
    if exit_status is None:
        return "stopped"
    return "failed" if exit_status else "done"


def _execute(task: Task, held: int, stop: Event | None) -> int | None:
    """Run the command to its end and return its exit status; None when it was stopped."""
    program = task.program or (sys.executable, "-m", "motionveil")
    words = [*task.cell.words, *_resuming(task.cell), "--out", str(task.cell.folder)]
    with task.cell.log.open("ab") as log:
        log.write(f"$ {shlex.join(['motionveil', *words])}\n".encode())
        log.flush()
        try:
            command = subprocess.Popen(
                [sys.executable, "-m", TETHER, str(held), *program, *words],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(held,),
                env={**os.environ, "OMP_NUM_THREADS": task.threads},
                cwd=task.here,
                start_new_session=True,  # Ctrl-C is for us; we stop the command in our own way
            )
        except OSError as error:
            raise MotionveilError(f"{task.here}: cannot run a cell here: {error}") from error
    try:
        while stop is None or not stop.is_set():
            try:
                return command.wait(_TICK)
            except subprocess.TimeoutExpired:
                continue
        return None
    finally:
        assert command.stdin is not None  # for the type checker: it is a pipe
        command.stdin.close()  # which stops the command, if it still runs
        command.wait()


def _resuming(cell: Cell) -> Sequence[str]:
    """Return what makes a command go on where it was; only `train` has to be told."""
    has_begun = cell.words[0] == "train" and (cell.folder / "checkpoints").exists()
    return ["--resume"] if has_begun else []
