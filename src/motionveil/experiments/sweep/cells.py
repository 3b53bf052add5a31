"""A cell on disk: its record, and the claim that keeps it from running twice at once."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from motionveil.errors import MotionveilError
from motionveil.files import write_text_atomically

Status = Literal["running", "stopped", "failed", "done"]


@dataclass(frozen=True)
class Cell:
    """One run of a sweep.

    Attributes:
        name: Name of its folder, such as `seed=0,game.lr=0.003`.
        folder: Its folder.
        words: The command and its arguments, without `--out`.
        values: The values of the axes, by axis, as text.
    """

    name: str
    folder: Path
    words: tuple[str, ...]
    values: Mapping[str, str]

    @property
    def key(self) -> str:
        """What tells one command from another: a hash of the words."""
        return hashlib.sha256(json.dumps(self.words).encode()).hexdigest()[:16]

    @property
    def log(self) -> Path:
        """What the command printed, in all its attempts."""
        return self.folder / "log.txt"

    @property
    def file(self) -> Path:
        """Where the record lies."""
        return self.folder / "cell.json"


class Record(BaseModel):
    """What `cell.json` says.

    Attributes:
        words: The command and its arguments.
        key: Their hash; a cell is done only under the key that it was done with.
        status: How it stands. `running` is believed only while the cell is claimed.
        exit_status: The command's, 128 and more for a signal; None where it did not end by itself.
        seconds: Wall time of all attempts.
        attempts: How often it was started.
        fault: Why it failed, where the log cannot say it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    words: tuple[str, ...]
    key: str
    status: Status
    exit_status: int | None = None
    seconds: float = 0.0
    attempts: int = 0
    fault: str | None = None


def read_record(cell: Cell) -> Record | None:
    """Return a cell's record; None where there is none, or a damaged one.

    Raises:
        MotionveilError: The folder holds a cell with other words. It is never overwritten: its
            checkpoints and results belong to another command.
    """
    try:
        record = Record.model_validate_json(cell.file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise MotionveilError(f"{cell.file}: cannot read it: {error.strerror}") from error
    except (UnicodeDecodeError, ValidationError):
        return None
    if record.key != cell.key:
        raise MotionveilError(
            f"{cell.file}: the folder holds another run: it was `{shlex.join(record.words)}`, the"
            f" grid asks for `{shlex.join(cell.words)}`; give another --out, or remove the folder"
        )
    return record


def write_record(cell: Cell, record: Record) -> Record:
    """Write a cell's record, whole or not at all, and return it; only the claim's holder may."""
    write_text_atomically(cell.file, record.model_dump_json(indent=1) + "\n")
    return record


@contextmanager
def claim(cell: Cell) -> Iterator[int | None]:
    """Hold a cell for as long as the block runs, or a process that inherited the claim.

    The claim is an flock of `CELL/claim`. The system takes it from a process that dies, however it
    dies, so nothing needs a time limit. The file itself stays, since its removal could let two
    processes lock two files of the same name.

    Yields:
        The descriptor of the claim, for `pass_fds`; None where another process holds the cell.

    Raises:
        MotionveilError: The folder cannot be written, or its file system cannot lock files.
    """
    if sys.platform == "win32":
        raise MotionveilError("sweep: it needs Linux or macOS: Windows has no flock")
    import fcntl

    path = cell.folder / "claim"
    try:
        cell.folder.mkdir(parents=True, exist_ok=True)
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
                f"{path}: this file system cannot lock files ({error.strerror}), so a cell could"
                " run twice at once; put --out on one that can"
            ) from error
        yield descriptor
    finally:
        os.close(descriptor)


def standing(cell: Cell) -> str:
    """Return how a cell stands: `to do`, `running`, `stopped`, `failed`, `done` or `damaged`.

    `stopped` are cells that were begun and are held by nobody: a sweep was interrupted or killed.
    `damaged` are cells whose record cannot be read; they are run again.

    Raises:
        MotionveilError: See `read_record`.
    """
    record = read_record(cell)
    if record is None:
        return "damaged" if cell.file.exists() else "to do"
    if record.status != "running":
        return record.status
    with claim(cell) as held:
        return "running" if held is None else "stopped"
