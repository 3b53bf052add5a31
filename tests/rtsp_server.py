"""A small RTSP server on loopback: numbered H.264 video in real time, over RTP within TCP.

Run it as a program, so that it can be killed as hard as a camera dies:

    python tests/rtsp_server.py PORT [--size 64x48] [--join N] [--drop N] ...

It prints "ready" when it listens. It speaks what a player needs of RFC 2326 and RFC 6184.
"""

from __future__ import annotations

import argparse
import base64
import socket
import socketserver
import struct
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from videos import moving_square

RATE = 25
FRAMES = 20  # as many as `frame_numbers` can tell apart; then from the first again
GOP = 10
_MOST = 1400  # bytes in an RTP packet
_START = 123456  # FFmpeg takes a timestamp of 0 for none


def encode(
    images: Iterable[NDArray[np.uint8]], *, rate: int = RATE, gop: int = GOP, crf: int = 10
) -> list[list[bytes]]:
    """Return the NAL units of each picture, with a keyframe every `gop` pictures."""
    encoder: Any = None
    packets = []
    for number, image in enumerate(images):
        if encoder is None:
            encoder = av.CodecContext.create("libx264", "w")
            encoder.height, encoder.width, encoder.pix_fmt = *image.shape[:2], "yuv420p"
            encoder.time_base, encoder.framerate = Fraction(1, rate), Fraction(rate)
            encoder.options = {
                "tune": "zerolatency",
                "crf": str(crf),
                "x264-params": f"keyint={gop}:min-keyint={gop}:scenecut=0:repeat-headers=1"
                ":threads=1",
            }
        frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
        frame.pts = number
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return [_units(bytes(packet)) for packet in packets]


def _units(packet: bytes) -> list[bytes]:
    parts = packet.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")
    return [part for part in parts if part]


class Server(socketserver.ThreadingTCPServer):
    """Serves every client the same endless video, each from its own beginning."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int, options: argparse.Namespace) -> None:
        width, height = map(int, options.size.split("x"))
        self.options = options
        self.pictures = encode(moving_square(FRAMES, height, width))
        super().__init__(("127.0.0.1", port), Handler)


class Handler(socketserver.StreamRequestHandler):
    """One client: answers its requests, and plays when asked to."""

    server: Server

    def handle(self) -> None:
        with suppress(ConnectionError):
            self._serve()

    def _serve(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.server.options.mute:
            time.sleep(3600)
        while (request := self._request()) is not None:
            method, headers = request
            if not self._allowed(headers):
                self._answer(headers, "401 Unauthorized", 'WWW-Authenticate: Basic realm="test"')
            elif method == "DESCRIBE":
                self._answer(headers, "200 OK", "Content-Type: application/sdp", body=self._sdp())
            elif method == "SETUP":
                transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1"
                self._answer(headers, "200 OK", transport, "Session: 1")
            elif method == "PLAY":
                self._answer(headers, "200 OK", "Session: 1")
                self._play()
                return
            else:
                self._answer(headers, "200 OK", "Public: DESCRIBE, SETUP, PLAY", "Session: 1")

    def _request(self) -> tuple[str, dict[str, str]] | None:
        line = self.rfile.readline().decode()
        if not line:
            return None
        headers = {}
        while (header := self.rfile.readline().decode().strip()) != "":
            name, _, value = header.partition(":")
            headers[name.lower()] = value.strip()
        return line.split()[0], headers

    def _allowed(self, headers: dict[str, str]) -> bool:
        password = self.server.options.password
        wanted = "Basic " + base64.b64encode(password.encode()).decode()
        return not password or headers.get("authorization") == wanted

    def _answer(self, request: dict[str, str], status: str, *lines: str, body: str = "") -> None:
        head = [f"RTSP/1.0 {status}", f"CSeq: {request.get('cseq', 0)}", *lines]
        if body:
            head.append(f"Content-Length: {len(body)}")
        self.wfile.write("\r\n".join([*head, "", body]).encode())

    def _sdp(self) -> str:
        media = ["m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000", "a=control:track1"]
        media.append("a=fmtp:96 packetization-mode=1")
        return "\r\n".join(["v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=test", "t=0 0", *media, ""])

    def _play(self) -> None:
        options, start, self.sequence = self.server.options, time.monotonic(), 0
        count = 0
        while count != options.frames:
            number = count + options.join
            time.sleep(max(0.0, start + count / RATE - time.monotonic()))
            jump = options.jump if count >= FRAMES else 0
            stamp = _START + round((number / RATE + jump) * 90000)
            if number != options.drop:
                self._send(self.server.pictures[number % FRAMES], stamp)
            count += 1
        time.sleep(3600)  # silent, and still connected

    def _send(self, units: list[bytes], stamp: int) -> None:
        payloads = [payload for unit in units for payload in _payloads(unit)]
        for index, payload in enumerate(payloads):
            last = index == len(payloads) - 1
            head = struct.pack(">BBHII", 0x80, 96 | last << 7, self.sequence, stamp & 0xFFFFFFFF, 7)
            self.wfile.write(struct.pack(">cBH", b"$", 0, 12 + len(payload)) + head + payload)
            self.sequence = (self.sequence + 1) & 0xFFFF


def _payloads(unit: bytes) -> list[bytes]:
    """Cut a NAL unit into what fits into RTP packets (RFC 6184, 5.8: FU-A)."""
    if len(unit) <= _MOST:
        return [unit]
    kind, body = unit[0] & 31, unit[1:]
    pieces = [body[at : at + _MOST] for at in range(0, len(body), _MOST)]
    flags = [0] * len(pieces)
    flags[0], flags[-1] = 0x80, 0x40
    indicator = unit[0] & 0xE0 | 28
    return [bytes([indicator, f | kind]) + p for f, p in zip(flags, pieces, strict=True)]


class Camera:
    """The server in a process of its own, on a port that stays the same."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"rtsp://127.0.0.1:{self.port}/live"
        self._process: subprocess.Popen[str] | None = None

    def start(self, *options: str) -> None:
        """Start it and wait until it listens."""
        command = [sys.executable, str(Path(__file__)), str(self.port), *options]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        """Kill it as a camera dies whose plug is pulled."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--size", default="64x48")
    parser.add_argument("--join", type=int, default=0, help="the first picture sent")
    parser.add_argument("--drop", type=int, default=-1, help="a picture left out")
    parser.add_argument("--frames", type=int, default=-1, help="pictures sent, then silence")
    parser.add_argument("--jump", type=float, default=0, help="seconds, after the first 20")
    parser.add_argument("--mute", action="store_true", help="accept and never answer")
    parser.add_argument("--password", default="", help="name:password")
    options = parser.parse_args()
    with Server(options.port, options) as server:
        print("ready", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
