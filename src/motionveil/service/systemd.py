"""Telling systemd how a service is: readiness, status, watchdog.

Source: https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
"""

from __future__ import annotations

import os
import socket
import time


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
