"""Trying out what a service's file says, without starting it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from motionveil.secret import without_secrets
from motionveil.service.channel import receive
from motionveil.service.config import Camera
from motionveil.service.read_config import ServiceConfig
from motionveil.service.supervised import Process, start_process

_MARGIN = 30.0  # seconds beside those that the source has: to load and to compile


def check(config: ServiceConfig, say: Callable[[str], None]) -> bool:
    """Probe every camera in a process of its own, and say what was found.

    Loads the encoder or recogniser, checks the destinations, opens the source and reads a frame.
    Writes nothing.

    Returns:
        Whether all is well.
    """
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda camera: _probe(camera, config.folder), config.cameras.values())
        fine = True
        for name, (text, is_fine) in zip(config.cameras, found, strict=True):
            say(f"{name}: {'' if is_fine else 'error: '}{text}")
            fine = fine and is_fine
    return fine


def _probe(camera: Camera, folder: Path) -> tuple[str, bool]:
    process = start_process(camera, folder, "probe")
    try:
        text, fine = _answer(process, time.monotonic() + camera.limits.give_up + _MARGIN)
    finally:
        complaints = [] if process.end(0.5) == 0 else process.complaints.readlines()
    if not text:
        last = complaints[-1].decode(errors="replace").strip() if complaints else "no answer"
        text = f"the probe failed: {last}"
    return without_secrets(text, camera.secrets), fine


def _answer(process: Process, end: float) -> tuple[str, bool]:
    """Return what the probe says and whether it is well; "" if it says nothing in time."""
    try:
        while process.connection.poll(max(0.0, end - time.monotonic())):
            said = receive(process.connection)
            if isinstance(said, Mapping) and said["kind"] in ("probed", "failed"):
                return said["text"], said["kind"] == "probed"
    except (EOFError, OSError):
        pass
    return "", False
