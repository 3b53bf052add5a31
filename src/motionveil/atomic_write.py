"""Writing files whole or not at all, and for their owner only."""

from __future__ import annotations

import errno
import os
import re
import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from motionveil.errors import MotionveilError

_OWNER_ONLY, _OWNER_ONLY_FOLDER, _OTHERS = 0o600, 0o700, 0o077
_PART = re.compile(r"\..*\.[0-9a-f]{8}\.part(\.\w+)?")  # as `part_path` names them
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
_LONGEST_NAME = 255  # bytes, of most file systems


def make_private_folder(path: str | os.PathLike[str]) -> None:
    """Make a folder that only its owner may look into; one that is there stays as it is.

    Folders above it are made as usual.

    Raises:
        MotionveilError: It cannot be made, or what is there is no folder.
    """
    folder = Path(path)
    with _told_of(folder):
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=_OWNER_ONLY_FOLDER, exist_ok=True)
            folder.chmod(_OWNER_ONLY_FOLDER)  # a umask may take from the owner, too


def make_folder(path: str | os.PathLike[str]) -> None:
    """Make a folder, and those above it, where there is none.

    Raises:
        MotionveilError: It cannot be made, or what is there is no folder.
    """
    folder = Path(path)
    with _told_of(folder):
        folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def _told_of(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MotionveilError(f"{folder}: cannot make this folder: {reason_of(error)}") from error


def reason_of(error: OSError) -> str | None:
    """Return why a file or folder cannot be written: a file that is in a folder's place by name."""
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        above = (error.filename, *map(str, Path(error.filename).parents))
        if file := next((path for path in above if os.path.isfile(path)), None):
            return f"{file} is a file, not a folder"
    return error.strerror


def close_to_others(path: str | os.PathLike[str]) -> bool:
    """Take from everybody but the owner what they may do with a folder and the files in it.

    Returns:
        Whether others are kept out now: not where the folder is another user's, or read-only.
    """
    folder = Path(path)
    if os.name == "nt":  # has no such modes; a folder's rights are those of the one above it
        return True
    try:
        if folder.stat().st_mode & _OTHERS:
            folder.chmod(_OWNER_ONLY_FOLDER)
        for entry in os.scandir(folder):
            with suppress(FileNotFoundError):  # another process has just renamed it
                if entry.is_file(follow_symlinks=False) and entry.stat().st_mode & _OTHERS:
                    os.chmod(entry.path, _OWNER_ONLY)
    except OSError:
        return False
    return True


def refuse_overwriting(
    targets: Sequence[str | os.PathLike[str]], sources: Sequence[str | os.PathLike[str]]
) -> None:
    """Refuse what is to be written where something is read, or twice at one place.

    Links and other ways to name a file are seen through. Addresses, devices and pipes can be given
    as well: they cannot be overwritten.

    Args:
        targets: Files and folders that will be written.
        sources: Files and folders that are read.

    Raises:
        MotionveilError: A target is a source, or there twice; names it.
    """
    seen: set[str] = set()
    for target in (os.fspath(each) for each in targets):
        if "://" in target or (os.path.exists(target) and not _can_be_lost(target)):
            continue
        for source in sources:
            if _can_be_lost(source) and os.path.exists(target) and os.path.samefile(source, target):
                raise MotionveilError(f"{target}: this is the source itself; give another name")
        place = os.path.realpath(target)
        if place in seen:
            raise MotionveilError(f"{target}: is given twice")
        seen.add(place)


def _can_be_lost(path: str | os.PathLike[str]) -> bool:
    return os.path.isfile(path) or os.path.isdir(path)


@contextmanager
def atomic_path(target: str | os.PathLike[str], *, private: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `target`; rename it to `target` when the block succeeds.

    The temporary name keeps the suffix, since video libraries choose the container by it. When
    the block fails, the temporary file is removed and an earlier `target` is left as it was.

    Args:
        target: The file; its folder is made if there is none. Of a symbolic link, what it names
            is replaced; a named pipe or a device is written to as it is.
        private: Nobody but the owner may read the file, whatever the umask and the moment.

    Raises:
        MotionveilError: The folder cannot be made or written, `target` is a folder, or the disk is
            full; or `target` is `-`.
    """
    final = Path(target)
    if str(final) == "-":  # of other programs the standard output; nobody wants a file called so
        raise MotionveilError("-: give a file; /dev/stdout is the standard output")
    if os.path.islink(final):  # what it names is replaced, not the link
        final = final.resolve()
    if os.path.exists(final) and not (os.path.isfile(final) or os.path.isdir(final)):
        yield final  # a named pipe, a device
        return
    part = part_path(final, final.suffix)
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        if final.is_dir():  # the rename would say so too, but when the work is done
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        # Not by `tempfile`: its files are the owner's only, and the usual permissions can be had
        # without a look at the umask, which no thread can read without changing it for all.
        mode = _OWNER_ONLY if private else 0o666
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
        held = hold_part(part)
        if private:
            part.chmod(mode)  # a umask may take from the owner, too
    except OSError as error:
        raise MotionveilError(f"{final}: cannot write here: {reason_of(error)}") from error
    try:
        with held:  # until it has its name, or `clean` might take it
            yield part
            _rename(part, final)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in _FULL:
            raise MotionveilError(f"{final}: cannot write here: {error.strerror}") from error
        raise


def part_path(final: Path, suffix: str = "") -> Path:
    """Return a temporary name for a file or folder, no longer than file systems allow."""
    end = f".{secrets.token_hex(4)}.part{suffix}"
    stem = final.name.removesuffix(suffix)
    while len(os.fsencode(stem)) > _LONGEST_NAME - len(os.fsencode(end)) - 1:
        stem = stem[:-1]
    return final.parent / f".{stem}{end}"


def hold_part(part: Path) -> ExitStack:
    """Mark a temporary file or folder as one that a live process writes, until that is closed."""
    held = ExitStack()
    if sys.platform != "win32":
        import fcntl

        descriptor = os.open(part, os.O_RDONLY)
        held.callback(os.close, descriptor)
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_SH)
    return held


def try_lock(descriptor: int) -> bool:
    """Lock an open file or folder for its process and those that inherit it; never waits.

    Returns:
        False if another process holds it.

    Raises:
        OSError: The file system, or Windows, has no such locks.
    """
    if sys.platform == "win32":
        raise OSError("jobs are locked by flock, which Windows does not have")
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def find_parts(folder: Path) -> Iterator[Path]:
    """Yield the temporary files and folders below a folder that no live process writes.

    Without locks (Windows, some network file systems) whose they are cannot be known: they count as
    a live process's there.
    """
    for place, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            if _PART.fullmatch(name) and not _is_held(Path(place, name)):
                yield Path(place, name)
        folders[:] = [name for name in folders if not _PART.fullmatch(name)]


def _is_held(part: Path) -> bool:
    if sys.platform == "win32":
        return True
    try:
        # A network file system locks for one alone only what is open for writing.
        descriptor = os.open(part, os.O_RDONLY if part.is_dir() else os.O_RDWR)
    except OSError:  # gone since, or another user's
        return True
    try:
        return not try_lock(descriptor)
    except OSError:  # it cannot be known
        return True
    finally:
        os.close(descriptor)


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
