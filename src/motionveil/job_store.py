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
from contextlib import contextmanager, suppress
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

    Examples:
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
        path = self.folder / "lock"
        descriptor, held = _flock(path)
        try:
            if isinstance(held, OSError):
                raise MotionveilError(
                    f"{path}: this file system cannot lock files ({held.strerror}), so a job could"
                    " run twice at once; choose an --out that can"
                ) from held
            yield descriptor if held else None
        finally:
            os.close(descriptor)


@contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """Keep a folder from other runs while the block runs.

    The lock ends with the process, however that ends, and leaves nothing in the folder. Where the
    file system cannot lock files, nothing is locked.

    Raises:
        MotionveilError: Another run is using the folder, or it cannot be written.
    """
    if sys.platform == "win32":
        yield
        return
    path = folder / ".in-use"
    while True:
        descriptor, held = _flock(path)
        # The previous holder may have removed the file that was opened here.
        if held is False or _is_at(descriptor, path):
            break
        os.close(descriptor)
    try:
        if held is False:
            raise MotionveilError(f"{folder}: another run is using this folder; choose another")
        yield
    finally:
        if held is not False:
            path.unlink(missing_ok=True)
            with suppress(OSError):  # it is not empty
                folder.rmdir()
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _flock(path: Path) -> tuple[int, bool | OSError]:
    """Return a descriptor, and whether it holds the lock, or why nothing can be locked."""
    if sys.platform == "win32":
        raise MotionveilError("jobs are locked by flock, which Windows does not have")
    import fcntl

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise MotionveilError(f"{path}: cannot write here: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return descriptor, False
    except OSError as error:
        return descriptor, error
    return descriptor, True
