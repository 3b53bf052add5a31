"""One camera's process: started, listened to, started again when it ends, stopped."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.hub import fetch, is_hub_name
from motionveil.recognition.artefact import fetch_numbers
from motionveil.secret import without_secrets
from motionveil.service.camera_state import CameraState
from motionveil.service.channel import message, receive
from motionveil.service.config import Camera
from motionveil.service.log import Level, Log
from motionveil.spec import FILE_NAME as ENCODER
from motionveil.streaming.preview_site import Screen

STOPS_WITHIN = 3.5
"""Seconds that a process has to finish its recordings; then it is killed."""

_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0  # seconds before a process is started again
_STEADY = 60.0  # seconds that a process must run for the wait to be short again
_HANGS = 60.0  # seconds without a word after which a process counts as hanging
_LOOK = 0.2  # seconds between two looks at whether to stop
_RATE = 15.0  # images per second on the page, at most
_MEBIBYTE = 1 << 20


class Supervised:
    """Keeps the process of one camera running, in a thread, until it is stopped.

    Args:
        camera: The camera.
        folder: Working directory of the process; names in the file are relative to it.
        log: Called with what happens.
        state: What is known of a camera of this name so far.

    Attributes:
        camera: The camera.
        state: What is known of it.
        screen: Its images; None if they are not to be shown.
    """

    def __init__(
        self, camera: Camera, folder: Path, log: Log, state: CameraState | None = None
    ) -> None:
        self.camera, self._folder = camera, folder
        self._log = log.of(camera.name)
        self.state = state or CameraState()
        self.screen = Screen(_RATE) if camera.preview else None
        self._stopping = Event()
        self._reason = ""
        self._resolved = camera
        self._thread = Thread(target=self._work, name=f"camera {camera.name}", daemon=True)

    def start(self) -> None:
        """Start; returns at once."""
        if self.screen is not None:
            Thread(target=self.screen.encode, name="encode", daemon=True).start()
        self._thread.start()

    def stop(self) -> None:
        """Ask the process to finish; returns at once."""
        self._stopping.set()

    def join(self) -> None:
        """Wait until the process is gone."""
        self._thread.join()
        if self.screen is not None:
            self.screen.close()

    def _work(self) -> None:
        wait = _FIRST_WAIT
        while not self._stopping.is_set():
            started = time.monotonic()
            try:
                status = self._run_once()
            except Exception as error:  # no memory for a process; a fault of ours costs no camera
                kind = "" if isinstance(error, MotionveilError) else f"{type(error).__name__}: "
                self._reason, status = f"{kind}{error}", 1
            self.state.problem = self._reason or _describe(status)
            self.state.ended()
            if self._stopping.is_set():
                break
            if status == 0 and not self._reason:
                self._say("the source has ended")
                self.state.enter("ended")
                return
            if time.monotonic() - started > _STEADY:
                wait = _FIRST_WAIT
            self.state.restarts += 1
            self.state.enter("restarting")
            self._say(f"{self.state.problem}; starting again in {wait:.0f} s", "error")
            self._stopping.wait(wait)
            wait = min(2 * wait, _LONGEST_WAIT)
        self.state.enter("stopped")

    def _run_once(self) -> int:
        """Run a process to its end, and return its exit status."""
        self.state.started()
        self._reason = ""
        if not self._resolve():
            return 1
        process = start_process(self._resolved, self._folder, "run")
        complaints = Thread(target=self._read_complaints, args=[process], daemon=True)
        complaints.start()
        self._say(f"started, process {process.pid}")
        patience = 0.0
        try:
            patience = self._listen(process)
        finally:
            status = process.end(patience)
        complaints.join(1.0)
        return status

    def _resolve(self) -> bool:
        """Find the commits that the camera's names stand for, once: every start has the same.

        Returns:
            Whether they are known; the hub can take long to answer, and is not waited for when
            the service stops.
        """
        found: list[Camera | Exception] = []

        def work() -> None:
            try:
                found.append(pinned(self._resolved))
            except Exception as error:
                found.append(error)

        asking = Thread(target=work, name="hub", daemon=True)
        asking.start()
        while asking.is_alive() and not self._stopping.is_set():
            asking.join(_LOOK)
        if not found:
            return False
        if isinstance(found[0], Exception):
            raise found[0]
        self._resolved = found[0]
        return True

    def _listen(self, process: Process) -> float:
        """Take what a process says until it ends; return the seconds that are left for that."""
        heard = time.monotonic()
        deadline: float | None = None
        watched = False
        try:
            while True:
                if process.connection.poll(_LOOK):
                    self._take(receive(process.connection))
                    heard = time.monotonic()
                if deadline is None and self._should_stop(heard):
                    process.connection.send_bytes(b"stop")
                    deadline = time.monotonic() + STOPS_WITHIN
                if deadline is not None and time.monotonic() > deadline:
                    self._say("does not stop in time: killed", "warning")
                    return 0.0
                wanted = self.screen is not None and bool(self.screen.viewers)
                if wanted != watched:
                    process.connection.send_bytes(b"watch" if wanted else b"rest")
                    watched = wanted
        except (EOFError, OSError):  # it has ended, or is about to
            return STOPS_WITHIN if deadline is None else max(0.1, deadline - time.monotonic())

    def _should_stop(self, heard: float) -> bool:
        """Say whether the process is to end; if not by our user's wish, note why."""
        most = self.camera.limits.memory
        if self._stopping.is_set():
            return True
        if time.monotonic() - heard > _HANGS:
            self._reason = f"said nothing for {_HANGS:.0f} s"
        elif most is not None and self.state.memory > most * _MEBIBYTE:
            used = self.state.memory // _MEBIBYTE
            self._reason = f"used {used} MiB, more than limits.memory ({most})"
        return bool(self._reason)

    def _take(self, said: Mapping[str, Any] | NDArray[np.uint8]) -> None:
        if not isinstance(said, Mapping):
            if self.screen is not None:
                self.screen.put(said)
        elif said["kind"] == "status":
            self.state.status(said)
        elif said["kind"] == "event":
            self.state.event(said)
        elif said["kind"] == "notice":
            self._say(said["text"])
        elif said["kind"] == "failed":
            self._reason = self._reason or self._hide(said["text"])

    def _read_complaints(self, process: Process) -> None:
        """Log what libraries, and Python when the process breaks, write to standard error."""
        with process.complaints as lines:
            for line in lines:
                text = line.decode(errors="replace").strip()
                if text:
                    self._say(text.removeprefix("motionveil: "), "warning")

    def _say(self, text: str, level: Level = "info") -> None:
        self._log(self._hide(text), level)

    def _hide(self, text: str) -> str:
        return without_secrets(text, self.camera.secrets)


