"""Does a file hold as many bytes as its container declares, and are they where it says?

A decoder often reads a file that was cut short without a word and gives fewer frames. The
common families of containers declare their length, so a cut is found by arithmetic. A recording
that was written as a stream declares nothing, and then nothing is claimed. In Matroska a damaged
header makes a decoder pass over all up to the next cluster, without a word too; but many Matroska
files have checksums, which no decoder looks at.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_TS_PACKET = 188
_PIECE = 1 << 20  # bytes that are read at once

# Identifiers of Matroska's elements (RFC 9559, 5.1).
_CLUSTER = b"\x1f\x43\xb6\x75"
_ANYWHERE = frozenset({b"\xec", b"\xbf"})  # Void, CRC-32
_IN_SEGMENT = _ANYWHERE | {
    _CLUSTER,
    b"\x11\x4d\x9b\x74",  # SeekHead
    b"\x15\x49\xa9\x66",  # Info
    b"\x16\x54\xae\x6b",  # Tracks
    b"\x1c\x53\xbb\x6b",  # Cues
    b"\x19\x41\xa4\x69",  # Attachments
    b"\x10\x43\xa7\x70",  # Chapters
    b"\x12\x54\xc3\x67",  # Tags
}
_IN_CLUSTER = _ANYWHERE | {
    b"\xe7",  # Timestamp
    b"\x58\x54",  # SilentTracks
    b"\xa7",  # Position
    b"\xab",  # PrevSize
    b"\xa3",  # SimpleBlock
    b"\xa0",  # BlockGroup
    b"\xaf",  # EncryptedBlock
}


def missing_bytes(path: Path) -> int:
    """Return how many of the bytes that the container declares are not there; 0 if none.

    Reads the outermost headers of AVI, MP4/MOV and Matroska/WebM, and counts the packets of an
    MPEG transport stream; 0 for every other format.
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
        elif head[:3] != b"GIF" and _is_transport_stream(file):
            end = size + -size % _TS_PACKET
        else:
            return 0
    return max(0, end - size)


def _is_transport_stream(file: BinaryIO) -> bool:
    file.seek(0)
    return file.read(2 * _TS_PACKET)[::_TS_PACKET] == b"GG"


def broken_at(path: Path) -> int | None:
    """Return the byte of a Matroska or WebM file at which an element should begin and does not.

    Follows the elements of the segment and of its clusters, and compares the checksum of a cluster
    that has one. None if all is well, if the file does not declare its length, and for every other
    format.
    """
    with path.open("rb") as file:
        if file.read(4) != b"\x1a\x45\xdf\xa3":
            return None
        end = _matroska_end(file)
        if end == 0:
            return None
        for start, kind, follows in _elements(file, file.tell(), end):
            if kind == _CLUSTER and follows is None:  # of unknown length, as in a stream
                return None
            if kind not in _IN_SEGMENT or follows is None or follows > end:
                return start
            if kind != _CLUSTER:
                continue
            body = file.tell()
            if not _is_as_written(file, follows):
                return start
            file.seek(body)
            for inner, block, after in _elements(file, file.tell(), follows):
                if block not in _IN_CLUSTER or after is None or after > follows:
                    return inner
    return None


def _is_as_written(file: BinaryIO, end: int) -> bool:
    """Compare the checksum at the beginning of an element's data (RFC 8794, 11.3.1), if any."""
    head = file.read(6)
    if head[:2] != b"\xbf\x84" or len(head) < 6:
        return True
    checksum = 0
    while file.tell() < end:
        data = file.read(min(_PIECE, end - file.tell()))
        if not data:
            break
        checksum = zlib.crc32(data, checksum)
    return checksum == int.from_bytes(head[2:], "little")


def _elements(file: BinaryIO, start: int, end: int) -> Iterator[tuple[int, bytes, int | None]]:
    """Yield where each element between two bytes begins, its identifier, and what follows it."""
    while start < end:
        file.seek(start)
        first = file.read(1)
        kind = first + file.read(max(0, 8 - first[0].bit_length()) if first else 0)
        length = _vint(file)
        follows = None if length is None else file.tell() + length
        yield start, kind, follows
        if follows is None:
            return
        start = follows


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


_IN_MOVI = re.compile(rb"[0-9]{2}[A-Za-z]{2}|ix[0-9]{2}|JUNK|LIST|idx1")
HEAD = 4
"""Bytes at the beginning of a chunk of an AVI that say of what kind it is."""
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


def begins_chunk(data: bytes) -> bool:
    """Say whether data begin with a chunk as they stand among an AVI's pictures, or behind them."""
    return _IN_MOVI.match(data) is not None or data.startswith(b"RIFF")


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
