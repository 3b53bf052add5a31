"""Broadcasting veiled video to other machines: RTSP, RTMP, MPEG-TS over UDP and SRT."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from motionveil.bind_address import shown
from motionveil.errors import MotionveilError
from motionveil.video.codecs import LIVE_H264, Muxing, metadata_for
from motionveil.video.packets import PacketSink
from motionveil.video.publisher import Publisher
from motionveil.video.reopening import RealtimeSink
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
