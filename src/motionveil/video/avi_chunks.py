"""Do the chunks of an AVI follow one another? A decoder looks for the next one without a word."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import BinaryIO

_IN_MOVI = re.compile(rb"[0-9]{2}[A-Za-z]{2}|ix[0-9]{2}|JUNK|LIST|idx1")
_NOT_KNOWN = (0, 0xFFFFFFFF)  # lengths that the recorder did not come back to fill in


def avi_broken_at(path: Path) -> int | None:
    """Return the byte of an AVI file at which a chunk of pictures should begin and does not.

    None if all is well, and for every other format. Some writers leave out the byte that makes a
    chunk's length even.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        end = 0
        while True:
            kind, length = _head(file, end)
            if kind != b"RIFF" or length in _NOT_KNOWN:
                return None
            start, end = end + 12, min(size, end + 8 + length + length % 2)
            while start + 8 <= end:
                kind, length = _head(file, start)
                after = start + 8 + length + length % 2
                if kind == b"LIST" and file.read(4) == b"movi":
                    if length in _NOT_KNOWN or after > end:
                        return None
                    broken = _in_movi(file, start + 12, after)
                    if broken is not None:
                        return broken
                start = after


def _in_movi(file: BinaryIO, start: int, end: int) -> int | None:
    odd = 0
    while start + 8 <= end:
        kind, length = _head(file, start)
        if not _IN_MOVI.fullmatch(kind):
            kind, length = _head(file, start - odd)
            if not _IN_MOVI.fullmatch(kind):
                return start
            start -= odd
        if kind == b"LIST" and file.read(4) == b"rec ":
            start, odd = start + 12, 0
            continue
        odd = length % 2
        start += 8 + length + odd
    return None if start <= end + 1 else end


def _head(file: BinaryIO, at: int) -> tuple[bytes, int]:
    file.seek(at)
    head = file.read(8)
    return (head[:4], struct.unpack("<I", head[4:])[0]) if len(head) == 8 else (b"", 0)
