"""Does a file hold as many bytes as its container declares?

A decoder often reads a file that was cut short without a word and gives fewer frames. The three
common families of containers declare their length, so a cut is found by arithmetic. A recording
that was written as a stream declares nothing, and then nothing is claimed.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO


def missing_bytes(path: Path) -> int:
    """Return how many of the bytes that the container declares are not there; 0 if none.

    Reads the outermost headers of AVI, MP4/MOV and Matroska/WebM; 0 for every other format.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] == b"RIFF":
            end = _riff_end(file, size)
        elif head[:4] == b"\x1a\x45\xdf\xa3":
            end = _matroska_end(file)
        elif head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            end = _mp4_end(file, size)
        else:
            return 0
    return max(0, end - size)


def _riff_end(file: BinaryIO, size: int) -> int:
    """Follow the RIFF chunks of an AVI (OpenDML: one a gigabyte) and return where the last ends."""
    end = 0
    while end < size:
        file.seek(end)
        head = file.read(8)
        if len(head) < 8 or head[:4] != b"RIFF":
            break
        length = struct.unpack("<I", head[4:])[0]
        if length in (0, 0xFFFFFFFF):  # the recorder did not come back to fill it in
            break
        end += 8 + length + length % 2
    # Some writers count the header of 8 bytes twice, and leave out the last byte of padding.
    return end - 9 if end - 9 <= size else end


def _mp4_end(file: BinaryIO, size: int) -> int:
    """Return where the last box that holds pictures or their index ends.

    Phones append things of their own after the last box, so other boxes prove nothing.
    """
    start = end = 0
    while start < size:
        file.seek(start)
        head = file.read(16)
        if len(head) < 8:
            break
        length, kind = struct.unpack(">I", head[:4])[0], head[4:8]
        if length == 1 and len(head) == 16:
            length = struct.unpack(">Q", head[8:])[0]
        if length < 8:  # 0: up to the end of the file
            break
        start += length
        if kind in (b"moov", b"mdat", b"moof"):
            end = start
    return end


def _matroska_end(file: BinaryIO) -> int:
    """Return where the segment ends: the second element of the file."""
    file.seek(4)
    header = _vint(file)
    if header is None:
        return 0
    file.seek(header, os.SEEK_CUR)
    if file.read(4) != b"\x18\x53\x80\x67":
        return 0
    length = _vint(file)
    return 0 if length is None else file.tell() + length


def _vint(file: BinaryIO) -> int | None:
    """Read an EBML variable-length size (RFC 8794, section 4); None if unknown or not there."""
    first = file.read(1)
    if not first or first[0] == 0:
        return None
    width = 9 - first[0].bit_length()
    rest = file.read(width - 1)
    if len(rest) < width - 1:
        return None
    value = int.from_bytes(first + rest, "big") & ((1 << 7 * width) - 1)
    return None if value == (1 << 7 * width) - 1 else value
