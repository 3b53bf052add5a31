"""A place for numba's compiled code, where there would be none.

numba keeps compiled code beside the package or in the user's cache, and where it can write to
neither it refuses to work at all: in a service with a user of its own (`DynamicUser=yes`), from a
read-only file system. Importing this module, before numba compiles, gives it a folder then.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

from motionveil.errors import MotionveilError

VARIABLE = "NUMBA_CACHE_DIR"


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _user_caches() -> Path:
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return Path(local) if local else Path(os.path.expanduser("~/AppData/Local"))
    if sys.platform == "darwin":
        return Path(os.path.expanduser("~/Library/Caches"))
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))


def _places() -> list[Path]:
    """Return where numba looks, in its order."""
    said = os.environ.get(VARIABLE)
    ours = [Path(said)] if said else []
    return [*ours, Path(__file__).parent / "__pycache__", _user_caches() / "numba"]


def compiled_folders() -> list[Path]:
    """Return where compiled code of this package may lie, numba's first choice first."""
    return _places()


def _make_place() -> None:
    """Make a private folder that is gone when this process ends."""
    try:
        # By `mkdtemp`, for numba reads an index that is a pickle: nobody else may write there.
        folder = tempfile.mkdtemp(prefix="motionveil-numba-")
    except OSError as error:
        raise MotionveilError(
            f"no folder for compiled code can be written; set {VARIABLE} to one"
        ) from error
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ[VARIABLE] = folder  # for the processes that this one starts, too
    if "numba" in sys.modules:
        sys.modules["numba"].config.CACHE_DIR = folder
    print(
        f"motionveil: compiled code cannot be kept, so every start waits for the compiler;"
        f" set {VARIABLE} to a folder that can be written",
        file=sys.stderr,
        flush=True,
    )


if not any(map(_is_writable, _places())):
    _make_place()
