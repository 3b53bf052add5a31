"""The side of `publish.py` that asks: an address that takes packets, behind a process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from motionveil.video import publish
from motionveil.video.codecs import Muxing
from motionveil.video.packets import Packet
from motionveil.video.reopening import LostError


class Publisher:
    """Publishes packets at an address.

    Args:
        url: The address, with name and password if it needs them.
        muxing: What is sent there.
        stream: What the packets are of: a stream of FFmpeg.
        metadata: What the container says of itself.
    """

    def __init__(self, url: str, muxing: Muxing, stream: Any, *, metadata: dict[str, str]) -> None:
        order = {
            "url": url,
            "container": muxing.container,
            "options": muxing.options,
            "metadata": metadata,
            "codec": stream.codec_context.codec.canonical_name,
            "width": stream.width,
            "height": stream.height,
            "rate": stream.codec_context.framerate.as_integer_ratio(),
            "time_base": stream.codec_context.time_base.as_integer_ratio(),
        }
        # -P: the modules beside the program are not those that PyAV means.
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(Path(publish.__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._orders, self._answers = self._process.stdin, self._process.stdout
        self._send(json.dumps(order).encode() + b"\n")

    def write(self, packet: Packet) -> None:
        """Send a packet, and wait until it is written.

        Raises:
            LostError: It cannot be written, or the other side does not answer in time.
        """
        head = publish.HEAD.pack(
            len(packet.data), packet.pts, packet.dts, packet.duration, packet.key
        )
        self._send(head + packet.data)
        answer = self._answers.readline()
        if answer != publish.TAKEN:
            raise self._reason(answer)

    def close(self) -> None:
        """Finish the stream, and wait until the process has ended."""
        with suppress(OSError):
            self._orders.close()
        self._process.wait()
        self._answers.close()

    def kill(self) -> None:
        """End the process now; see `KillableConnection`."""
        self._process.kill()

    def _send(self, data: bytes) -> None:
        with suppress(OSError):  # that the process has ended, and why, its answer will tell
            self._orders.write(data)
            self._orders.flush()

    def _reason(self, answer: bytes) -> LostError:
        if answer:
            said = json.loads(answer)
            return LostError(said["reason"], hopeless=said["hopeless"])
        code = self._process.wait()
        if code == -getattr(signal, "SIGALRM", 0):
            return LostError(f"no answer for {publish.PATIENCE} s")
        return LostError(f"publishing ended with status {code}")
