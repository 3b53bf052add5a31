"""What a study's participants did, in SQLite: `study.db` in the study's folder.

Only a hash of a participant's link is kept: whoever reads the file cannot answer for them. A
participant's session is drawn when they consent, one row a question; the row takes one answer.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple

from motionveil.errors import MotionveilError
from motionveil.study.database import check_format, connect, create, hashed, now, participants_of
from motionveil.study.design import Study
from motionveil.study.order import draw_order
from motionveil.study.records import Participant
from motionveil.study.writer import Writer

FILE_NAME = "study.db"

Kind = Literal["real", "simulated"]
Outcome = Literal["kept", "earlier", "refused"]
"""What became of an answer: kept; there was one earlier, which counts; not asked, so refused."""

_LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # none looks like another


class Standing(NamedTuple):
    """Where a participant is.

    Attributes:
        id: Their public id.
        consented: Whether they agreed to take part; if not, they have no session yet.
        passed: How many answers they had given when they last went on from a page between
            questions (instructions, the answer to an example, a break); -1 if never.
        answered: How many answers they have given.
        places: How many questions their session has.
    """

    id: str
    consented: bool
    passed: int
    answered: int
    places: int


class Asked(NamedTuple):
    """A question of a participant's session.

    Attributes:
        question: Its id.
        options: Ids of people, in the order shown.
        chosen: Ids of people, if it was answered.
    """

    question: str
    options: list[str]
    chosen: list[str] | None


class Progress(NamedTuple):
    """How far a participant is.

    Attributes:
        id: Their public id.
        kind: Whether they are a real one.
        created: When their link was made, as ISO 8601 in UTC.
        consented: When they consented.
        finished: When they gave their last answer.
        answered: How many answers they have given.
    """

    id: str
    kind: Kind
    created: str
    consented: str | None
    finished: str | None
    answered: int


class Store:
    """A study's database; a context manager. May be used from any thread.

    What writes returns a future, which is done when the disk has it: `answer(...).result()`
    waits. It holds `sqlite3.Error` when it could not be written, and then nothing is kept of it.

    Args:
        folder: The study's.
        study: Its design.

    Raises:
        MotionveilError: The database cannot be opened or made, or belongs to another study.
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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Write what is waiting, and close the database."""
        with self._lock:
            self._reading.close()
        self._writer.close()

    def enrol(self, kind: Kind = "real") -> Future[str]:
        """Add a participant; the future has their secret token, which is kept nowhere.

        Args:
            kind: "simulated" is for tests; the analysis refuses to mix the two.
        """
        token = secrets.token_urlsafe(24)

        def add(connection: sqlite3.Connection) -> str:
            taken = True
            while taken:
                public = "p-" + "".join(secrets.choice(_LETTERS) for _ in range(4))
                taken = bool(
                    connection.execute(
                        "SELECT 1 FROM participant WHERE id = ?", (public,)
                    ).fetchone()
                )
            connection.execute(
                "INSERT INTO participant (id, token, kind, created) VALUES (?, ?, ?, ?)",
                (public, hashed(token), kind, now()),
            )
            return token

        return self._writer.submit(add)

    def consent(self, token: str) -> Future[None]:
        """Note that a participant agreed to take part, and draw their session; once only."""

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
                        (number, position, place.question, json.dumps(place.options))
                        for position, place in enumerate(draw_order(self._study, token))
                    ],
                )

        return self._writer.submit(agree)

    def go_on(self, token: str, answered: int) -> Future[None]:
        """Note that a participant went on from a page between questions.

        Args:
            token: The participant's secret.
            answered: How many answers they had given there; more than there are count for nothing.
        """

        def pass_on(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE participant SET passed = max(passed, ?) WHERE token = ?"
                " AND consented IS NOT NULL"
                " AND ? <= (SELECT count(chosen) FROM place WHERE participant = number)",
                (answered, hashed(token), answered),
            )

        return self._writer.submit(pass_on)

    def show(self, token: str, position: int) -> Future[None]:
        """Note that a question is being shown to a participant."""
        moment = time.time()

        def note(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE place SET shown = coalesce(shown, ?), showings = showings + 1"
                " WHERE position = ?"
                " AND participant = (SELECT number FROM participant WHERE token = ?)",
                (moment, position, hashed(token)),
            )

        return self._writer.submit(note)

    def answer(self, token: str, question: str, chosen: Sequence[str]) -> Future[Outcome]:
        """Keep an answer to the question that is being shown.

        Args:
            token: The participant's secret.
            question: The question's id.
            chosen: Ids of people, checked by the caller.
        """
        arrived = time.time()
        return self._writer.submit(
            lambda connection: _keep(connection, token, question, list(chosen), arrived)
        )

    def withdraw(self, token: str) -> Future[None]:
        """Delete a participant and all that they did; only their number is kept."""

        def delete(connection: sqlite3.Connection) -> None:
            done = connection.execute("DELETE FROM participant WHERE token = ?", (hashed(token),))
            connection.execute(
                "UPDATE fact SET value = value + ? WHERE name = 'withdrawn'", (done.rowcount,)
            )

        return self._writer.submit(delete, forget=True)

    def standing(self, token: str) -> Standing | None:
        """Return where a participant is; None if there is none with this token."""
        rows = self._rows(
            "SELECT id, consented IS NOT NULL, passed, count(chosen), count(position)"
            " FROM participant LEFT JOIN place ON participant = number"
            " WHERE token = ? GROUP BY number",
            hashed(token),
        )
        return Standing(rows[0][0], bool(rows[0][1]), *rows[0][2:]) if rows else None

    def asked(self, token: str, position: int) -> Asked:
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
        return Asked(question, json.loads(options), None if chosen is None else json.loads(chosen))

    def shown(self, token: str) -> set[str]:
        """Return the ids of the questions that a participant was shown."""
        rows = self._rows(
            "SELECT question FROM place JOIN participant ON participant = number"
            " WHERE token = ? AND shown IS NOT NULL",
            hashed(token),
        )
        return {question for (question,) in rows}

    def progress(self) -> list[Progress]:
        """Return how far each participant is, the newest first."""
        rows = self._rows(
            "SELECT id, kind, created, consented, finished, count(chosen) FROM participant"
            " LEFT JOIN place ON participant = number GROUP BY number ORDER BY number DESC"
        )
        return [Progress(*row) for row in rows]

    def withdrawn(self) -> int:
        """Return how many participants deleted what they had answered."""
        return int(self._rows("SELECT value FROM fact WHERE name = 'withdrawn'")[0][0])

    def participants(self) -> list[Participant]:
        """Return all participants with their answers, those first who came first."""
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
                f"{self.path}: has answers to another study.json than the one beside it; serve the"
                " study that it belongs to, or move the file away to begin anew"
            )


def _fingerprint(study: Study) -> str:
    """Return a hash of all that answers rest on; the title and the breaks may change."""
    people = [[person.id, person.picture] for person in study.people]
    questions = [[q.id, q.kind, q.clip, q.options] for q in study.questions]
    parts = [study.seed, study.persons_per_question, people, questions]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _keep(
    connection: sqlite3.Connection, token: str, question: str, chosen: list[str], arrived: float
) -> Outcome:
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
    # Shown twice, on two tabs or on two days, nobody knows how long it took.
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
    """Return a study's participants with their answers; also while it is being served.

    Raises:
        MotionveilError: There is no database, or it cannot be read.
    """
    path = Path(study_folder) / FILE_NAME
    if not path.is_file():
        raise MotionveilError(
            f"{path}: no such file; `motionveil study serve` makes it, and participants fill it"
        )
    try:
        connection = connect(path)
        try:
            check_format(connection, path)
            return participants_of(connection)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise MotionveilError(f"{path}: cannot be read as a study's database: {error}") from error
