"""Writing files whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
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
        MotionveilError: The folder cannot be made or written, or `target` is a folder.
    """
    final = Path(target)
    part = final.parent / f".{final.stem}.{secrets.token_hex(4)}.part{final.suffix}"
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        if final.is_dir():  # the rename would say so too, but when the work is done
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        # Not by `tempfile`: its files are the owner's only, and the usual permissions can be had
        # without a look at the umask, which no thread can read without changing it for all.
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except OSError as error:
        raise MotionveilError(f"{final}: cannot write here: {error.strerror}") from error
    try:
        yield part
        _rename(part, final)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _rename(part: Path, final: Path) -> None:
    try:
        os.replace(part, final)
    except OSError as error:
        raise MotionveilError(f"{final}: cannot write here: {error.strerror}") from error


def write_text_atomically(path: str | os.PathLike[str], text: str) -> Path:
    """Write a UTF-8 text file whole or not at all, and return its path."""
    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8")
    return Path(path)
