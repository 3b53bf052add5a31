"""How to open a stream out of the network."""

from __future__ import annotations

from motionveil.bind_address import STREAM_SCHEMES, shown
from motionveil.errors import MotionveilError
from motionveil.video.live import LiveInput


def is_address(written: str) -> bool:
    """Say whether this is the address of a stream."""
    scheme, separator, _ = written.partition("://")
    return bool(separator) and scheme.lower() in STREAM_SCHEMES


def network_input(address: str) -> LiveInput:
    """Return how to open the stream at an address.

    Args:
        address: With one of the `STREAM_SCHEMES`; may hold a name and a password, see `shown`.

    Raises:
        MotionveilError: A character in it can stand in no address.
    """
    scheme, _, rest = address.partition("://")
    scheme = scheme.lower()  # FFmpeg knows small letters only
    # The error that Python's own way to FFmpeg would raise can quote the address.
    if not address.isprintable():
        raise MotionveilError(f"{shown(address)}: an address has no line breaks or control signs")
    # FFmpeg looks at five seconds of a stream, which is our time-out, and at twenty frames to
    # know its rate, which is a hint here: all that time frames would come late.
    options = {"analyzeduration": "2000000", "fpsprobesize": "3"}
    if scheme in ("rtsp", "rtsps"):
        # UDP loses packets and stops at firewalls. Sound is not even sent.
        options |= {"rtsp_transport": "tcp", "allowed_media_types": "video"}
    return LiveInput(
        shown(address),
        f"{scheme}://{rest}",
        options=options,
        finite=scheme in ("http", "https"),
    )
