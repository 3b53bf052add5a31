"""How to open a stream out of the network."""

from __future__ import annotations

from motionveil.video.live import LiveInput

SCHEMES = ("rtsp", "rtsps", "http", "https", "rtmp", "udp", "srt")
"""The ways to write the address of a stream, before `://`."""


def is_address(written: str) -> bool:
    """Say whether this is the address of a stream."""
    scheme, separator, _ = written.partition("://")
    return bool(separator) and scheme.lower() in SCHEMES


def network_input(address: str) -> LiveInput:
    """Return how to open the stream at an address.

    Args:
        address: With one of the `SCHEMES`; may hold a name and a password.
    """
    scheme = address.partition("://")[0].lower()
    # FFmpeg looks at five seconds of a stream, which is our time-out, and at twenty frames to
    # know its rate, which is a hint here: all that time frames would come late.
    options = {"analyzeduration": "2000000", "fpsprobesize": "3"}
    if scheme in ("rtsp", "rtsps"):
        # UDP loses packets and stops at firewalls. Sound is not even sent.
        options |= {"rtsp_transport": "tcp", "allowed_media_types": "video"}
    return LiveInput(
        without_password(address), address, options=options, finite=scheme in ("http", "https")
    )


def without_password(address: str) -> str:
    """Return an address as it may be shown: no name and password, no parameters.

    Cameras take the password in the parameters as well. A password that holds an `@` or a `/`
    should be percent-encoded and often is not: all up to the last `@` goes.
    """
    scheme, separator, rest = address.partition("://")
    rest, question, _ = rest.rpartition("@")[2].partition("?")
    return f"{scheme}{separator}{rest}{'?...' if question else ''}"
