"""Jobs that resume: one folder per job, with its question, its status and its value.

A job is asked by a JSON value, its question. `job.json` in its folder holds the question's hash, so
that a value is only ever returned for the question that it answers. Several processes may share a
folder: files are replaced whole, and a lock keeps a job from running twice at once.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from motionveil.atomic_write import write_text_atomically
from motionveil.errors import MotionveilError
from motionveil.limits import load_json

Status = Literal["to do", "running", "stopped", "failed", "done", "damaged"]
T = TypeVar("T")


@dataclass(frozen=True)
class Record:
    """What is known of a job.

    Attributes:
        status: `running` while a live process holds the job's lock; `stopped` if it was begun and
            nobody holds it; `damaged` if its file cannot be read.
        value: What a finished job gave, as JSON.
        reason: Why it failed.
        seconds: Wall time of all attempts.
        attempts: How often it was started.
    """

    status: Status
    value: Any = None
    reason: str | None = None
    seconds: float = 0.0
    attempts: int = 0


@dataclass(frozen=True)
class Job:
    """One job of a store.

    Args:
        question: All that its value depends on, as JSON.

    Example:
        >>> job = Job(Path("runs/rows/bdq"), {"method": "bdq", "seed": 0})  # doctest: +SKIP
        >>> value = job.get() or job.put(measure())  # doctest: +SKIP
    """

    folder: Path
    question: Any

    @property
    def key(self) -> str:
        """SHA-256 of the question as canonical JSON."""
        return hashlib.sha256(json.dumps(self.question, sort_keys=True).encode()).hexdigest()

    @property
    def file(self) -> Path:
        """Where the record lies."""
        return self.folder / "job.json"

    def get(self, parse: Callable[[Any], T] = lambda value: value) -> T | None:
        """Return the value; None if the job is not done or its folder answers another question.

        Args:
            parse: From JSON to the value; may raise ValueError. An unreadable value is reported on
                stderr and counts as none.
        """
        try:
            key, _, record = self._load()
            done = key == self.key and record.status == "done"
            return parse(record.value) if done else None
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            print(f"warning: {self.file}: cannot be read; the job is run again", file=sys.stderr)
            return None

    def put(self, value: T) -> T:
        """Store a JSON value as the job's, and return it."""
        self.write(Record("done", value))
        return value

    def read(self) -> Record:
        """Return the record.

        Raises:
            MotionveilError: The folder belongs to another question, or cannot be read.
        """
        try:
            key, question, record = self._load()
        except FileNotFoundError:
            return Record("to do")
        except ValueError:
            return Record("damaged")
        except OSError as error:
            raise MotionveilError(f"{self.file}: cannot read it: {error.strerror}") from error
        if key != self.key:
            raise MotionveilError(
                f"{self.file}: the folder holds another job: {json.dumps(question)}, not"
                f" {json.dumps(self.question)}; choose another --out, or remove the folder"
            )
        if record.status != "running":
            return record
        with self.lock() as held:
            return record if held is None else replace(record, status="stopped")

    def write(self, record: Record) -> Record:
        """Replace the record, whole or not at all, and return it."""
        stored = {"key": self.key, "question": self.question, **asdict(record)}
        write_text_atomically(self.file, json.dumps(stored) + "\n")
        return record

    def _load(self) -> tuple[str, Any, Record]:
        """Return what the file holds; raises ValueError if it is damaged."""
        stored = load_json(self.file.read_text(encoding="utf-8"))
        try:
            record = Record(**{field.name: stored[field.name] for field in fields(Record)})
            if record.status in get_args(Status) and isinstance(stored["key"], str):
                return stored["key"], stored["question"], record
        except (KeyError, TypeError):
            pass
        raise ValueError("no record of a job")

    @contextmanager
    def lock(self) -> Iterator[int | None]:
        """Hold the job while the block runs, or while a process lives that inherited the lock.

        The lock is an flock of the file `lock`, which the system releases when its holders have
        ended, however they end. The file stays: removing it could let two processes lock two files
        of the same name.

        Yields:
            The lock's descriptor, for `pass_fds`; None if another process holds the job.

        Raises:
            MotionveilError: The folder cannot be written, or its file system has no locks.
        """
        if sys.platform == "win32":
            raise MotionveilError("jobs are locked by flock, which Windows does not have")
        import fcntl

        path = self.folder / "lock"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise MotionveilError(f"{path}: cannot write here: {error.strerror}") from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
                return
            except OSError as error:
                raise MotionveilError(
                    f"{path}: this file system cannot lock files ({error.strerror}), so a job could"
                    " run twice at once; choose an --out that can"
                ) from error
            yield descriptor
        finally:
            os.close(descriptor)
