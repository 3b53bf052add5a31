"""A small RTSP server on loopback that takes what is published: H.264 over RTP within TCP."""

from __future__ import annotations

import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import av
import numpy as np

from rtsp_server import Handler

_START = b"\0\0\0\1"


class Recorder(socketserver.ThreadingTCPServer):
    """Keeps what its clients publish.

    Attributes:
        password: `name:password` that clients must know; empty for none.
        sdp: What the newest client said of its stream.
        requests: Lines of all requests.
        pictures: H.264 with start codes, a picture each, in the order of arrival.
        arrived: Notified when any of these has changed.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int = 0, password: str = "") -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.options = self
        self.password, self.mute = password, False
        self.sdp = ""
        self.requests: list[str] = []
        self.pictures: list[bytes] = []
        self.arrived = threading.Condition()
        self._clients: list[Any] = []

    @property
    def port(self) -> int:
        return self.server_address[1]

    def wait_for(self, count: int, timeout: float = 60) -> None:
        """Wait until so many pictures have come in all."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.pictures) >= count, timeout), (
                f"{len(self.pictures)} of {count} pictures came; {self.requests}"
            )

    def decoded(self) -> list[np.ndarray]:
        """Decode the pictures so far."""
        decoder: Any = av.CodecContext.create("h264", "r")
        frames = [frame for data in self.pictures for frame in decoder.decode(av.Packet(data))]
        frames += decoder.decode(None)
        return [frame.to_ndarray(format="rgb24") for frame in frames]

    def hang_up(self) -> None:
        """Leave the clients, as a server does that ends."""
        self.shutdown()
        self.server_close()
        for client in self._clients:
            with suppress(OSError):
                client.shutdown(2)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._clients.append(request)
        super().process_request(request, client_address)


class _Handler(Handler):
    server: Any

    def _serve(self) -> None:
        while (request := self._request()) is not None:
            method, headers = request
            with self.server.arrived:
                self.server.requests.append(method)
                self.server.arrived.notify_all()
            if not self._allowed(headers):
                self._answer(headers, "401 Unauthorized", 'WWW-Authenticate: Basic realm="test"')
            elif method == "ANNOUNCE":
                self.server.sdp = self.rfile.read(int(headers["content-length"])).decode()
                self._answer(headers, "200 OK")
            elif method == "SETUP":
                self._answer(headers, "200 OK", f"Transport: {headers['transport']}", "Session: 1")
            elif method == "RECORD":
                self._answer(headers, "200 OK", "Session: 1")
                self._record()
            else:
                self._answer(headers, "200 OK", "Public: ANNOUNCE, SETUP, RECORD", "Session: 1")

    def _record(self) -> None:
        units: list[bytes] = []
        while self.rfile.peek(1)[:1] == b"$":
            _, channel, size = struct.unpack(">cBH", self.rfile.read(4))
            packet = self.rfile.read(size)
            if channel == 0:
                _take_payload(units, packet[12:])
                if packet[1] & 0x80:  # the marker: a picture is complete
                    with self.server.arrived:
                        self.server.pictures.append(b"".join(_START + unit for unit in units))
                        self.server.arrived.notify_all()
                    units.clear()


def _take_payload(units: list[bytes], payload: bytes) -> None:
    """Append what an RTP payload holds of NAL units (RFC 6184)."""
    kind = payload[0] & 31
    if kind == 24:  # STAP-A
        rest = payload[1:]
        while rest:
            size = int.from_bytes(rest[:2], "big")
            units.append(rest[2 : 2 + size])
            rest = rest[2 + size :]
    elif kind == 28:  # FU-A
        if payload[1] & 0x80:
            units.append(bytes([payload[0] & 0xE0 | payload[1] & 31]))
        units[-1] += payload[2:]
    else:
        units.append(payload)


@contextmanager
def recorder(port: int = 0, password: str = "") -> Iterator[Recorder]:
    """Serve within the block."""
    server = Recorder(port, password)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.hang_up()
        thread.join()
