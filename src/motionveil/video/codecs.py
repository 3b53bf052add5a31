"""How each kind of video file is written: container, codec, pixel format and their settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal

from motionveil.errors import MotionveilError

Codec = Literal["h264", "ffv1", "vp9"]

CODECS: dict[str, tuple[Codec, ...]] = {
    ".mp4": ("h264",),
    ".mkv": ("ffv1", "h264"),
    ".webm": ("vp9",),
}
"""The codecs of each suffix, the usual one first."""

MATROSKA = ("matroska", "webm")
"""FFmpeg's names of the containers that are Matroska."""

_CONTAINERS = {".mp4": "mp4", ".mkv": "matroska", ".webm": "webm"}
_LIBRARIES: dict[Codec, str] = {"h264": "libx264", "ffv1": "ffv1", "vp9": "libvpx-vp9"}

_WHOLE: dict[Codec, dict[str, str]] = {
    "h264": {"preset": "veryfast", "crf": "18"},
    "ffv1": {"level": "3"},
    "vp9": {"crf": "24", "b": "0", "deadline": "realtime", "cpu-used": "7", "row-mt": "1"},
}
# A live encoder must not hold frames back: no reordering, no looking ahead, a key frame a second
# or so (by `gop_size`), so that whoever joins or recovers the file sees a picture soon.
# Parameter sets come with every key frame too, for viewers who join a broadcast late, and key
# frames come regularly, so that files that are cut have the length asked for.
_LIVE: dict[Codec, dict[str, str]] = {
    "h264": {
        "preset": "veryfast",
        "crf": "18",
        "tune": "zerolatency",
        "x264-params": "repeat-headers=1:scenecut=0",
    },
    "ffv1": {"level": "3"},
    "vp9": {**_WHOLE["vp9"], "lag-in-frames": "0"},
}
# Whole clusters or fragments reach the file once per second, whatever happens afterwards. With a
# trailer FFmpeg would not tell that the last fragment did not fit on the disk.
_LIVE_MUXING = {
    ".mp4": {
        "movflags": "empty_moov+default_base_moof+frag_keyframe+skip_trailer",
        "frag_duration": "1000000",  # microseconds
        "flush_packets": "1",
    },
    ".mkv": {"cluster_time_limit": "1000", "flush_packets": "1"},  # milliseconds
    ".webm": {"cluster_time_limit": "1000", "flush_packets": "1"},
}


@dataclass(frozen=True)
class Encoding:
    """How frames are encoded; what is to be encoded alike is encoded once.

    Attributes:
        codec: Its name here.
        live: No frame is held back, and there is a key frame a second.
    """

    codec: Codec
    live: bool

    @property
    def library(self) -> str:
        """FFmpeg's name of the encoder."""
        return _LIBRARIES[self.codec]

    @property
    def options(self) -> dict[str, str]:
        """FFmpeg's options of the encoder."""
        return dict((_LIVE if self.live else _WHOLE)[self.codec])

    @property
    def lossless(self) -> bool:
        """Whether the RGB read back is the RGB written."""
        return self.codec == "ffv1"

    def pixel_format(self, width: int, height: int) -> str:
        """Return FFmpeg's name of the pixel format for a size.

        4:2:0 needs even sizes. Odd ones are 4:4:4, which keeps the size but which some browsers do
        not play.
        """
        if self.lossless:
            return "bgr0"
        return "yuv420p" if width % 2 == height % 2 == 0 else "yuv444p"


LIVE_H264 = Encoding("h264", live=True)
"""What every broadcast carries."""


@dataclass(frozen=True)
class Muxing:
    """How packets are written: FFmpeg's name of the container, and its options."""

    container: str
    options: dict[str, str] = field(default_factory=dict)


def unknown_format(path: Path) -> MotionveilError:
    """Return the error for a file of no known format."""
    return MotionveilError(
        f"{path}: cannot write {path.suffix or 'a file without suffix'!r};"
        " the name must end in .mp4 (H.264) or .mkv (lossless FFV1) or .webm (VP9)"
    )


def encoding_for(path: Path, *, codec: str | None, live: bool) -> Encoding:
    """Choose by a file's suffix, and the codec if one is asked for.

    Raises:
        MotionveilError: There is no such format, or it has no such codec.
    """
    suffix = path.suffix.lower()
    if suffix not in CODECS:
        raise unknown_format(path)
    chosen = next((name for name in CODECS[suffix] if codec in (None, name)), None)
    if chosen is None:
        raise MotionveilError(
            f"{path}: {suffix} does not take the codec {codec!r}; it takes"
            f" {' or '.join(CODECS[suffix])}"
        )
    return Encoding(chosen, live)


def muxing_for(path: Path, *, live: bool, time_base: Fraction) -> Muxing:
    """Return how a file with one of the suffixes in `CODECS` is written."""
    suffix = path.suffix.lower()
    # "bitexact" keeps the names and versions of the libraries out of the file.
    options = {"fflags": "+bitexact"}
    if live:
        options |= _LIVE_MUXING[suffix]
    elif suffix == ".mp4":
        options["movflags"] = "faststart"
    if suffix == ".mp4":
        # The movie's clock dates the first frame; by default it counts milliseconds only.
        options["movie_timescale"] = str(time_base.denominator)
    return Muxing(_CONTAINERS[suffix], options)


def metadata_for(container: str, comment: str | None) -> dict[str, str]:
    """Return what carries a comment in a container, where it can carry one."""
    if comment is None:
        return {}
    if container in ("mpegts", "hls"):
        return {"service_name": comment, "service_provider": "motionveil"}
    return {"title" if container == "rtsp" else "comment": comment}
