"""The only thread that writes to a study's database: many writes, one commit, then the answers.

A commit waits for the disk, which takes milliseconds; whatever comes in meanwhile goes into the
next one. Nobody hears that something is kept before the disk has it.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")
Operation = Callable[[sqlite3.Connection], T]

_MOST = 256  # operations of one commit


class _Write(NamedTuple):
    operation: Operation[Any]
    future: Future[Any]
    forget: bool


class Writer:
    """Runs operations on a connection, in the order in which they came.

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
        """Have an operation carried out; the future has its value once that is on the disk.

        The future holds `sqlite3.Error` if it could not be written; then nothing of it is kept.

        Args:
            operation: Changes the database. It may run twice, the first time in vain.
            forget: Afterwards also empty the log, which has what was there before.

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
        """Carry out what is waiting, and end."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        going_on = True
        while going_on:
            batch, going_on = self._next()
            try:
                self._commit(batch)
            except Exception:
                # One of them, or the disk, is at fault: each alone, so that none pays for another.
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
            if len(batch) == _MOST:
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
            with suppress(sqlite3.Error):  # a reader holds on to it: the next commits will do it
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for write, value in zip(batch, values, strict=True):
            write.future.set_result(value)
