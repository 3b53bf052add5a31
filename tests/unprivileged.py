"""A user who may write nowhere: `nobody`, with a copy of the package that belongs to root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba.core.caching import _CacheLocator

import motionveil

NOBODY = 65534
_PYTHONS = (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}")


class Nobody:
    """Runs `motionveil` as a user without a home, from a package that cannot be written.

    Args:
        folder: Can be read by everybody.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place = folder / "place"  # where it may write
        self.place.mkdir()
        os.chown(self.place, NOBODY, NOBODY)
        (folder / "lib").mkdir()
        package = Path(motionveil.__file__).parent
        shutil.copytree(
            package, folder / "lib" / "motionveil", ignore=shutil.ignore_patterns("__pycache__")
        )
        libraries = Path(np.__file__).parents[1]
        self.environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": "/nonexistent",
            "PYTHONPATH": f"{folder / 'lib'}:{libraries}",
            "TMPDIR": str(self.place),
            "OMP_NUM_THREADS": "1",
        }
        self.python = next((python for python in _PYTHONS if self._works(python)), None)

    def _works(self, python: str) -> bool:
        try:
            done = subprocess.run(
                [python, "-c", "import numba, av, pydantic"],
                **self.options(),
                capture_output=True,
                check=False,
            )
        except OSError:
            return False
        return done.returncode == 0

    def options(self, **environment: str) -> dict[str, Any]:
        """Return what makes `subprocess` start a program as this user."""
        return {
            "user": NOBODY,
            "group": NOBODY,
            "extra_groups": [],
            "cwd": self.place,
            "env": self.environment | environment,
        }

    def keep_compiled(self, folder: Path) -> None:
        """Fill a `NUMBA_CACHE_DIR` with what was compiled before, so that nothing waits for it."""
        package = Path(motionveil.__file__).parent
        for compiled in package.rglob("__pycache__/*.nb[ic]"):
            part = compiled.parents[1].relative_to(package)
            source = self.folder / "lib" / "motionveil" / part / "x.py"
            kept = folder / _CacheLocator.get_suitable_cache_subpath(str(source))
            kept.mkdir(parents=True, exist_ok=True)
            shutil.copy2(compiled, kept)
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)

    def command(self, *words: object) -> list[str]:
        """Return the command line of `motionveil WORDS`."""
        return [str(self.python), "-m", "motionveil", *map(str, words)]


@contextmanager
def nobody() -> Iterator[Nobody]:
    """Yield what runs programs as `nobody`; skip the test where that cannot be."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("needs to be root, to become another user")
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to others
        os.chmod(folder, 0o755)
        user = Nobody(Path(folder))
        if user.python is None:
            pytest.skip("needs a Python that other users may run")
        yield user
