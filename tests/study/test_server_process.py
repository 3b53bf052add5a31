"""The server in a process of its own: killed in the middle, stopped, started again."""

from __future__ import annotations

import http.client
import re
import signal
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from motionveil.study.store import export
from programs import Program, until
from small_study import small_study

pytest.importorskip("fastapi", reason="needs fastapi: install '.[study]'")
pytest.importorskip("uvicorn", reason="needs uvicorn: install '.[study]'")

PARTICIPANTS = 8


class Connection:
    """A participant's browser on one connection."""

    def __init__(self, link: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(link).netloc, timeout=10)
        self._headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = self.ask("POST", "/join", token=link.rpartition("/")[2])[0]
        self._headers["Cookie"] = answer.headers["set-cookie"].partition(";")[0]

    def ask(self, method: str, path: str, **fields: object) -> tuple[http.client.HTTPResponse, str]:
        body = urlencode(fields, doseq=True) if fields else None
        self._connection.request(method, path, body, self._headers)
        answer = self._connection.getresponse()
        return answer, answer.read().decode()

    def take_part(self, acknowledged: list[tuple[str, tuple[str, ...]]]) -> None:
        """Answer until the server is gone; note each answer that it acknowledged."""
        with suppress(OSError, http.client.HTTPException):
            self.ask("POST", "/consent", agree="yes")
            self.ask("POST", "/go-on", answered=0)
            while True:
                page = self.ask("GET", "/session")[1]
                question = re.search(r'name="question" value="(\w+)"', page)[1]
                chosen = tuple(sorted(re.findall(r'name="chosen" value="(\w+)"', page)[:2]))
                answer, _ = self.ask("POST", "/answer", question=question, chosen=chosen)
                if answer.status == 303:
                    acknowledged.append((question, chosen))


@contextmanager
def serving(folder: Path, *options: object) -> Iterator[tuple[Program, list[str]]]:
    """Serve a study; yield the program, and all links that it printed."""
    program = Program("study", "serve", folder, "--address", "127.0.0.1:0", *options)
    try:
        until(lambda: "administrator's token: " in program.said, program)
        yield program, re.findall(r"http://\S+/join/\S+", program.said)
    finally:
        if program.running:
            program.kill()
        program.clear_away()


def here(program: Program, link: str) -> str:
    """Return a link of an earlier server as one of this one, which has another port."""
    return re.search(r"at (http://\S+);", program.said)[1] + urlsplit(link).path


def test_every_acknowledged_answer_survives_kill_9(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    small_study(folder, questions=400, checks=0, examples=0, break_every=0)
    acknowledged: list[tuple[str, tuple[str, ...]]] = []
    with serving(folder, "--invite", PARTICIPANTS) as (program, links):
        people = [Connection(link) for link in links]
        threads = [
            threading.Thread(target=person.take_part, args=[acknowledged]) for person in people
        ]
        for thread in threads:
            thread.start()
        until(lambda: len(acknowledged) > 20 * PARTICIPANTS, program)
        program.kill()
        for thread in threads:
            thread.join()
    kept = Counter(
        (answer.question, tuple(sorted(answer.chosen)))
        for person in export(folder)
        for answer in person.answers
    )
    assert Counter(acknowledged) - kept == Counter()
    # Each may have had one answer under way that was kept when the server died.
    assert kept.total() <= len(acknowledged) + PARTICIPANTS
    with serving(folder) as (program, _):
        page = Connection(here(program, links[0])).ask("GET", "/session")[1]
        answered = len(export(folder)[0].answers)
        assert f"{answered} of 400 answered" in page


def test_stops_in_order_when_told_to_and_knows_its_links_again(tmp_path: Path) -> None:
    folder, file = tmp_path / "study", tmp_path / "links.txt"
    small_study(folder)
    with serving(folder, "--invite", 2, "--links", file) as (program, printed):
        assert printed == [], "they are in the file"
        links = file.read_text().split()
        assert len(links) == 2
        assert file.stat().st_mode & 0o777 == 0o600
        Connection(links[0]).ask("POST", "/consent", agree="yes")
        program.signal(signal.SIGINT)
        assert program.ends() == 0
        assert program.complaint == ""
        assert not list(folder.glob("study.db-*")), "all is in the database itself"
    with serving(folder) as (program, _):
        page = Connection(here(program, links[0])).ask("GET", "/session")[1]
        assert "How it works" in page
        assert program.complaint == "", "no request is logged"
        assert "no participants yet" not in program.said


def test_half_open_requests_shut_nobody_out(tmp_path: Path) -> None:
    small_study(tmp_path / "study")
    with ExitStack() as sockets, serving(tmp_path / "study", "--invite", 1) as (_, links):
        place = urlsplit(links[0]).netloc.split(":")
        for _ in range(300):
            half = socket.create_connection((place[0], int(place[1])), timeout=30)
            sockets.enter_context(half)
            half.sendall(b"GET / HTTP/1.1\r\nHost:")
        assert Connection(links[0]).ask("GET", "/session")[0].status == 200
