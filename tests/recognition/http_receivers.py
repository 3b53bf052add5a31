"""HTTP receivers on the loopback, good and bad, for tests."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """Keeps what was posted, and answers with the next of `statuses`, else 204."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int = 0, statuses: tuple[int, ...] = ()) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.statuses = list(statuses)
        self.bodies: list[bytes] = []
        self.requests: list[tuple[str, dict[str, str]]] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, dict(self.headers)))
        status = self.server.statuses.pop(0) if self.server.statuses else 204
        if status < 300:
            self.server.bodies.append(body)
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def serving(port: int = 0, statuses: tuple[int, ...] = ()) -> Iterator[Server]:
    """Yield a server that runs."""
    server = Server(port, statuses)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(20)


@contextmanager
def hanging(drip: bytes = b"") -> Iterator[int]:
    """Yield the port of a server that accepts and never answers whole; it may send a drip."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        held: list[socket.socket] = []
        over = threading.Event()

        def accept() -> None:
            with suppress(OSError):
                while True:
                    held.append(listening.accept()[0])

        def send() -> None:
            while drip and not over.is_set():
                for connection in list(held):
                    with suppress(OSError):
                        connection.sendall(drip)
                time.sleep(0.1)

        for work in (accept, send):
            threading.Thread(target=work, daemon=True).start()
        try:
            yield listening.getsockname()[1]
        finally:
            over.set()
            for connection in held:
                connection.close()


def free_port() -> int:
    """Return a port on which nothing listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        return int(listening.getsockname()[1])
