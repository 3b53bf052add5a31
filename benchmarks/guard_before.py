"""The guard and the encoder of an earlier revision, in a process of its own, for comparison."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from camera_film import Frames

_WORKER = """
import pickle, sys
try:
    from motionveil.streaming import Guard, StreamEncoder
except ModuleNotFoundError:  # so the package was called once
    from motionveil.capture import Guard, StreamEncoder
from motionveil.spec import load_spec
while True:
    try:
        frames, rate, name, hard = pickle.load(sys.stdin.buffer)
    except EOFError:
        break
    encoder = StreamEncoder(load_spec(name), hard=hard, guard=Guard())
    veiled = [encoder(frame, time=n / rate).copy() for n, frame in enumerate(frames)]
    pickle.dump((veiled, encoder.neutral), sys.stdout.buffer)
    sys.stdout.buffer.flush()
"""


class Before:
    """Veils as a revision of the repository did, at the source's own size and rate.

    Args:
        revision: Of git.
    """

    def __init__(self, revision: str) -> None:
        root = Path(__file__).resolve().parents[1]
        self._folder = tempfile.TemporaryDirectory()
        command = ["git", "-C", str(root), "archive", revision, "src"]
        archive = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(self._folder.name, filter="data")
        self._process = subprocess.Popen(
            [sys.executable, "-c", _WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": f"{self._folder.name}/src"},
        )

    def __call__(
        self, frames: Frames, rate: float, name: str, hard: bool
    ) -> tuple[list[Frames], int]:
        """Return the veiled frames and the value of neutral."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        pickle.dump((frames, rate, name, hard), self._process.stdin)
        self._process.stdin.flush()
        return pickle.load(self._process.stdout)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._folder.cleanup()
