"""Slow clients of the preview, with real sockets: they cost places and time, but nobody else's."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from urllib.parse import urlsplit

import pytest
from test_preview import NOISE, connect, events, request, status, viewer, wait_until

from motionveil.streaming.preview_buffer import Preview
from motionveil.streaming.preview_connections import MAX_HEAD, MAX_KEPT, MAX_WAITING, Connections

pytestmark = pytest.mark.slow  # waits for limits of time

SLOW = 60  # clients, nearly twice as many as are let wait
HEAD = b"GET /stats HTTP/1.0\r\nHost: localhost\r\n"


@pytest.fixture
def preview() -> Iterator[Preview]:
    with Preview("127.0.0.1:0", rate=100) as preview:
        yield preview


def dial(preview: Preview) -> socket.socket:
    url = urlsplit(preview.url)
    return socket.create_connection((url.hostname, url.port), timeout=60)


class SlowClients:
    """Keep so many connections open and send a byte of a header to each, again and again."""

    def __init__(self, preview: Preview, number: int) -> None:
        self._preview, self._number = preview, number
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> SlowClients:
        self._thread.start()
        time.sleep(0.3)
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        open_ = [self._new() for _ in range(self._number)]
        while not self._done.wait(0.1):
            for index, connection in enumerate(open_):
                try:
                    connection.sendall(b"x")
                except OSError:
                    connection.close()
                    open_[index] = self._new()
        for connection in open_:
            connection.close()

    def _new(self) -> socket.socket:
        connection = dial(self._preview)
        connection.sendall(HEAD + b"X-Slow: ")
        return connection


def test_slow_requests_deny_nobody(preview: Preview) -> None:
    with SlowClients(preview, SLOW):
        for _ in range(20):
            started = time.monotonic()
            assert status(preview) == status(preview, "/stats") == 200
            assert time.monotonic() - started < 2
        with viewer(preview) as stream, events(preview) as numbers:
            preview.show(NOISE)
            assert stream.part()
            assert next(numbers)["room"] is True


def test_silent_connections_deny_nobody(preview: Preview) -> None:
    before = threading.active_count()
    with ExitStack() as stack:
        for _ in range(SLOW):
            stack.enter_context(closing(dial(preview)))
        assert status(preview) == 200
        wait_until(lambda: threading.active_count() - before <= MAX_WAITING)
        wait_until(lambda: threading.active_count() <= before)  # in the time that they are given


def test_who_is_watching_is_not_cut_for_newcomers(preview: Preview) -> None:
    with viewer(preview) as stream, events(preview) as numbers, SlowClients(preview, SLOW):
        for _ in range(2):
            preview.show(NOISE)
            assert stream.part()
            assert "watching" in next(numbers)


def test_a_slow_request_is_cut(preview: Preview) -> None:
    with closing(dial(preview)) as slow:
        slow.sendall(HEAD)
        started = time.monotonic()
        with suppress(OSError):  # a pipe or a connection that broke
            while time.monotonic() - started < 60:
                slow.sendall(b"X: y\r\n")  # each a whole line
                time.sleep(0.1)
        assert 2.5 < time.monotonic() - started < 30


def test_a_request_in_pieces_is_answered(preview: Preview) -> None:
    with closing(dial(preview)) as slow:
        for byte in HEAD + b"\r\n":
            slow.sendall(bytes([byte]))
        assert slow.recv(100).startswith(b"HTTP/1.0 200 ")


def test_a_request_that_is_too_long_is_refused(preview: Preview) -> None:
    with closing(connect(preview)) as connection:
        connection.request("GET", "/", headers={"X-Long": "x" * (MAX_HEAD - 200)})
        assert connection.getresponse().status == 200
    with closing(dial(preview)) as long:
        long.sendall(HEAD + b"X: " + b"x" * MAX_HEAD)
        assert long.recv(100).startswith(b"HTTP/1.0 431 ")


def test_a_page_that_takes_no_numbers_is_dropped(preview: Preview) -> None:
    """Whoever takes nothing at all, a machine that is gone, holds its place for ten seconds."""
    before = threading.active_count()  # those of other tests may still be ending
    with closing(dial(preview)) as gone:
        gone.sendall(HEAD + b"Accept: text/event-stream\r\n\r\n")
        assert gone.recv(100).startswith(b"HTTP/1.0 200 ")
    wait_until(lambda: threading.active_count() <= before)


def test_numbers_have_a_bound_too(preview: Preview) -> None:
    with ExitStack() as stack:
        for _ in range(MAX_KEPT):
            next(stack.enter_context(events(preview)))
        response, _ = request(preview, "/stats", Accept="text/event-stream")
        assert response.status == 503
        assert status(preview, "/stats") == 200


class TestConnections:
    def pairs(self, stack: ExitStack, number: int) -> list[socket.socket]:
        found = []
        for _ in range(number):
            ours, theirs = socket.socketpair()
            stack.enter_context(closing(ours))
            stack.enter_context(closing(theirs))
            theirs.settimeout(0)
            found.append((ours, theirs))
        self.ends = dict(found)
        return [ours for ours, _ in found]

    def cut(self, connection: socket.socket) -> bool:
        try:
            return self.ends[connection].recv(1) == b""
        except BlockingIOError:
            return False

    def test_the_oldest_of_whoever_has_most_makes_room(self) -> None:
        connections = Connections()
        with ExitStack() as stack:
            few, *many, newest = self.pairs(stack, MAX_WAITING + 1)
            connections.enter(few, "192.0.2.1")
            for connection in many:
                connections.enter(connection, "192.0.2.2")
            connections.enter(newest, "192.0.2.3")
            assert [self.cut(c) for c in (few, *many[:3], newest)] == [False, True] + 3 * [False]
            assert not connections.keep(many[0]), "it was cut"
            assert connections.keep(many[1])
