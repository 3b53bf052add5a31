"""The tables of a study's database, and what is read and written of it whole."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from motionveil.errors import MotionveilError
from motionveil.study.records import Answer, Participant

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
    passed INTEGER NOT NULL DEFAULT -1  -- answers given when last told to go on; -1: never
);
CREATE TABLE place (
    participant INTEGER NOT NULL REFERENCES participant ON DELETE CASCADE,
    position INTEGER NOT NULL,       -- in the session, from 0
    question TEXT NOT NULL,
    options TEXT NOT NULL,           -- JSON, in the order shown
    shown REAL,                      -- when first, seconds since 1970
    showings INTEGER NOT NULL DEFAULT 0,
    chosen TEXT,                     -- JSON; none yet: not answered
    seconds REAL,
    answered TEXT,
    PRIMARY KEY (participant, position),
    UNIQUE (participant, question)
) WITHOUT ROWID;
"""


def create(path: Path) -> None:
    """Make the database where there is none, for its owner's eyes only.

    Raises:
        OSError: It cannot be written.
        sqlite3.Error: Likewise, or the file is something else.
    """
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    connection = connect(path)
    try:
        if _format_of(connection) == 0 and not _has_tables(connection):
            connection.executescript(
                f"PRAGMA journal_mode = WAL; BEGIN IMMEDIATE; {SCHEMA}"
                f" PRAGMA user_version = {FORMAT}; COMMIT"
            )
    finally:
        connection.close()


def connect(path: Path) -> sqlite3.Connection:
    """Open the database. A commit returns when the disk has it; what is deleted is overwritten.

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
    """Refuse a database of another version.

    Raises:
        MotionveilError: See above.
    """
    found = _format_of(connection)
    if found != FORMAT:
        raise MotionveilError(f"{path}: is of format {found}; this motionveil reads {FORMAT}")


def _format_of(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _has_tables(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])


def hashed(token: str) -> bytes:
    """Return what is kept of a secret. It is long and random: nobody finds it by trying."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def now() -> str:
    """Return the time as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def participants_of(connection: sqlite3.Connection) -> list[Participant]:
    """Return all participants with their answers, those first who came first."""
    connection.execute("BEGIN")  # both reads see the same moment
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
    return [
        Participant(
            id=public,
            kind=kind,
            created=created,
            consented=consented,
            finished=finished,
            answers=answers[number],
        )
        for number, public, kind, created, consented, finished in people
    ]
