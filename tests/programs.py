"""The whole program in a process of its own, to be killed, interrupted and looked at."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from motionveil.geometry import Geometry
from motionveil.spec import load_spec

PATIENCE = 60.0
"""Seconds after which something that should have happened counts as never happening."""


class Program:
    """`motionveil ARGUMENTS`, in a session of its own so that no signal reaches the test.

    Args:
        arguments: Of the command line; `encode` is given the encoder `bdq` where none is named.
        before: A program that runs it, with its arguments: a tracer.
        stdin: As in `subprocess.Popen`; nothing by default.
        stdout: Likewise; kept for `said` by default.
        environment: Further environment variables.
    """

    def __init__(
        self,
        *arguments: object,
        before: tuple[str, ...] = (),
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        stdout: int | IO[bytes] | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115, `clear_away` closes it
        self._complained = tempfile.TemporaryFile()  # noqa: SIM115, likewise
        words = [*map(str, arguments)]
        if words[0] == "encode" and "--encoder" not in words:
            words[1:1] = ["--encoder", "bdq"]  # the default's frames are too small to tell much
        command = [*before, sys.executable, "-m", "motionveil", *words]
        self.process = subprocess.Popen(
            command,
            stdin=stdin,
            stdout=self._said if stdout is None else stdout,
            stderr=self._complained,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **(environment or {})},
            start_new_session=True,
        )

    @property
    def said(self) -> str:
        """Standard output so far."""
        return _text(self._said)

    @property
    def complaint(self) -> str:
        """Standard error so far."""
        return _text(self._complained)

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """Kill it and all its children, as `kill -9` and the lack of memory do."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE)

    def ends(self, within: float = PATIENCE) -> int:
        """Wait for its end and return its exit status."""
        return self.process.wait(within)

    def clear_away(self) -> None:
        """End it, if it still runs."""
        if self.running:
            self.kill()
        self._said.close()
        self._complained.close()


def _text(file: Any) -> str:
    return os.pread(file.fileno(), 1 << 20, 0).decode()


class Programs:
    """Starts programs, and ends at the test's end what then still runs."""

    def __init__(self) -> None:
        self._started: list[Program] = []

    def __call__(self, *arguments: object, **options: Any) -> Program:
        """Start `motionveil ARGUMENTS`; see `Program`."""
        program = Program(*arguments, **options)
        self._started.append(program)
        return program

    def clear_away(self) -> None:
        """End them all."""
        for program in self._started:
            program.clear_away()


def as_filmed(folder: Path, lines: int) -> str:
    """Write an encoder that leaves frames of so many lines as large, and all of them."""
    geometry = Geometry(size=lines, rate=1000)
    spec = load_spec("bdq").model_copy(update={"geometry": geometry})
    return str(spec.save(folder / f"{lines}.json"))


def until(condition: Callable[[], object], program: Program | None = None) -> None:
    """Wait until a condition holds; fail when the program ends before, or patience does."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if program is not None and not program.running:
            if condition():
                return
            pytest.fail(f"ended too early: {program.complaint or program.said}")
        if time.monotonic() > end:
            pytest.fail(f"never happened; {program.complaint if program else ''}")
        time.sleep(0.005)


def kept(folder: Path) -> list[str]:
    """Return the names of what is in a folder, hidden or not."""
    return sorted(entry.name for entry in folder.iterdir())


def parts(dest: Path) -> list[Path]:
    """Return the unfinished files or folders of a destination."""
    return list(dest.parent.glob(f".{dest.stem}.????????.part{dest.suffix}"))


def size_of_part(dest: Path) -> int:
    """Return the bytes of the unfinished file or folder of a destination; 0 if none."""
    try:
        return sum(
            file.stat().st_size
            for part in parts(dest)
            for file in ([part] if part.is_file() else part.glob("*.png"))
        )
    except FileNotFoundError:  # it has just been finished
        return 0


def play(path: Path) -> tuple[list[float], NDArray[np.uint8]]:
    """Play what there is of a file as a player does, with PyAV and no code of ours.

    Returns:
        Timestamps in seconds, and frames (T, H, W, 3), up to where it breaks off.
    """
    times, images = [], []
    with av.open(str(path)) as container:
        try:
            for frame in container.decode(video=0):
                times.append(float(frame.time))
                images.append(frame.to_ndarray(format="rgb24"))
        except av.FFmpegError:
            pass  # the last, torn one
    return times, np.stack(images)


@contextmanager
def small_disk(folder: Path, size: int, *, read_only: bool = False) -> Iterator[Path]:
    """Mount a file system of so many bytes in memory; skip the test where that is forbidden."""
    folder.mkdir()
    options = f"size={size}{',ro' if read_only else ''}"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("needs the program mount")
    if done.returncode:
        pytest.skip(f"needs permission to mount a tmpfs: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(path: Path) -> None:
    """Write a file until its disk is full."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    assert shutil.disk_usage(path.parent).free == 0
