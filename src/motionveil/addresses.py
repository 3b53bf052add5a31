"""Addresses of this machine that a command listens on."""

from __future__ import annotations

import errno

from motionveil.errors import MotionveilError


def host_and_port(option: str, address: str, port: int) -> tuple[str, int]:
    """Read `HOST:PORT`, `[::1]:PORT` or `PORT` alone.

    Args:
        option: What errors name, such as `"--preview"`.
        address: What was written.
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


def not_taken(host: str, port: int, error: OSError | UnicodeError) -> str:
    """Return why a port could not be listened on; a UnicodeError is of a name too long."""
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EADDRINUSE:
        return f"port {port} is in use by another program; choose another, or 0 for any"
    if number == errno.EACCES:
        return f"port {port} is for the administrator only; choose one above 1023"
    return f"{host} is no address of this machine; 127.0.0.1:{port} would be"
