"""Publish packets at an address: a program, so that whatever hangs can be killed.

PyAV connects and closes within calls that stop all threads of a Python process, for as long as the
other side likes. This program is run with the address and the packets on its standard input, where
no list of processes shows them, and imports nothing but PyAV; see `sinks/network.py`.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import sys
from contextlib import suppress
from fractions import Fraction
from typing import Any, BinaryIO

import av

HEAD = struct.Struct(">IqqI?")
"""Before each packet: its size, pts, dts and duration, and whether it is a key frame."""

TAKEN = b"taken\n"
"""The answer to each packet that was written; else a line of JSON, and the end."""

PATIENCE = 10
"""Seconds that a call of FFmpeg may take; then the system ends this process (`SIGALRM`)."""

_HOPELESS = (
    av.error.HTTPUnauthorizedError,
    av.error.HTTPForbiddenError,
    av.error.ProtocolNotFoundError,
)


def main(source: BinaryIO, answers: BinaryIO) -> None:
    """Write what comes until it ends or fails."""
    order = json.loads(source.readline())
    container = None
    try:
        while head := source.read(HEAD.size):
            size, pts, dts, duration, key = HEAD.unpack(head)
            data = source.read(size)
            if len(data) < size:
                return  # the parent process was killed
            packet = av.Packet(data)
            packet.pts, packet.dts, packet.duration, packet.is_keyframe = pts, dts, duration, key
            packet.time_base = Fraction(*order["time_base"])
            _set_alarm(PATIENCE)
            is_first = container is None
            if container is None:
                container = _open(order)
            packet.stream = container.streams[0]
            container.mux(packet)  # the first one connects
            if is_first:
                _limit_retransmission()
            _set_alarm(0)
            answers.write(TAKEN)
            answers.flush()
        if container is not None:
            _set_alarm(PATIENCE)
            container.close()
    # Not the error itself: its text holds the address with its password.
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        answer = {"reason": reason, "hopeless": isinstance(error, _HOPELESS)}
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()
        os._exit(1)  # PyAV would try to finish what cannot be written


def _open(order: dict[str, Any]) -> Any:
    container = av.open(order["url"], "w", format=order["container"], options=order["options"])
    container.metadata.update(order["metadata"])
    stream: Any = container.add_mux_stream(
        order["codec"], rate=Fraction(*order["rate"]), width=order["width"], height=order["height"]
    )
    stream.time_base = Fraction(*order["time_base"])
    return container


def _set_alarm(seconds: int) -> None:
    if hasattr(signal, "alarm"):  # not on Windows
        signal.alarm(seconds)


def _limit_retransmission() -> None:
    """Let the kernel tell of a peer that has vanished, as after a power cut, in time.

    By default it sends again for a quarter of an hour. FFmpeg has no option for that; the sockets
    of this process are those that FFmpeg has opened.
    """
    for descriptor in range(3, 64):
        with suppress(OSError, AttributeError), socket.socket(fileno=os.dup(descriptor)) as opened:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, PATIENCE * 1000)


if __name__ == "__main__":
    # Ctrl-C and SIGTERM are for the parent process, which closes the standard input in the end.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    main(sys.stdin.buffer, sys.stdout.buffer)
