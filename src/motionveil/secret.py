"""Addresses and tokens that must not stand where others read them, and messages that keep them."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from motionveil.bind_address import may_hold_password, shown
from motionveil.errors import MotionveilError

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_USERINFO = re.compile(r"(?<=://)[^/?#]*(?=@)")
_MAY_STAND = "%:!$&'()*+,;="  # what `quote` would encode though it may stand before the "@"
_MOST = 16_384  # bytes of a file that holds one line


def secret(written: str | None, file: str | None, option: str) -> str | None:
    """Return what an option says: `${NAME}` stands for a variable, or a file has it.

    The process list shows command lines to every user of the machine; the environment and a file
    it does not show.

    Args:
        file: A file that holds it instead, of one line; nothing in it stands for a variable.
        option: The option's name, as `--source`; that of the file is `--source-file`.

    Raises:
        MotionveilError: Both are given, a variable is not set, or the file cannot be read.
    """
    if file is None:
        return None if written is None else expand_variables(written)
    if written is not None:
        raise MotionveilError(f"{option} and {option}-file: give one of the two")
    return line_of(file, f"{option}-file")


def expand_variables(written: str) -> str:
    """Return a text with the environment's values in the place of `${NAME}`.

    Before the `@` of an address, what would end a name or a password there is percent-encoded.

    Raises:
        MotionveilError: A variable is not set.
    """

    def value(found: re.Match[str]) -> str:
        if found[1] not in os.environ:
            raise MotionveilError(f"${{{found[1]}}}: this environment variable is not set")
        return os.environ[found[1]]

    def encoded(userinfo: re.Match[str]) -> str:
        # A password may hold what would end it here; "%" stays, for it may be encoded already.
        return _VARIABLE.sub(lambda found: quote(value(found), safe=_MAY_STAND), userinfo[0])

    return _VARIABLE.sub(value, _USERINFO.sub(encoded, written, count=1))


def line_of(file: str, option: str) -> str:
    """Return the one line that a file holds; warns on stderr if other users can read it.

    Args:
        option: What asked for it, which errors name.

    Raises:
        MotionveilError: It cannot be read, or holds no line or several.
    """
    if file == "-":
        raise MotionveilError(f"{option} -: give a file; standard input may be the video")
    try:
        with Path(file).open("rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            lines = opened.read(_MOST + 1).decode().split("\n")
    except OSError as error:
        raise MotionveilError(f"{option} {file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:  # its text would quote the file
        raise MotionveilError(f"{option} {file}: is no UTF-8 text") from None
    lines = [line.strip() for line in lines if line.strip()]
    if len(lines) != 1 or len(lines[0]) > _MOST:
        raise MotionveilError(f"{option} {file}: must hold one line, not {len(lines)}")
    if os.name != "nt" and stat.S_ISREG(mode) and mode & 0o044:
        warning = f"{file} can be read by other users: chmod 600 {file}"
        print(f"motionveil: warning: {warning}", file=sys.stderr)
    return lines[0]


def without_secrets(message: str, words: Sequence[str]) -> str:
    """Return a message without the passwords and tokens of the command line that it quotes."""
    before = ""
    for word in words:
        option, _, value = word.partition("=") if word.startswith("--") else ("", "", word)
        if _VARIABLE.fullmatch(value):  # a name is not secret
            pass
        elif re.search("token(?!.*file)", option or before) and not value.startswith("--"):
            message = _replaced(message, value, "...")
        elif may_hold_password(value) and not os.path.exists(value):
            # Of a path, Python makes one slash of two.
            for variant in (value, str(Path(value))):
                message = _replaced(message, variant, shown(value))
        before = word if word.startswith("--") and "=" not in word else ""
    return message


def _replaced(message: str, secret: str, by: str) -> str:
    if not secret or secret == by:
        return message
    return message.replace(secret, by).replace(repr(secret)[1:-1], by)
