"""Participants and answers of a study, in SQLite: `study.db` in the study's folder.

Only a hash of a participant's token is stored: the file does not allow answering for them. A
session is randomised on consent, one row per question, and a row accepts one answer.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from random import Random
from typing import Any, Literal, NamedTuple

from motionveil.errors import MotionveilError
from motionveil.job_store import hash_of
from motionveil.study.database import (
    Writer,
    check_format,
    connect,
    create,
    hashed,
    now,
    participants_of,
)
from motionveil.study.design import Participant, ParticipantKind, Study

FILE_NAME = "study.db"

AnswerStatus = Literal["kept", "earlier", "refused"]
"""Stored; ignored, since there is an earlier answer; or refused, since not being asked."""

_LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # no two look alike


class SessionItem(NamedTuple):
    """A question of a session: its id, and the ids of the options in display order."""

    question: str
    options: tuple[str, ...]


def randomize_session(study: Study, token: str) -> list[SessionItem]:
    """Return a participant's session, a function of the study's seed and the token.

    Examples come first. The order of questions is random, with conditions mixed, and so is that of
    options. The session is divided into as many equal parts as there are attention checks; each
    part has one, anywhere but at its beginning.
    """
    random = Random(hmac.digest(token.encode(), str(study.seed).encode(), hashlib.sha256))
    questions, checks = (
        random.sample(items, len(items))
        for items in (study.of_kind("question"), study.of_kind("attention"))
    )
    session = [] if checks else questions
    for number, check in enumerate(checks):
        first, last = (len(questions) * n // len(checks) for n in (number, number + 1))
        part = questions[first:last]
        part.insert(random.randint(min(1, len(part)), len(part)), check)
        session += part
    return [
        SessionItem(question.id, tuple(random.sample(question.options, len(question.options))))
        for question in [*study.of_kind("example"), *session]
    ]


class SessionState(NamedTuple):
    """The state of a participant's session.

    Attributes:
        id: Public id.
        consented: Whether they consented; otherwise they have no questions yet.
        passed: Number of answers when they last continued from a page between questions
            (instructions, feedback on an example, a break); -1 if never.
        answered: Number of answers.
        places: Number of questions.
    """

    id: str
    consented: bool
    passed: int
    answered: int
    places: int


class AskedQuestion(NamedTuple):
    """A question's id, the ids of its options in display order, and those selected, if any."""

    question: str
    options: list[str]
    chosen: list[str] | None


class Progress(NamedTuple):
    """A participant's progress; see `Participant`."""

    id: str
    kind: ParticipantKind
    created: str
    consented: str | None
    finished: str | None
    answered: int


