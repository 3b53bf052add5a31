"""What a service tells systemd."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def manager(path: Path) -> Iterator[list[str]]:
    """Take what a service tells its manager: the kernel keeps ten messages that nobody takes."""
    told: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))

        def take() -> None:
            while data := manager.recv(1000):
                told.extend(data.decode().split("\n"))

        thread = threading.Thread(target=take)
        thread.start()
        try:
            yield told
        finally:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
                end.sendto(b"", str(path))
            thread.join()
