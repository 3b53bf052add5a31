"""Opening a source of video: a file, a folder, a camera, a stream, a pipe."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from threading import Event
from typing import Any, BinaryIO

from motionveil.bind_address import STREAM_SCHEMES, shown
from motionveil.errors import MotionveilError
from motionveil.video.live import GIVE_UP, Decode, LiveInput, LiveSource
from motionveil.video.pipe import PipeSource
from motionveil.video.reader import FOLDER_RATE, probe, read_frames
from motionveil.video.synthetic import synthetic_source
from motionveil.video.types import Frame, Source, VideoInfo

_DEVICES = Path("/dev")
_NAMES = Path("/sys/class/video4linux")

_WAYS = (
    "a source is a file, a folder of frames, camera, camera:1, camera:NAME, an address"
    f" ({', '.join(f'{scheme}://' for scheme in STREAM_SCHEMES)}), - (a pipe), test:640x480@30"
    " or test:actors"
)


class FileSource:
    """A video file, or a folder of frames: every frame, or an error.

    Args:
        path: The file or folder.
        rate: Frames a second of a folder.

    Raises:
        MotionveilError: There is no video; see `probe`.
    """

    live = False
    damaged = 0

    def __init__(self, path: str | os.PathLike[str], *, rate: Fraction | int = FOLDER_RATE) -> None:
        self.name = os.fspath(path)
        if not os.path.exists(path):  # an address in the place of a file may hold a password
            raise MotionveilError(f"{shown(self.name)}: no such file")
        self.info: VideoInfo | None = probe(path, rate=rate)
        self._path, self._rate = Path(path), rate

    def frames(self, stop: Event) -> Iterator[Frame]:
        """Yield the frames; see `Source.frames` and `read_frames`, whose errors it raises."""
        for frame in read_frames(self._path, rate=self._rate):
            if stop.is_set():
                return
            yield frame


def open_source(
    written: str | os.PathLike[str],
    *,
    rate: Fraction | int = FOLDER_RATE,
    give_up: float = GIVE_UP,
    notice: Callable[[str], None] = lambda line: None,
    name: str | None = None,
    decode: Decode = "none",
) -> Source:
    """Return the source that is meant.

    - what exists: a video file, a folder of frames, or a named pipe (`<(...)` of a shell, too);
    - `camera`, `camera:1`, `camera:NAME`, `camera:/dev/video2`: a camera of this machine;
    - `rtsp://`, `rtsps://`, `http://`, `https://`, `rtmp://`, `udp://`, `srt://`: a stream;
    - `-`: standard input (Y4M, MPEG-TS, Matroska, ...);
    - `test`, `test:640x480@30`, `test:actors`: a made-up camera, in real time.

    A network is not asked before `frames` is.

    Args:
        written: One of these.
        rate: Frames a second of a folder of frames.
        give_up: Seconds after which a camera or stream that sends no frame is an error.
        notice: Called with one line when a connection is lost or restored, or data are damaged.
        decode: What decodes cameras and streams, see `LiveSource`. Files, pipes and folders are
            decoded by the processor, which refuses damage.
        name: What errors call it where what is written is a secret; `shown(written)` if None.

    Raises:
        MotionveilError: It is none of these, or the file or camera cannot be read.
    """
    text = os.fspath(written)
    if text == "-":
        return PipeSource(notice=notice)
    if os.path.exists(text):
        if not (os.path.isfile(text) or os.path.isdir(text) or is_camera(text)):
            return PipeSource(_opened_pipe(text), name=text, notice=notice)
        return FileSource(text, rate=rate)
    name = name or shown(text)
    live: dict[str, Any] = {"give_up": give_up, "notice": notice, "decode": decode}
    if is_camera(text):
        return LiveSource(camera_input(text, name=name), **live)
    if is_address(text):
        return LiveSource(network_input(text), **live)
    synthetic = synthetic_source(text)
    if synthetic is not None:
        return synthetic
    # An address that is not quite one is not repeated: its password would be, too.
    hidden = "" if name == text else " (not shown whole: it may hold a password)"
    raise MotionveilError(f"{name}: no such file{hidden}; {_WAYS}")


def _opened_pipe(path: str) -> BinaryIO:
    try:
        return open(path, "rb", buffering=0)
    except OSError as error:
        raise MotionveilError(f"{path}: cannot be read: {error.strerror}") from error


def is_address(written: str) -> bool:
    """Say whether this is the address of a stream."""
    scheme, separator, _ = written.partition("://")
    return bool(separator) and scheme.lower() in STREAM_SCHEMES


def network_input(address: str) -> LiveInput:
    """Return how to open the stream at an address.

    Args:
        address: With one of the `STREAM_SCHEMES`; may hold a name and a password, see `shown`.

    Raises:
        MotionveilError: A character in it can stand in no address.
    """
    scheme, _, rest = address.partition("://")
    scheme = scheme.lower()  # FFmpeg knows small letters only
    # The error that Python's own way to FFmpeg would raise can quote the address.
    if not address.isprintable():
        raise MotionveilError(f"{shown(address)}: an address has no line breaks or control signs")
    # FFmpeg looks at five seconds of a stream, which is our time-out, and at twenty frames to
    # know its rate, which is a hint here: all that time frames would come late.
    options = {"analyzeduration": "2000000", "fpsprobesize": "3"}
    if scheme in ("rtsp", "rtsps"):
        # UDP loses packets and stops at firewalls. Sound is not even sent.
        options |= {"rtsp_transport": "tcp", "allowed_media_types": "video"}
    return LiveInput(
        shown(address),
        f"{scheme}://{rest}",
        options=options,
        finite=scheme in ("http", "https"),
    )


def is_camera(written: str) -> bool:
    """Say whether this is a way to write a camera."""
    return written == "camera" or written.startswith("camera:")


def camera_input(
    written: str,
    platform: str = sys.platform,
    devices: Callable[[], list[tuple[str, str]]] | None = None,
    *,
    name: str | None = None,
) -> LiveInput:
    """Return how to open a camera.

    Args:
        written: `camera` (the first), `camera:1` (by number), `camera:NAME` (by name), and on
            Linux `camera:/dev/video2`.
        platform: As `sys.platform`.
        devices: Lists the cameras: what FFmpeg calls each, and its name. The machine's if None.
        name: What messages call it; `shown(written)` if None.

    Raises:
        MotionveilError: There is no such camera; the message lists those there are. (Where
            FFmpeg opens a camera by what was written, on macOS, it says so itself.)
    """
    which = written.partition(":")[2] or "0"
    name = name or shown(written)
    if platform == "darwin":
        # Its default, 29.97, is refused by cameras that offer 30. "none": no sound.
        return LiveInput(name, f"{which}:none", "avfoundation", {"framerate": "30"})
    if platform == "win32":
        shown_as = _find(name, which, (devices or _directshow)())
        return LiveInput(name, f"video={shown_as}", "dshow")
    found = (devices or video4linux)()
    if which.isdecimal():
        which = f"/dev/video{which}"
    there = which in dict(found) or os.path.exists(which)
    device = which if there else _by_name(which, found)
    if device is None:
        raise MotionveilError(f"{name}: no such camera; {_there_are(found)}")
    return LiveInput(name, device, "video4linux2")


def cameras(platform: str = sys.platform) -> list[tuple[str, str]] | None:
    """List a machine's cameras, device and name; None where the system does not tell."""
    if platform == "darwin":
        return None
    return _directshow() if platform == "win32" else video4linux()


