"""What a program opens for writing, makes or renames, as strace sees it."""

from __future__ import annotations

import os
import re
from pathlib import Path

_CALLS = (
    "openat,open,creat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,mkdir,mkdirat,"
    "memfd_create,mknod,mknodat,swapon,openat2"
)
_CALL = re.compile(r"^(\w+)\((.*)\) += (-?\d+)", re.MULTILINE)
_NOT_FILES = ("/dev/null", "/dev/shm/sem.", "pipe:", "/proc/self/")

TRACER = ("strace", "-ff", "-qq", "-s", "4096", "-e", f"trace={_CALLS}")
"""Words before those of a program and before `-o FILE`: strace, which writes logs for `written`."""


def written(log: Path) -> set[str]:
    """Return what a traced program opened for writing, made or renamed, and what it became."""
    names = set()
    # Every thread has a log of its own: in a common one, calls of two tear each other's lines.
    logs = list(log.parent.glob(f"{log.name}.*"))
    assert logs, "nothing was traced"
    for call, arguments, result in _CALL.findall("".join(log.read_text() for log in logs)):
        if int(result) < 0:
            continue
        if call.startswith("open") and not re.search(r"O_(WRONLY|RDWR|CREAT|TRUNC)", arguments):
            continue
        names |= {
            f"memory {name}" if call == "memfd_create" else name
            for name in re.findall(r'"([^"]*)"', arguments)
        }
    return {name for name in names if not name.startswith(_NOT_FILES) and not is_cache(name)}


def is_cache(name: str) -> bool:
    """Say whether this is numba's folder of compiled code, in which it tries whether it may write.

    The code itself has been written before.
    """
    return name.endswith("__pycache__") or name.startswith(os.environ.get("NUMBA_CACHE_DIR", "\0"))