class Store:
    """A study's database; a context manager, usable from any thread.

    Methods that write return a future that is done once the change is durable, or holds
    `sqlite3.Error` if it was rolled back.

    Raises:
        MotionveilError: The database cannot be opened or created, or belongs to another study.
    """

    def __init__(self, folder: Path, study: Study) -> None:
        self.path = folder / FILE_NAME
        self._study = study
        try:
            create(self.path)
            self._reading = connect(self.path)
            check_format(self._reading, self.path)
            self._lock = threading.Lock()
            self._writer = Writer(connect(self.path))
        except (sqlite3.Error, OSError) as error:
            raise MotionveilError(f"{self.path}: cannot be used as a database: {error}") from error
        try:
            self._bind_to_study()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Finish all writes, and close the database."""
        with self._lock:
            self._reading.close()
        self._writer.close()

    def enrol(self, kind: ParticipantKind = "real") -> Future[str]:
        """Add a participant; the future has their secret token, which is not stored."""
        token = secrets.token_urlsafe(24)

        def add(connection: sqlite3.Connection) -> str:
            taken: object = True
            while taken:
                public = "p-" + "".join(secrets.choice(_LETTERS) for _ in range(4))
                found = connection.execute("SELECT 1 FROM participant WHERE id = ?", (public,))
                taken = found.fetchone()
            connection.execute(
                "INSERT INTO participant (id, token, kind, created) VALUES (?, ?, ?, ?)",
                (public, hashed(token), kind, now()),
            )
            return token

        return self._writer.submit(add)

    def consent(self, token: str) -> Future[None]:
        """Record consent, once, and randomise the session."""

        def agree(connection: sqlite3.Connection) -> None:
            changed = connection.execute(
                "UPDATE participant SET consented = ? WHERE token = ? AND consented IS NULL"
                " RETURNING number",
                (now(), hashed(token)),
            ).fetchall()
            for (number,) in changed:
                connection.executemany(
                    "INSERT INTO place (participant, position, question, options)"
                    " VALUES (?, ?, ?, ?)",
                    [
                        (number, position, item.question, json.dumps(item.options))
                        for position, item in enumerate(randomize_session(self._study, token))
                    ],
                )

        return self._writer.submit(agree)

    def go_on(self, token: str, answered: int) -> Future[None]:
        """Record that a participant continued after `answered` answers; ignored if not given."""

        def pass_on(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE participant SET passed = max(passed, ?) WHERE token = ?"
                " AND consented IS NOT NULL"
                " AND ? <= (SELECT count(chosen) FROM place WHERE participant = number)",
                (answered, hashed(token), answered),
            )

        return self._writer.submit(pass_on)

    def show(self, token: str, position: int) -> Future[None]:
        """Record that a question is displayed."""
        moment = time.time()

        def note(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE place SET shown = coalesce(shown, ?), showings = showings + 1"
                " WHERE position = ?"
                " AND participant = (SELECT number FROM participant WHERE token = ?)",
                (moment, position, hashed(token)),
            )

        return self._writer.submit(note)

    def answer(self, token: str, question: str, chosen: Sequence[str]) -> Future[AnswerStatus]:
        """Store an answer to the displayed question; `chosen` is validated by the caller."""
        arrived = time.time()
        return self._writer.submit(
            lambda connection: _keep(connection, token, question, list(chosen), arrived)
        )

    def withdraw(self, token: str) -> Future[None]:
        """Delete a participant and their answers; only the number of withdrawals is kept."""

        def delete(connection: sqlite3.Connection) -> None:
            done = connection.execute("DELETE FROM participant WHERE token = ?", (hashed(token),))
            connection.execute(
                "UPDATE fact SET value = value + ? WHERE name = 'withdrawn'", (done.rowcount,)
            )

        return self._writer.submit(delete, forget=True)

    def state(self, token: str) -> SessionState | None:
        """Return the state of a participant's session; None for an unknown token."""
        rows = self._rows(
            "SELECT id, consented IS NOT NULL, passed, count(chosen), count(position)"
            " FROM participant LEFT JOIN place ON participant = number"
            " WHERE token = ? GROUP BY number",
            hashed(token),
        )
        return SessionState(rows[0][0], bool(rows[0][1]), *rows[0][2:]) if rows else None

    def asked(self, token: str, position: int) -> AskedQuestion:
        """Return a question of a participant's session.

        Raises:
            IndexError: There is none at this position.
        """
        question, options, chosen = self._rows(
            "SELECT question, options, chosen FROM place JOIN participant ON participant = number"
            " WHERE token = ? AND position = ?",
            hashed(token),
            position,
        )[0]
        return AskedQuestion(question, json.loads(options), chosen and json.loads(chosen))

    def shown(self, token: str) -> set[str]:
        """Return the ids of the questions displayed to a participant so far."""
        rows = self._rows(
            "SELECT question FROM place JOIN participant ON participant = number"
            " WHERE token = ? AND shown IS NOT NULL",
            hashed(token),
        )
        return {question for (question,) in rows}

    def progress(self) -> list[Progress]:
        """Return the progress of all participants, the newest first."""
        rows = self._rows(
            "SELECT id, kind, created, consented, finished, count(chosen) FROM participant"
            " LEFT JOIN place ON participant = number GROUP BY number ORDER BY number DESC"
        )
        return [Progress(*row) for row in rows]

    def count(self) -> int:
        """Return the number of participants."""
        return int(self._rows("SELECT count(*) FROM participant")[0][0])

    def withdrawn(self) -> int:
        """Return the number of withdrawals."""
        return int(self._rows("SELECT value FROM fact WHERE name = 'withdrawn'")[0][0])

    def participants(self) -> list[Participant]:
        """Return all participants with their answers, in the order of enrolment."""
        with self._lock:
            return participants_of(self._reading)

    def _rows(self, statement: str, *values: object) -> list[Any]:
        with self._lock:
            return self._reading.execute(statement, values).fetchall()

    def _bind_to_study(self) -> None:
        design = _fingerprint(self._study)

        def bind(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR IGNORE INTO fact VALUES ('design', ?)", (design,))
            connection.execute("INSERT OR IGNORE INTO fact VALUES ('withdrawn', 0)")

        try:
            self._writer.submit(bind).result()
            bound = self._rows("SELECT value FROM fact WHERE name = 'design'")[0][0]
        except sqlite3.Error as error:
            raise MotionveilError(f"{self.path}: cannot be used as a database: {error}") from error
        if bound != design:
            raise MotionveilError(
                f"{self.path}: has answers to another study.json; serve the study that it belongs"
                " to, or move the file away to start again"
            )


def _fingerprint(study: Study) -> str:
    """Return a hash of all that answers depend on; the title and the breaks may change."""
    people = [[person.id, person.picture] for person in study.people]
    questions = [[q.id, q.kind, q.clip, q.options] for q in study.questions]
    parts = [study.seed, study.persons_per_question, people, questions]
    return hash_of(parts)


def _keep(
    connection: sqlite3.Connection, token: str, question: str, chosen: list[str], arrived: float
) -> AnswerStatus:
    row = connection.execute(
        "SELECT participant, position, shown, showings, chosen FROM place"
        " JOIN participant ON participant = number WHERE token = ? AND question = ?",
        (hashed(token), question),
    ).fetchone()
    if row is None or row[2] is None:
        return "refused"
    participant, position, shown, showings, earlier = row
    if earlier is not None:
        return "earlier"
    # The response time is unknown if the question was displayed twice, in two tabs or on two days.
    seconds = arrived - shown if showings == 1 and arrived >= shown else None
    connection.execute(
        "UPDATE place SET chosen = ?, seconds = ?, answered = ?"
        " WHERE participant = ? AND position = ?",
        (json.dumps(chosen), seconds, now(), participant, position),
    )
    connection.execute(
        "UPDATE participant SET finished = ? WHERE number = ? AND NOT EXISTS"
        " (SELECT 1 FROM place WHERE participant = number AND chosen IS NULL)",
        (now(), participant),
    )
    return "kept"


def export(study_folder: str | os.PathLike[str]) -> list[Participant]:
    """Return a study's participants with their answers, also while it is being served.

    Raises:
        MotionveilError: There is no database, or it cannot be read.
    """
    path = Path(study_folder) / FILE_NAME
    if not path.is_file():
        raise MotionveilError(f"{path}: no such file; `motionveil study serve` creates it")
    try:
        connection = connect(path)
        try:
            check_format(connection, path)
            return participants_of(connection)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise MotionveilError(f"{path}: cannot be read as a study's database: {error}") from error
