"""The size at which Matroska and WebM show a video, which PyAV has no way to have written.

FFmpeg takes it from `AVStream.sample_aspect_ratio`, to which PyAV gives no access. The header that
FFmpeg writes is therefore changed on its way to the file, to another one of the same length, so
that all positions in the file stay right. Elements: RFC 9559; their coding: RFC 8794.
"""

from __future__ import annotations

import errno
import os
import zlib
from collections.abc import Iterator
from fractions import Fraction
from typing import BinaryIO, NamedTuple

_SEGMENT, _TRACKS, _TRACK_ENTRY, _TRACK_UID = 0x18538067, 0x1654AE6B, 0xAE, 0x73C5
_VIDEO, _PIXEL_WIDTH, _PIXEL_HEIGHT = 0xE0, 0xB0, 0xBA
_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT = 0x54B0, 0x54BA, 0x54B2
_CRC_32, _VOID = 0xBF, 0xEC


class _Element(NamedTuple):
    """An element: its ID, where its content begins and where it ends."""

    id: int
    begin: int
    end: int


def _elements(data: bytes, at: int, end: int) -> Iterator[_Element]:
    while at < end:
        number, at = _number(data, at, keep_marker=True)
        size, at = _number(data, at, keep_marker=False)
        yield _Element(number, at, at + size)
        at += size


def _number(data: bytes, at: int, *, keep_marker: bool) -> tuple[int, int]:
    """Return a number of variable length, and where it ends."""
    length = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + length])
    return (value if keep_marker else value & ((1 << 7 * length) - 1)), at + length


def _coded(number: int, content: bytes, length: int | None = None) -> bytes:
    """Return an element; `length` is the number of bytes that its size takes, 1 or 2 if None."""
    length = length or (1 if len(content) < 127 else 2)
    size = (1 << 7 * length) + len(content)
    return number.to_bytes((number.bit_length() + 7) // 8) + size.to_bytes(length) + content


def with_display_size(header: bytes, aspect: Fraction) -> bytes:
    """Return the beginning of a file with the size at which its one video is shown.

    Args:
        header: The beginning of a file as FFmpeg writes it, up to the end of `Tracks` at least.
        aspect: Sample aspect ratio; the width is multiplied by it, and rounded to a pixel.

    Returns:
        As many bytes.

    Raises:
        ValueError: The header has no room, or is none.
    """
    try:
        segment = _child(header, 0, len(header), _SEGMENT)
        tracks = _child(header, segment.begin, len(header), _TRACKS)
        if tracks.end > len(header):
            raise ValueError("the header is not whole")
        entry = _child(header, tracks.begin, tracks.end, _TRACK_ENTRY)
        begin = entry.begin - 9  # FFmpeg writes the size of a track's entry in 8 bytes
        changed = _entry(header[begin : entry.end], aspect)
    except (IndexError, StopIteration, OverflowError) as error:
        raise ValueError("no header of Matroska as FFmpeg writes it") from error
    header = header[:begin] + changed + header[entry.end :]
    first = next(_elements(header, tracks.begin, tracks.end))
    if first.id == _CRC_32:  # of all that follows it
        crc = zlib.crc32(header[first.end : tracks.end]).to_bytes(4, "little")
        header = header[: first.begin] + crc + header[first.end :]
    return header


def _child(data: bytes, begin: int, end: int, number: int) -> _Element:
    return next(element for element in _elements(data, begin, end) if element.id == number)


def _entry(entry: bytes, aspect: Fraction) -> bytes:
    """Return a `TrackEntry` with the display size, as long as before.

    Room for it is where FFmpeg codes small numbers in 8 bytes: the entry's size and UID.
    """
    content = b"".join(
        _coded(number, _changed(number, part, aspect))
        for number, part in _parts(entry[9:])
        if number != _VOID
    )
    for length in range(8, 0, -1):
        left = len(entry) - 1 - length - len(content)
        if left == 0:
            return _coded(_TRACK_ENTRY, content, length)
        if left >= 2:
            return _coded(_TRACK_ENTRY, content + _coded(_VOID, bytes(left - 2), 1), length)
    raise ValueError("the header has no room for the display size")


def _changed(number: int, part: bytes, aspect: Fraction) -> bytes:
    """Return the new content of an element of a `TrackEntry`."""
    if number == _TRACK_UID:
        return part.lstrip(b"\0")
    return _video(part, aspect) if number == _VIDEO else part


def _video(video: bytes, aspect: Fraction) -> bytes:
    parts = dict(_parts(video))
    parts.pop(_DISPLAY_UNIT, None)  # without it, pixels are meant
    width = max(1, round(int.from_bytes(parts[_PIXEL_WIDTH]) * aspect))
    parts[_DISPLAY_WIDTH] = width.to_bytes((width.bit_length() + 7) // 8)
    parts[_DISPLAY_HEIGHT] = parts[_PIXEL_HEIGHT]
    return b"".join(_coded(number, part) for number, part in parts.items())


def _parts(data: bytes) -> list[tuple[int, bytes]]:
    """Return the IDs and contents of the elements that data consist of."""
    found = _elements(data, 0, len(data))
    return [(element.id, data[element.begin : element.end]) for element in found]


class DisplaySizeFile:
    """A file, or a pipe, into which FFmpeg writes Matroska; see `with_display_size`.

    Args:
        file: Open for writing; it is closed with this one.
        aspect: Sample aspect ratio.
    """

    def __init__(self, file: BinaryIO, aspect: Fraction) -> None:
        self._file, self._aspect = file, aspect
        self._header = b""  # as FFmpeg wrote it
        self._at = 0
        self.seekable = file.seekable

    def write(self, data: bytes) -> int:
        """Write, where FFmpeg is; nothing waits in a buffer."""
        at, written = self._at, len(data)
        if at == 0 and not self._header:
            self._header = data  # FFmpeg ends a block with the header
        if at < len(self._header):
            end = at + written
            self._header = (self._header[:at] + data + self._header[end:])[: len(self._header)]
            data = self._changed()[at:end] + data[len(self._header) - at :]
        self._file.write(data)
        self._file.flush()
        self._at += written
        return written

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place; see `io.IOBase.seek`."""
        self._at = self._file.seek(offset, whence)
        return self._at

    def tell(self) -> int:
        """Say where FFmpeg is."""
        return self._at

    def close(self) -> None:
        """Close the file itself."""
        self._file.close()

    def _changed(self) -> bytes:
        try:
            return with_display_size(self._header, self._aspect)
        except ValueError as error:
            raise OSError(errno.EINVAL, f"{error}; an .mp4 keeps the aspect ratio") from error
