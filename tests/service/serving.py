"""`motionveil serve` in a process of its own, and what its page and its log say."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path
from typing import Any

from programs import Program, until


class Serving(Program):
    """A service, whose log is JSON; `url` is that of its page, once it is there."""

    def __init__(self, file: Path, **options: Any) -> None:
        super().__init__("serve", file, "--log", "json", **options)
        until(lambda: "page at" in self.complaint, self)
        found = re.search(r"page at (http://\S+/)", self.complaint)
        assert found is not None
        self.url = found[1]

    def log(self, camera: str | None = None) -> list[str]:
        """Return the whole lines of the log so far; those about one camera."""
        lines = [json.loads(line) for line in self.complaint.split("\n")[:-1]]
        return [line["message"] for line in lines if line.get("camera") == camera]

    def get(self, path: str) -> str:
        """Return a document of its address."""
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return str(answer.read().decode())

    def cameras(self) -> dict[str, dict[str, Any]]:
        """Return the numbers of the page, by camera."""
        return {camera["name"]: camera for camera in json.loads(self.get("stats"))["cameras"]}

    def frames(self, name: str) -> int:
        """Return how many frames a camera has written in all; 0 if there is no such camera."""
        return int(self.cameras().get(name, {"frames_out": 0})["frames_out"])

    def until_frames(self, *names: str, more: bool = False) -> None:
        """Wait until each of these cameras has written a frame, or one more than now."""
        for name in names:
            before = self.frames(name) if more else 0
            until(lambda name=name, before=before: self.frames(name) > before, self)

    def pids(self, camera: str) -> list[int]:
        """Return the processes that a camera had, the newest last."""
        return [
            int(line.rpartition(" ")[2])
            for line in self.log(camera)
            if line.startswith("started, process ")
        ]
