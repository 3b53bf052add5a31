"""Jobs that resume: which are done, which are stale, and which are running.

A job is asked by a JSON value, its question: all that its result depends on. What it leaves is
known by the question's hash, and is stale when the question differs:

- `Job`, one folder per job: `job.json` holds the question, the status and the value. A lock keeps
  it from running twice concurrently. Rows of a comparison, runs of a sweep, attacks of an audit.
- `settle`, one folder for many files: a file says what question it was made for, and each file in
  it is done when it is there. Veiled folders.
- `hash_of` and `differences` for files that hold more than that: checkpoints, the log of a
  face-blurred copy, answers of a study.

Files are replaced whole (`atomic_write`), so one that is there is complete.
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

from motionveil.atomic_write import make_folder, try_lock, write_text_atomically
from motionveil.errors import MotionveilError
from motionveil.limits import load_json

_NAMED = 3
"""How many differences an error names."""

Status = Literal["to do", "running", "stopped", "failed", "done", "damaged"]
T = TypeVar("T")


def hash_of(question: Any) -> str:
    """Return the SHA-256, in hex, of a question as canonical JSON."""
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()


def differences(was: Any, now: Any) -> str:
    """Return in what two questions differ: `seed was 0, is 1; and 2 more`; empty if in nothing."""
    before, after = (_flat(json.loads(json.dumps(question))) for question in (was, now))
    changed = sorted(name for name in before | after if before.get(name) != after.get(name))
    named = [
        f"{name} was {before.get(name)}, is {after.get(name)}".strip() for name in changed[:_NAMED]
    ]
    more = f"; and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
    return "; ".join(named) + more


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    """Return nested dictionaries as one, with dots in its keys."""
    if not isinstance(value, dict):
        return {name: value}
    within = f"{name}." if name else ""
    return {k: v for key, one in value.items() for k, v in _flat(one, f"{within}{key}").items()}


def settle(file: Path, question: dict[str, Any], more: dict[str, Any]) -> None:
    """Write what a folder is made for, or see that it was made for the same.

    Args:
        file: The JSON file in the folder that says so.
        question: All that the folder's files depend on; compared with what the file holds.
        more: Written before it, and not compared.

    Raises:
        MotionveilError: It was made for another question, or the file cannot be read or written.
    """
    if not file.exists():
        write_text_atomically(file, json.dumps(more | question, indent=1))
        return
    try:
        found = load_json(file.read_text(encoding="utf-8"))
        was = {key: found.get(key) for key in question}
    except (OSError, ValueError, AttributeError) as error:
        raise MotionveilError(f"{file}: cannot be read; remove it") from error
    if other := differences(was, question):
        raise MotionveilError(
            f"{file}: this folder was made otherwise: {other}; give another --out, or remove the"
            " folder"
        )


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
        """Hash of the question."""
        return hash_of(self.question)

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
                f"{self.file}: the folder holds another job:"
                f" {differences(question, self.question) or 'its values are of other types'};"
                " choose another --out, or remove the folder"
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
                    f"{path}: this file system cannot lock files ({held.strerror or held}), so a"
                    " job could run twice concurrently; choose an --out that can"
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
    make_folder(path.parent)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise MotionveilError(f"{path}: cannot write here: {error.strerror}") from error
    try:
        return descriptor, try_lock(descriptor)
    except OSError as error:
        return descriptor, error
