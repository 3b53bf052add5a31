"""Network addresses: what a command listens on, and what messages may show of a camera's."""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
from collections.abc import Callable
from typing import TypeVar

from motionveil.errors import MotionveilError

Listener = TypeVar("Listener")

STREAM_SCHEMES = ("rtsp", "rtsps", "http", "https", "rtmp", "udp", "srt")
"""The ways to write the address of a stream, before `://`."""

# Of an owner's and a repository's name neither begins or ends with "-" or ".", as on the hub.
HUB_NAME = re.compile(
    r"hf:((?![^@]*(?:--|\.\.))\w(?:[\w.-]*\w)?/\w(?:[\w.-]*\w)?)(?:@([\w./-]+))?", re.ASCII
)
"""`hf:owner/name[@revision]`: a repository on the Hugging Face Hub, and its revision."""

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{1,9}):(//)?(.*)", re.DOTALL)
_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])?(?::(\d{1,5}))?")
_DRIVE = re.compile(r"^[A-Za-z]:[\\/]")
_TEST = re.compile(r"test:[\dx@/]*")
_PASSWORD = re.compile(r"(?:pass|pwd|token|secret|key)\w*=", re.IGNORECASE)
# What cameras call their streams, so that two behind one host can be told apart. A password could
# be one of these words only if it stood alone in the path.
_WORD = (
    "(?:live|stream|streaming|channels?|ch|cam|cameras?|video|media|main|sub|first|second|third"
    "|profile|track|h264|h265|hevc|mjpe?g|mp4|mpeg4|axis|onvif|unicast|multicast|cgi|bin"
    "|realmonitor|av|sdp|amp|m3u8|ts|jpg|low|high|hd|sd)"
)
_SEGMENT = re.compile(
    rf"(?:{_WORD}+|[a-z])?\d{{0,3}}(?:[-_.](?:{_WORD}+\d{{0,3}}|[a-z]?\d?))*", re.IGNORECASE
)


def shown(source: str) -> str:
    """Return what messages may show of a source: never a password, wherever it stands.

    A plain path, `camera:1` and `test:64x48` are shown as they are. Of an address it is scheme,
    host and port; the path too where it is made of the words that cameras use for their streams.
    All else is `...`: names and passwords, parameters, keys in the path, and all of what is no
    proper address (`rstp:/user:pw@host`, `user:pw@host`), for there nobody can say what is what.

    Examples:
        >>> shown("rtsp://admin:secret@192.0.2.7:554/live/ch1?key=1")
        'rtsp://192.0.2.7:554/live/ch1?...'
        >>> shown("rtsp://192.0.2.7/user=admin_password=secret")
        'rtsp://192.0.2.7/...'
    """
    if source.startswith("camera:"):
        return source if _is_plain(source[7:]) else "camera:..."
    if _is_plain(source) or _TEST.fullmatch(source):
        return source
    parts = _ADDRESS.fullmatch(source)
    if parts is None:
        return "..."
    scheme, slashes, rest = parts[1].lower(), parts[2], parts[3]
    if slashes:
        return f"{scheme}://{_shown_place(rest)}"
    return f"{scheme}:..." if scheme in STREAM_SCHEMES else "..."


def may_hold_password(text: str) -> bool:
    """Say whether a word of a command line looks like an address that could hold a password."""
    if HUB_NAME.fullmatch(text):
        return False
    return "://" in text or "@" in text or _PASSWORD.search(text) is not None


def _is_plain(text: str) -> bool:
    return not any(c in "@:?=" for c in _DRIVE.sub("", text, count=1))


def _shown_place(rest: str) -> str:
    """Return what may be shown of what follows `://`."""
    authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
    tail = rest[len(authority) :]
    host = authority.rpartition("@")[2]
    found = _HOST.fullmatch(host)
    # An "@" further on: is it a password with a slash, or one in the path? What is the host?
    if "@" in tail or found is None or int(found[1] or 0) > 65535:
        return "..."
    path, query = re.split(r"(?=[?#])", tail + "?", maxsplit=1)
    if not all(_SEGMENT.fullmatch(segment) for segment in path.split("/")):
        path = "/..."
    return host + path + ("?..." if query != "?" else "")


def host_and_port(option: str, address: str, port: int) -> tuple[str, int]:
    """Read `HOST:PORT`, `[::1]:PORT` or `PORT` alone.

    Args:
        option: What errors name, such as `"--preview"`.
        port: The usual one, for the error's example.

    Raises:
        MotionveilError: It is no address.
    """
    host, _, number = address.strip().rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if bracketed:
        host = host[1:-1]
    valid = number.isascii() and number.isdecimal() and int(number) <= 65535
    if not valid or (":" in host) != bracketed or any(c in host for c in "/@[] "):
        raise MotionveilError(
            f"{option} {address}: no address; write HOST:PORT, such as 127.0.0.1:{port} or"
            f" [::1]:{port}, or PORT alone, from 0 (any free one) to 65535"
        )
    # "localhost" by name could be found at ::1, where browsers do not look first.
    return (host if host not in ("", "localhost") else "127.0.0.1"), int(number)


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a host; a name other than "localhost" may change."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def listening(option: str, host: str, port: int, listen: Callable[[int], Listener]) -> Listener:
    """Return what listens on a port, before anything is printed; port 0 is any free one.

    Args:
        option: What errors name: the option with its value.
        listen: Listens, given the address family.

    Raises:
        MotionveilError: The port is taken, or the host is not this machine.
    """
    try:
        return listen(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0])
    except (OSError, UnicodeError) as error:  # UnicodeError: the name is too long to look up
        raise MotionveilError(f"{option}: {_not_taken(host, port, error)}") from error


def _not_taken(host: str, port: int, error: OSError | UnicodeError) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EADDRINUSE:
        return f"port {port} is in use by another program; choose another, or 0 for any"
    if number == errno.EACCES:
        return f"port {port} is for the administrator only; choose one above 1023"
    return f"{host} is no address of this machine; 127.0.0.1:{port} would be"
