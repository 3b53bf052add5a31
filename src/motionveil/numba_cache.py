"""A place for numba's compiled code, where there would be none that is safe.

numba keeps compiled code beside the package or in the user's cache, and where it can write to
neither it refuses to work at all: in a service with a user of its own (`DynamicUser=yes`), from a
read-only file system. Importing this module, before numba compiles, gives it a folder then.

The index of that code is a pickle, which numba reads, and the code itself is run. So a folder in
which other users can write is passed over.
"""

from __future__ import annotations

import atexit
import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path

from motionveil.errors import MotionveilError

VARIABLE = "NUMBA_CACHE_DIR"

PACKAGE = Path(__file__).parent


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _is_private(place: Path) -> bool:
    """Say whether nobody can write there who could not change this package, or is not this user."""
    if os.name == "nt":
        return True
    if place == PACKAGE / "__pycache__":  # numba writes beside each file
        return all(map(_is_closed, (place, *PACKAGE.glob("*/__pycache__"))))
    return _is_closed(place) and all(map(_is_kept, place.resolve().parents))


def _is_closed(folder: Path) -> bool:
    package, about = PACKAGE.stat(), folder.stat()
    if about.st_uid not in (0, os.geteuid(), package.st_uid):
        return False
    open_to = about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if folder.is_relative_to(PACKAGE):
        open_to &= ~package.st_mode
    if _is_own_group(about.st_gid):
        open_to &= ~stat.S_IWGRP
    return not open_to


def _is_kept(parent: Path) -> bool:
    """Say whether others cannot put another folder in the place of one of this user's in it."""
    mode = parent.stat().st_mode
    return not mode & stat.S_IWOTH or bool(mode & stat.S_ISVTX)


def _is_own_group(group: int) -> bool:
    """Say whether a group is this user's own, as many systems make one for each, or root's."""
    import grp
    import pwd

    try:
        return group == 0 or grp.getgrgid(group).gr_name == pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a user or group without a name
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
    return [*ours, PACKAGE / "__pycache__", _user_caches() / "numba"]


def _make_place() -> None:
    """Make a private folder that is gone when this process ends."""
    try:
        folder = tempfile.mkdtemp(prefix="motionveil-numba-")
    except OSError as error:
        raise MotionveilError(
            f"no folder for compiled code can be written; set {VARIABLE} to one"
        ) from error
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _use(folder)
    print(
        f"motionveil: compiled code cannot be kept, so every start waits for the compiler;"
        f" set {VARIABLE} to a folder that can be written",
        file=sys.stderr,
        flush=True,
    )


def _use(folder: str) -> None:
    os.environ[VARIABLE] = folder  # for the processes that this one starts, too
    if "numba" in sys.modules:
        sys.modules["numba"].config.CACHE_DIR = folder


def _choose() -> Path | None:
    passed_over = False
    for place in filter(_is_writable, _places()):
        if _is_private(place):
            if passed_over:  # numba would take that one
                _use(str(place))
            return place
        passed_over = True
        print(
            f"motionveil: {place}: not used for compiled code, since other users can write there",
            file=sys.stderr,
            flush=True,
        )
    _make_place()
    return None


KEPT = _choose()
"""Where numba keeps compiled code (`__pycache__` stands for one beside each file of this package);
None where it goes when the process ends."""
