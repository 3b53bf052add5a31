"""The preview's web server: who may ask, and what is answered."""

from __future__ import annotations

import io
import re
import secrets
import selectors
import socket
import sys
from collections.abc import Mapping
from contextlib import closing, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any
from urllib.parse import parse_qs

from motionveil.bind_address import is_loopback
from motionveil.streaming.preview_connections import (
    Admission,
    Connections,
    TooManyGuessesError,
    read_head,
)
from motionveil.streaming.preview_site import MAX_VIEWERS, Screen, Site

_TIMEOUT = 3.0  # seconds that a browser may take to say what it wants, or to take an image
_BOUNDARY = "motionveil-picture"
_ANNOUNCE = f"\r\n--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\n\r\n".encode()
_HOST = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([^:@/\[\]]+))(?::\d*)?")  # [IPv6] or name, :port
_HTML, _JSON, _TEXT = "text/html; charset=utf-8", "application/json", "text/plain"
_HEADERS = {
    "Cache-Control": "no-store",
    "Connection": "close",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'; connect-src 'self'; img-src 'self' data:",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Server(ThreadingHTTPServer):
    """Accepts connections, a thread each, and can end them all."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], family: int) -> None:
        self.address_family = family
        self.connections = Connections()
        super().__init__(address, _Handler)

    def serve(self, site: Site, admission: Admission, *, loopback: bool) -> None:
        """Say what to show to whom, before `serve_forever`.

        Args:
            site: Has the page, the images and the numbers.
            loopback: Refuse requests that name a host that is not this machine's loopback.
        """
        self.site, self.admission, self.loopback = site, admission, loopback

    def server_bind(self) -> None:
        """Bind, without asking the DNS for this machine's name as the library's own would."""
        TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own."""
        self.connections.enter(request, client_address[0])
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """End a connection."""
        super().shutdown_request(request)
        self.connections.leave(request)

    def hang_up(self) -> None:
        """Let the pages receive the end of the stream, then close the remaining connections."""
        self.connections.hang_up(0.2)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print what went wrong, unless it is only that a browser went away."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: Server
    timeout = _TIMEOUT
    disable_nagle_algorithm = True

    def handle(self) -> None:
        """Read the request, all of it in a time, and answer it."""
        head = read_head(self.connection, _TIMEOUT)
        self.connection.settimeout(_TIMEOUT)
        self.rfile.close()
        if head is None:
            self._refuse_long_one()
        else:
            self.rfile = io.BytesIO(head)
            super().handle()

    def do_GET(self) -> None:
        """Answer with a page, the stream, the numbers or another document."""
        name, _, query = self.path.partition("?")
        self._query = parse_qs(query)
        path = {"/": self._page, "/stream": self._stream, "/stats": self._stats}.get(name)
        if self.server.site.sign_in is not None and name == "/session":
            path = self._session
        try:
            refusal = self._refusal(name)
        except TooManyGuessesError as error:
            self._send_away(error.seconds)
            return
        if refusal:
            self._refuse(refusal, is_page=name == "/")
        elif path is not None:
            path()
        else:
            self._document(name)

    do_HEAD = do_GET  # noqa: N815, the library calls it so

    def _refusal(self, path: str) -> str | None:
        """Return why this request must not be served, None if it may."""
        host = _HOST.fullmatch(self.headers.get("Host", ""))
        if self.server.loopback and not (host and is_loopback(host[1] or host[2])):
            return "This address is not the preview's; open the one that motionveil printed."
        # A strange page may link to this one, but not show its image as its own.
        site = self.headers.get("Sec-Fetch-Site", "none")
        if path != "/" and site not in ("none", "same-origin"):
            return "Another site asked for this."
        if path in self.server.site.public or self._may_see():
            return None
        return "The preview's token is missing or wrong; open the address with its ?token=."

    def _refuse(self, reason: str, *, is_page: bool) -> None:
        asked = self.server.site.sign_in if is_page else None
        if asked is None:
            self._answer(HTTPStatus.FORBIDDEN, _TEXT, reason)
        else:
            self._answer_page(HTTPStatus.FORBIDDEN, asked)

    def _may_see(self) -> bool:
        # One token a request: more would be as many guesses.
        token = next(iter(self._query.get("token", [])), None)
        given = None if token is None else token.encode("utf-8", "replace")
        scheme, _, bearer = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            given = bearer.strip().encode("latin-1", "replace")
        ticket = next(iter(self._query.get("ticket", [])), "") or self._cookie()
        return self.server.admission.admits(self.client_address[0], given, ticket)

    def _cookie(self) -> str:
        """Return the ticket that a browser was given when it signed in; "" if none."""
        for pair in self.headers.get("Cookie", "").split(";"):
            name, _, value = pair.strip().partition("=")
            if name == self._cookie_name:
                return value
        return ""

    @property
    def _cookie_name(self) -> str:
        return f"motionveil-{self.server.server_address[1]}"  # a host's ports share its cookies

    def _session(self) -> None:
        """Give a browser that has shown the token the ticket as a cookie."""
        cookie = f"{self._cookie_name}={self.server.admission.ticket}"
        headers = {"Set-Cookie": f"{cookie}; Path=/; HttpOnly; SameSite=Strict"}
        self._answer(HTTPStatus.OK, _TEXT, "Signed in.", headers)

    def _page(self) -> None:
        page = self.server.site.page().replace("{{ticket}}", self.server.admission.ticket)
        self._answer_page(HTTPStatus.OK, page)

    def _answer_page(self, status: HTTPStatus, page: str) -> None:
        nonce = secrets.token_urlsafe(16)
        ours = f"; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'"
        policy = {"Content-Security-Policy": _HEADERS["Content-Security-Policy"] + ours}
        self._answer(status, _HTML, page.replace("{{nonce}}", nonce), policy)

    def _document(self, path: str) -> None:
        found = self.server.site.document(path)
        if found is None:
            self._answer(HTTPStatus.NOT_FOUND, _TEXT, "There is nothing here; look at /.")
        else:
            self._answer(HTTPStatus(found.status), found.type, found.text)

    def _stats(self) -> None:
        if "text/event-stream" in self.headers.get("Accept", ""):
            self._events()
        else:
            self._answer(HTTPStatus.OK, _JSON, self.server.site.numbers(self._name()))

    def _name(self) -> str:
        return self._query.get("viewer", [""])[0]

    def _events(self) -> None:
        """Send what is new, for as long as somebody listens."""
        if not self.server.connections.keep(self.connection):
            self._answer_full()
            return
        self._keep_the_queue_short()
        self._begin(HTTPStatus.OK, "text/event-stream; charset=utf-8")
        with closing(self.server.site.feed(self._name())) as feed:
            for number, block in enumerate(feed):
                if number > 0 and self._has_left():
                    return
                self.wfile.write(block.encode())
                if self.command == "HEAD":
                    return

    def _stream(self) -> None:
        """Send each viewer the newest image, as fast as it takes them."""
        screen = self.server.site.screen(self._query.get("camera", [""])[0])
        if screen is None:
            self._answer(HTTPStatus.NOT_FOUND, _TEXT, "There is no such camera.")
            return
        with screen.watch(self._name()) as room:
            if not room or not self.server.connections.keep(self.connection):
                self._answer_full()
                return
            self._keep_the_queue_short()
            kind = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
            self._begin(HTTPStatus.OK, kind)
            if self.command == "GET":
                self._send_pictures(screen)

    def _answer_full(self) -> None:
        full = f"{MAX_VIEWERS} others watch already; close one of them."
        self._answer(HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, full)

    def _send_away(self, seconds: int) -> None:
        text = f"Too many wrong tokens. Try again in {seconds} s."
        headers = {"Retry-After": str(seconds)}
        self._answer(HTTPStatus.TOO_MANY_REQUESTS, _TEXT, text, headers)

    def _refuse_long_one(self) -> None:
        self.command, self.request_version = "GET", "HTTP/1.0"  # the library would have read them
        self.send_error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _send_pictures(self, screen: Screen) -> None:
        # What announces an image goes out right after the one before it, for a browser (Chromium)
        # shows an image only when the next is announced; so their lengths cannot be told.
        self.wfile.write(_ANNOUNCE[2:])
        number = 0
        while not screen.closed.is_set():
            newer = screen.picture(number, timeout=1)
            if newer:
                number, jpeg = newer
                self.wfile.write(jpeg + _ANNOUNCE)
            elif self._has_left():
                return

    def _keep_the_queue_short(self) -> None:
        """Let the system keep little for a slow viewer, who would see the past otherwise."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        for name, value in (("TCP_NOTSENT_LOWAT", 1 << 14), ("TCP_USER_TIMEOUT", 10_000)):
            if hasattr(socket, name):  # not in every system
                with suppress(OSError):
                    option = getattr(socket, name)
                    self.connection.setsockopt(socket.IPPROTO_TCP, option, value)

    def _has_left(self) -> bool:
        """Return whether the browser has closed the connection."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.connection, selectors.EVENT_READ)
            return bool(selector.select(0)) and not self.connection.recv(1, socket.MSG_PEEK)

    def _answer(
        self, status: HTTPStatus, kind: str, text: str, headers: Mapping[str, str] | None = None
    ) -> None:
        body = text.encode()
        self._begin(status, kind, {"Content-Length": str(len(body)), **(headers or {})})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _begin(
        self, status: HTTPStatus, kind: str, headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response_only(status)  # `send_response` would add the server's version
        for name, value in {"Content-Type": kind, **_HEADERS, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what is no request for us, with the headers that every answer has."""
        self.close_connection = True
        if code == HTTPStatus.NOT_IMPLEMENTED:  # the library's word for a method without do_...
            self._answer(
                HTTPStatus.METHOD_NOT_ALLOWED, _TEXT, "GET and HEAD only.", {"Allow": "GET, HEAD"}
            )
        else:
            self._answer(HTTPStatus(code), _TEXT, HTTPStatus(code).phrase)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Log nothing: a request line may hold the token."""