def video4linux() -> list[tuple[str, str]]:
    """List the cameras of a Linux machine: device and name."""
    nodes = [path for path in _DEVICES.glob("video*") if re.fullmatch(r"video\d+", path.name)]
    return [(str(node), _name(node)) for node in sorted(nodes, key=lambda node: int(node.name[5:]))]


def _name(node: Path) -> str:
    try:
        return (_NAMES / node.name / "name").read_text(encoding="utf-8").strip()
    except OSError:
        return node.name


def _directshow() -> list[tuple[str, str]]:
    from av.device import enumerate_input_devices

    found = enumerate_input_devices("dshow")
    return [(d.name, d.description or d.name) for d in found if "video" in d.media_types]


def _find(name: str, which: str, found: list[tuple[str, str]]) -> str:
    by_number = which.isdecimal() and int(which) < len(found)
    device = found[int(which)][0] if by_number else _by_name(which, found)
    if device is None:
        raise MotionveilError(f"{name}: no such camera; {_there_are(found)}")
    return device


def _by_name(which: str, found: list[tuple[str, str]]) -> str | None:
    wanted = which.casefold()
    for device, name in found:
        if wanted in (name.casefold(), device.casefold()):
            return device
    return next((device for device, name in found if wanted in name.casefold()), None)


def _there_are(found: list[tuple[str, str]]) -> str:
    if not found:
        return "there is no camera on this machine"
    return "there are " + ", ".join(
        device if name == Path(device).name else f"{device} ({name})" for device, name in found
    )
