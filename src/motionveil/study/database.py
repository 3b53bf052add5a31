"""The SQLite database of a study: schema, connections, and the thread that writes."""

from __future__ import annotations

import hashlib
import json
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from motionveil.errors import MotionveilError
from motionveil.study.design import Answer, Participant

T = TypeVar("T")
Operation = Callable[[sqlite3.Connection], T]

FORMAT = 1
SCHEMA = """
CREATE TABLE fact (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
CREATE TABLE participant (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    token BLOB NOT NULL UNIQUE,      -- SHA-256 of the secret
    kind TEXT NOT NULL CHECK (kind IN ('real', 'simulated')),
    created TEXT NOT NULL,
    consented TEXT,
    finished TEXT,
    passed INTEGER NOT NULL DEFAULT -1  -- answers when last continued; -1: never
);
CREATE TABLE place (
    participant INTEGER NOT NULL REFERENCES participant ON DELETE CASCADE,
    position INTEGER NOT NULL,       -- in the session, from 0
    question TEXT NOT NULL,
    options TEXT NOT NULL,           -- JSON, in display order
    shown REAL,                      -- first time, seconds since 1970
    showings INTEGER NOT NULL DEFAULT 0,
    chosen TEXT,                     -- JSON; NULL: not answered
    seconds REAL,
    answered TEXT,
    PRIMARY KEY (participant, position),
    UNIQUE (participant, question)
) WITHOUT ROWID;
"""
_BATCH = 256  # operations per commit


def create(path: Path) -> None:
    """Create the database if there is none, readable by its owner only.

    Raises:
        OSError: It cannot be written.
        sqlite3.Error: Likewise, or the file is not a database.
    """
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    connection = connect(path)
    try:
        is_empty = not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if _format_of(connection) == 0 and is_empty:
            connection.executescript(
                f"PRAGMA journal_mode = WAL; BEGIN IMMEDIATE; {SCHEMA}"
                f" PRAGMA user_version = {FORMAT}; COMMIT"
            )
    finally:
        connection.close()


def connect(path: Path) -> sqlite3.Connection:
    """Open the database with durable commits and overwriting deletes.

    Raises:
        sqlite3.Error: There is none, or it cannot be opened.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=10,
        isolation_level=None,
        check_same_thread=False,
    )
    for setting in ("synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
        connection.execute(f"PRAGMA {setting}")
    return connection


def check_format(connection: sqlite3.Connection, path: Path) -> None:
    """Raise `MotionveilError` unless a database has the current format."""
    found = _format_of(connection)
    if found != FORMAT:
        raise MotionveilError(f"{path}: has format {found}; this version reads format {FORMAT}")


def _format_of(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def hashed(token: str) -> bytes:
    """Return the hash that is stored of a token, which is long and random."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def now() -> str:
    """Return the time as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def participants_of(connection: sqlite3.Connection) -> list[Participant]:
    """Return all participants with their answers, in the order of enrolment."""
    connection.execute("BEGIN")  # both queries read the same snapshot
    try:
        people = connection.execute(
            "SELECT number, id, kind, created, consented, finished FROM participant ORDER BY number"
        ).fetchall()
        rows = connection.execute(
            "SELECT participant, question, chosen, position, options, seconds, answered FROM place"
            " WHERE chosen IS NOT NULL ORDER BY participant, position"
        ).fetchall()
    finally:
        connection.execute("COMMIT")
    answers: dict[int, list[Answer]] = {number: [] for number, *_ in people}
    for number, question, chosen, position, options, seconds, answered in rows:
        answers[number].append(
            Answer(
                question=question,
                chosen=json.loads(chosen),
                position=position,
                order=json.loads(options),
                seconds=seconds,
                answered=answered,
            )
        )
    names = ("id", "kind", "created", "consented", "finished")
    return [
        Participant(**dict(zip(names, values, strict=True)), answers=answers[number])
        for number, *values in people
    ]


class _Write(NamedTuple):
    operation: Operation[Any]
    future: Future[Any]
    forget: bool


class Writer:
    """Runs operations on a connection in their order, in a thread, many per commit.

    A commit waits milliseconds for the disk; operations that arrive meanwhile share the next one.
    No future is done before its commit is durable.

    Args:
        connection: In autocommit mode, usable from another thread; the writer closes it.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._waiting: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="study-writer", daemon=True)
        self._thread.start()

    def submit(self, operation: Operation[T], *, forget: bool = False) -> Future[T]:
        """Queue an operation; the future has its value once it is durable.

        The future holds `sqlite3.Error` if the operation failed and was rolled back. An operation
        may run a second time after a rollback. `forget` truncates the log, which holds the
        previous content.

        Raises:
            RuntimeError: The writer is closed.
        """
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("the study's database is closed")
            self._waiting.put(_Write(operation, future, forget))
        return future

    def close(self) -> None:
        """Run the queued operations, and end."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        more_to_come = True
        while more_to_come:
            batch, more_to_come = self._next()
            try:
                self._commit(batch)
            except Exception:
                # Run each alone, so that one failing operation does not affect the others.
                for one in batch:
                    try:
                        self._commit([one])
                    except Exception as error:
                        one.future.set_exception(error)
        self._connection.close()

    def _next(self) -> tuple[list[_Write], bool]:
        """Wait for operations; return them, and whether there may be more."""
        batch: list[_Write] = []
        while True:
            try:
                item = self._waiting.get(block=not batch)
            except queue.Empty:
                return batch, True
            if item is None:
                return batch, False
            if item.future.set_running_or_notify_cancel():
                batch.append(item)
            if len(batch) == _BATCH:
                return batch, True

    def _commit(self, batch: list[_Write]) -> None:
        if not batch:
            return
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            values = [write.operation(self._connection) for write in batch]
            self._connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # SQLite may have rolled back by itself
                self._connection.execute("ROLLBACK")
            raise
        if any(write.forget for write in batch):
            with suppress(sqlite3.Error):  # blocked by a reader; a later commit truncates
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for write, value in zip(batch, values, strict=True):
            write.future.set_result(value)