class Process:
    """A camera's process.

    Attributes:
        connection: To it.
        complaints: Its standard error.
        pid: Its number.
    """

    def __init__(self, popen: subprocess.Popen[bytes], connection: Connection) -> None:
        assert popen.stderr is not None
        self._popen, self.connection, self.complaints = popen, connection, popen.stderr
        self.pid = popen.pid

    def end(self, patience: float) -> int:
        """Wait so many seconds for its end, then kill it; return its exit status."""
        try:
            status = self._popen.wait(patience)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            status = self._popen.wait()
        self.connection.close()
        return status


def pinned(camera: Camera) -> Camera:
    """Return a camera with the commits that its names on the hub stand for in this process.

    Raises:
        MotionveilError: They cannot be had.
    """
    known = {}
    if camera.encoder is not None and is_hub_name(camera.encoder):
        known["encoder"] = fetch(camera.encoder, ENCODER).pinned
    if camera.recogniser is not None and is_hub_name(camera.recogniser):
        known["recogniser"] = fetch_numbers(camera.recogniser).pinned
    return camera.model_copy(update=known)


def start_process(camera: Camera, folder: Path, task: str) -> Process:
    """Start a camera's process, and tell it what to do: `run` or `probe`.

    Neither its command line nor its environment holds what may be a password.
    """
    ours, theirs = Pipe()
    number = theirs.fileno()
    # -P: a file numpy.py in the service's folder is not what is imported.
    module = "motionveil.service.camera_process"
    with theirs:
        try:
            popen = subprocess.Popen(
                [sys.executable, "-P", "-m", module, camera.name, str(number)],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[number],
            )
        except BaseException:
            ours.close()
            raise
    with suppress(OSError):  # it has ended already; the listener sees the end
        ours.send_bytes(message(task, camera=camera.model_dump(mode="json")))
    return Process(popen, ours)


def _describe(status: int) -> str:
    if status < 0:
        return f"killed by signal {-status}"
    return f"ended with status {status}"
