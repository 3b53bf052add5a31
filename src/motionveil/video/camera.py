"""How to open a camera of this machine, by platform."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

from motionveil.bind_address import shown
from motionveil.errors import MotionveilError
from motionveil.video.live import LiveInput

_DEVICES = Path("/dev")
_NAMES = Path("/sys/class/video4linux")


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
