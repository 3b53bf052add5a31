"""Publishing over a network: RTSP, RTMP, SRT and UDP, in a process of its own (`publish.py`)."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from motionveil.bind_address import shown
from motionveil.errors import MotionveilError
from motionveil.video import publish
from motionveil.video.codecs import LIVE_H264, Muxing, metadata_for
from motionveil.video.packets import Packet, PacketSink
from motionveil.video.reopening import LostError, RealtimeSink
from motionveil.video.sinks import SinkOptions, register

_BITEXACT = {"fflags": "+bitexact", "flush_packets": "1"}
_RTSP = Muxing("rtsp", {**_BITEXACT, "rtsp_transport": "tcp"})
_FLV = Muxing("flv", {**_BITEXACT, "flvflags": "no_duration_filesize"})
_MPEG_TS = Muxing("mpegts", _BITEXACT)
_MUXING = {
    "rtsp": _RTSP,
    "rtsps": _RTSP,
    "rtmp": _FLV,
    "rtmps": _FLV,
    "udp": _MPEG_TS,
    "srt": _MPEG_TS,
}
_DATAGRAM = 1316  # bytes: seven packets of MPEG-TS, which fit into an Ethernet frame


def _has_scheme(*schemes: str) -> Callable[[str], bool]:
    return lambda dest: "://" in dest and dest.partition("://")[0].lower() in schemes


def _check(dest: str, codec: str | None) -> None:
    if not dest.isprintable() or not dest.partition("://")[2].strip("/"):
        raise MotionveilError(f"{shown(dest)}: no address; write SCHEME://HOST:PORT/NAME")
    if codec not in (None, "h264"):
        raise MotionveilError(f"{shown(dest)}: is sent H.264, not --codec {codec}")


@register(
    "srt://HOST:PORT",
    "MPEG-TS over SRT, if PyAV's FFmpeg has it",
    takes=_has_scheme("srt"),
    check=_check,
)
@register(
    "udp://HOST:PORT",
    "MPEG-TS in datagrams, multicast too",
    takes=_has_scheme("udp"),
    check=_check,
)
@register(
    "rtmp://HOST/APP/NAME",
    "publish at an RTMP server; also rtmps",
    takes=_has_scheme("rtmp", "rtmps"),
    check=_check,
)
@register(
    "rtsp://HOST:PORT/NAME",
    "publish at an RTSP server, over TCP; also rtsps",
    takes=_has_scheme("rtsp", "rtsps"),
    check=_check,
)
def open_broadcast(dest: str, options: SinkOptions) -> PacketSink:
    """Open an address, with back-off for as long as it does not answer."""
    scheme, _, rest = dest.partition("://")
    scheme = scheme.lower()  # FFmpeg knows small letters only
    if scheme == "udp" and "pkt_size=" not in rest:
        rest += f"{'&' if '?' in rest else '?'}pkt_size={_DATAGRAM}"
    muxing = _MUXING[scheme]
    url, metadata = f"{scheme}://{rest}", metadata_for(muxing.container, options.comment)

    def connect(stream: Any) -> Publisher:
        return Publisher(url, muxing, stream, metadata=metadata)

    return RealtimeSink(shown(dest), LIVE_H264, connect, notice=options.notice)


class Publisher:
    """Publishes packets at an address.

    Args:
        url: The address, with name and password if it needs them.
        stream: What the packets are of: a stream of FFmpeg.
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
