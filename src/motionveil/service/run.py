"""Running a service: start, reload, stop, the signals for it, and the notifications to systemd."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from motionveil.errors import MotionveilError
from motionveil.service.camera_state import HEALTHY
from motionveil.service.log import Log
from motionveil.service.page import ServicePage
from motionveil.service.read_config import ServiceConfig, read_config
from motionveil.service.supervised import Supervised
from motionveil.streaming.preview_buffer import SiteServer

_TICK = 5.0  # seconds between two looks at the cameras


class Service:
    """All cameras of a file, and their page.

    Args:
        file: The file.
        log: Called with what happens.

    Raises:
        MotionveilError: The file is wrong, or the page's address cannot be had.
    """

    def __init__(self, file: Path, log: Log) -> None:
        self._file, self._log = file, log
        self._config = read_config(file)
        self._cameras: dict[str, Supervised] = {}  # replaced, not changed: other threads read it
        self._page = ServicePage(lambda: self._cameras)
        self._server = SiteServer(
            self._page,
            self._config.listen,
            self._config.token,
            option="listen",
            token_option="token",
            file_option="token or token_file",
        )

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT; SIGHUP reads the file again."""
        systemd = Systemd()
        with _signals() as wait:
            self._server.start()
            self._apply(self._config)
            self._log(f"page at {self._server.shown.partition('?')[0]}")
            systemd.ready()
            tick = _TICK if systemd.interval is None else min(_TICK, systemd.interval)
            while True:
                number = wait(tick)
                if number in (signal.SIGTERM, signal.SIGINT):
                    break
                if number == signal.SIGHUP:
                    systemd.reloading()
                    self._reload()
                    systemd.ready()
                systemd.alive(self._status())
            systemd.stopping()
            self._stop()

    def _apply(self, config: ServiceConfig) -> None:
        """Stop what the file no longer has as it was, start what is new, leave the rest alone."""
        kept = {
            name: running
            for name, running in self._cameras.items()
            if config.cameras.get(name) == running.camera
        }
        gone = [running for name, running in self._cameras.items() if name not in kept]
        for running in gone:
            running.stop()
        for running in gone:
            running.join()
        cameras = {}
        for name, camera in config.cameras.items():
            before = self._cameras.get(name)
            if name in kept:
                cameras[name] = kept[name]
                continue
            state = None if before is None else before.state
            cameras[name] = Supervised(camera, config.folder, self._log, state)
            cameras[name].start()
        self._cameras, self._config = cameras, config

    def _reload(self) -> None:
        try:
            config = read_config(self._file)
        except MotionveilError as error:
            self._log(f"not reloaded: {error}", level="error")
            return
        if (config.listen, config.token) != (self._config.listen, self._config.token):
            self._log("listen and token are read at the start only: restart", level="warning")
        self._apply(config)
        self._log(f"reloaded: {len(self._cameras)} cameras")

    def _status(self) -> str:
        states = [camera.state.state for camera in self._cameras.values()]
        return f"{sum(state in HEALTHY for state in states)} of {len(states)} cameras run"

    def _stop(self) -> None:
        started = time.monotonic()
        for camera in self._cameras.values():
            camera.stop()
        for camera in self._cameras.values():
            camera.join()
        self._server.close(self._page.closed.set)
        self._log(f"stopped in {time.monotonic() - started:.1f} s")


class _Wait:
    """Waits for a signal; calling it returns the number, or None after so many seconds."""

    def __init__(self, wakeup: int) -> None:
        self._wakeup = wakeup

    def __call__(self, seconds: float) -> int | None:
        ready, _, _ = select.select([self._wakeup], [], [], seconds)
        return os.read(self._wakeup, 1)[0] if ready else None


@contextmanager
def _signals() -> Iterator[_Wait]:
    """Within the block, signals are not acted upon but waited for, in the main thread."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    handlers = [signal.signal(number, lambda *_: None) for number in numbers]
    try:
        yield _Wait(reading)
    finally:
        for number, handler in zip(numbers, handlers, strict=True):
            signal.signal(number, handler)
        signal.set_wakeup_fd(before)
        os.close(reading)
        os.close(writing)


class Systemd:
    """Sends notifications; does nothing where no service manager waits for them.

    Attributes:
        interval: Seconds between two signs of life that the watchdog needs; None for none.
    """

    def __init__(self) -> None:
        self._address = os.environ.pop("NOTIFY_SOCKET", "")  # not for the cameras' processes
        microseconds = os.environ.pop("WATCHDOG_USEC", "")
        intended = os.environ.pop("WATCHDOG_PID", "") in ("", str(os.getpid()))
        wanted = bool(self._address) and intended and microseconds.isdigit()
        self.interval = int(microseconds) / 2e6 if wanted else None

    def ready(self) -> None:
        """Say that the service has started, or has read its file again."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Say that the file is being read again."""
        self._send(
            f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}"
        )

    def stopping(self) -> None:
        """Say that the service is about to end."""
        self._send("STOPPING=1")

    def alive(self, status: str) -> None:
        """Give a sign of life, and a line for `systemctl status`."""
        self._send(f"STATUS={status}\nWATCHDOG=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        address = self._address
        if address.startswith("@"):  # an abstract socket
            address = "\0" + address[1:]
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
                notify.setblocking(False)  # a manager that hangs must not hold the service up
                notify.connect(address)
                notify.sendall(text.encode())
        except OSError:  # the manager is restarting, or busy: the next one will arrive
            return
