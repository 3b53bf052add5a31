"""How each kind of video file is written: container, codec, pixel format and their settings."""

from __future__ import annotations

from dataclasses import dataclass
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

_CONTAINERS = {".mp4": "mp4", ".mkv": "matroska", ".webm": "webm"}
_LIBRARIES: dict[Codec, str] = {"h264": "libx264", "ffv1": "ffv1", "vp9": "libvpx-vp9"}

_WHOLE: dict[Codec, dict[str, str]] = {
    "h264": {"preset": "veryfast", "crf": "18"},
    "ffv1": {"level": "3"},
    "vp9": {"crf": "24", "b": "0", "deadline": "realtime", "cpu-used": "7", "row-mt": "1"},
}
# A live encoder must not hold frames back: no reordering, no looking ahead, a key frame a second
# or so (by `gop_size`), so that whoever joins or recovers the file sees a picture soon.
_LIVE: dict[Codec, dict[str, str]] = {
    "h264": {"preset": "veryfast", "crf": "18", "tune": "zerolatency"},
    "ffv1": {"level": "3"},
    "vp9": {**_WHOLE["vp9"], "lag-in-frames": "0"},
}
# Whole clusters or fragments reach the file once a second, whatever happens afterwards.
_LIVE_MUXING = {
    ".mp4": {
        "movflags": "empty_moov+default_base_moof+frag_keyframe",
        "frag_duration": "1000000",  # microseconds
        "flush_packets": "1",
    },
    ".mkv": {"cluster_time_limit": "1000", "flush_packets": "1"},  # milliseconds
    ".webm": {"cluster_time_limit": "1000", "flush_packets": "1"},
}


@dataclass(frozen=True)
class Settings:
    """How one file is written.

    Attributes:
        container: FFmpeg's name of the container.
        library: FFmpeg's name of the encoder.
        codec: Ours.
        muxing: Options of the container.
        encoding: Options of the encoder.
        lossless: The RGB read back is the RGB written.
    """

    container: str
    library: str
    codec: Codec
    muxing: dict[str, str]
    encoding: dict[str, str]

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


def unknown_format(path: Path) -> MotionveilError:
    """Return the error for a file of no known format."""
    return MotionveilError(
        f"{path}: cannot write {path.suffix or 'a file without suffix'!r};"
        " the name must end in .mp4 (H.264) or .mkv (lossless FFV1) or .webm (VP9)"
    )


def settings_for(path: Path, *, codec: str | None, live: bool, time_base: Fraction) -> Settings:
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
    # "bitexact" keeps the names and versions of the libraries out of the file.
    muxing = {"fflags": "+bitexact"}
    if live:
        muxing |= _LIVE_MUXING[suffix]
    elif suffix == ".mp4":
        muxing["movflags"] = "faststart"
    if suffix == ".mp4":
        # The movie's clock dates the first frame; by default it counts milliseconds only.
        muxing["movie_timescale"] = str(time_base.denominator)
    encoding = dict((_LIVE if live else _WHOLE)[chosen])
    return Settings(_CONTAINERS[suffix], _LIBRARIES[chosen], chosen, muxing, encoding)
