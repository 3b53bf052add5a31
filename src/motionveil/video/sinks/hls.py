"""A folder that a web server hands out as HTTP Live Streaming."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from motionveil.atomic_write import make_folder
from motionveil.errors import MotionveilError
from motionveil.video.codecs import LIVE_H264, Muxing, metadata_for
from motionveil.video.packets import Muxer, Packet, PacketSink, local
from motionveil.video.reopening import ReopeningSink, writing
from motionveil.video.sinks import SinkOptions, register

_SECONDS = 2  # of a segment
_LISTED = 6  # segments in the playlist; those that leave it are deleted, one of them later


class _Playlist:
    """A playlist and its segments; a connection of `ReopeningSink`."""

    def __init__(self, path: Path, metadata: dict[str, str], stream: Any) -> None:
        segments = path.with_name(f"{path.stem}-%d.ts")
        with writing():
            # Those of an earlier run stand in no playlist, so that nobody would delete them.
            for old in path.parent.glob(f"{path.stem}-[0-9]*.ts*"):
                old.unlink(missing_ok=True)
        muxing = Muxing(
            "hls",
            {
                "hls_time": str(_SECONDS),
                "hls_list_size": str(_LISTED),
                "hls_flags": "delete_segments+temp_file+independent_segments",
                # Players and caches never take a segment for that of an earlier run.
                "hls_start_number_source": "epoch",
                "hls_segment_filename": local(segments),
                "hls_segment_options": "fflags=+bitexact",
                "fflags": "+bitexact",
            },
        )
        self._muxer = Muxer(path, muxing, stream, metadata=metadata)

    def write(self, packet: Packet) -> None:
        with writing():
            self._muxer.write(packet)

    def close(self) -> None:
        with writing():
            self._muxer.close()


class _HlsSink(ReopeningSink):
    def __enter__(self) -> _HlsSink:
        make_folder(Path(self.name).parent)
        return self


def _is_playlist(dest: str) -> bool:
    return "://" not in dest and Path(dest).suffix.lower() == ".m3u8"


def _check(dest: str, codec: str | None) -> None:
    if "%" in dest:
        raise MotionveilError(f"{dest}: the name of a playlist takes no %")
    if codec not in (None, "h264"):
        raise MotionveilError(f"{dest}: holds H.264, not --codec {codec}")


@register("hls/live.m3u8", "HLS, rotating, for a web server", takes=_is_playlist, check=_check)
def open_playlist(dest: str, options: SinkOptions) -> PacketSink:
    """Open a playlist."""
    metadata = metadata_for("hls", options.comment)
    return _HlsSink(
        dest,
        LIVE_H264,
        lambda stream: _Playlist(Path(dest), metadata, stream),
        notice=options.notice,
    )
