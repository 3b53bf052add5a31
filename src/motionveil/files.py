"""Writing files whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from motionveil.errors import MotionveilError


@contextmanager
def atomic_path(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `target`; rename it to `target` when the block succeeds.

    The temporary name keeps the suffix, since video libraries choose the container by it. When
    the block fails, the temporary file is removed and an earlier `target` is left as it was.

    Raises:
        MotionveilError: The folder cannot be made or written.
    """
    final = Path(target)
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            dir=final.parent, prefix=f".{final.stem}.", suffix=f".part{final.suffix}"
        )
    except OSError as error:
        raise MotionveilError(f"{final}: cannot write here: {error.strerror}") from error
    os.close(handle)
    part = Path(name)
    try:
        yield part
        # mkstemp makes files that only the owner can read; give them the usual permissions.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(part, 0o666 & ~umask)
        os.replace(part, final)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_text_atomically(path: str | os.PathLike[str], text: str) -> Path:
    """Write a UTF-8 text file whole or not at all, and return its path."""
    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8")
    return Path(path)
