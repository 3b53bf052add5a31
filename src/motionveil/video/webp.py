"""Is a WebP picture whole? Sizes of its parts, and the end of its code (see `vp8`)."""

from __future__ import annotations

from collections.abc import Iterator

from motionveil.video.vp8 import key_frame_damage

_CUT = "it is cut short"


def webp_damage(data: bytes) -> str | None:
    """Say what is wrong with a WebP file (RFC 9649); None if nothing.

    Of lossless pictures only the sizes are looked at. What follows the file does not matter.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return "it does not begin as WebP"
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        return _CUT
    pictures = 0
    for kind, body in _chunks(data, 12, end):
        parts = [(kind, body)] if kind != b"ANMF" or body is None else _chunks(body, 16, len(body))
        for inner, part in parts:
            if part is None:
                return _CUT
            if inner == b"VP8 ":
                reason = key_frame_damage(part) if part[:1] and not part[0] & 1 else _CUT
                if reason:
                    return reason
            pictures += inner in (b"VP8 ", b"VP8L")
    return None if pictures else "it holds no picture"


def _chunks(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, bytes | None]]:
    """Yield the parts of a file, each with its name; None for one that goes beyond the end."""
    while at + 8 <= end:
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        whole = at + 8 + size <= end
        yield data[at : at + 4], data[at + 8 : at + 8 + size] if whole else None
        if not whole:
            return
        at += 8 + size + size % 2
