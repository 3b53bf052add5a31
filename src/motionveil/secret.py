"""Addresses and tokens that must not stand where others read them, and messages that keep them."""

from __future__ import annotations

import os
import re
import shlex
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from motionveil.bind_address import HUB_NAME, may_hold_password, shown
from motionveil.errors import MotionveilError

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_USERINFO = re.compile(r"(?<=://)[^/?#]*(?=@)")
_MAY_STAND = "%:!$&'()*+,;="  # what `quote` would encode though it may stand before the "@"
_WORD = re.compile(r"""(?:\\[\s'"]|'[^']*'|"[^"]*"|[^\s'"]|['"])+""")  # a shell's, quotes within
# A path that says whose it is or where: absolute, from a home folder, or out of this one.
_PATH = re.compile(
    r"(?<![\w.\-/\\)\]])[/\\]+(?=[^\s/\\])"
    r"|(?<!\w)~[A-Za-z_/\\]"
    r"|(?<![A-Za-z0-9])[A-Za-z]:[/\\](?!/)"
    r"|(?<![\w.])(?:[^\s=,;:]*[/\\])?\.\.(?:[/\\]|$)"
)
_SCHEME = re.compile(r"(?<![\w+.-])(?!file:)([A-Za-z][\w+.-]*)://", re.IGNORECASE)
_SIZE = re.compile(r"test:.*|[\dx.]+@[\d.]+")
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


def without_paths(text: str) -> str:
    """Return a text that can be published: paths and addresses name people, disks and cameras.

    Of a path only the last part stays, of an address the scheme; not even those where they are a
    home folder or follow a word such as `password=`. Names on the hub and relative paths stay. A
    text that begins with a path is one, whatever is in it; in others a path with spaces is known
    by its quotes.

    Examples:
        >>> without_paths("motionveil train '/home/someone/my data/kth' --out=~/runs/1 --seed 0")
        'motionveil train kth --out=1 --seed 0'
    """
    if _PATH.match(text) or text.startswith("file:"):
        return _last_part(text)
    return _WORD.sub(_publishable, text)


def _publishable(found: re.Match[str]) -> str:
    word = re.sub(r"\\([\s'\"])|['\"]", r"\1", found[0])
    cut = _cut(word)
    if cut == word:
        return found[0]
    return cut if word == found[0] else shlex.quote(cut)


def _cut(word: str) -> str:
    option, equals, value = word.partition("=")
    if equals and re.fullmatch(r"[\w.-]+", option):
        return f"{option}={'...' if may_hold_password(f'{option}=') else _cut(value)}"
    if HUB_NAME.fullmatch(word) or _SIZE.fullmatch(word):
        return word
    address = _SCHEME.search(word)
    if address is not None:
        before, rest = word[: address.start()], word[address.start() :]
        public = address[1].lower() == "https"
        return _last_part(before) + (shown(rest) if public else f"{address[1]}://...")
    return "..." if re.search(r"\S@\S", word) else _last_part(word)


def _last_part(text: str) -> str:
    """Return a text with what follows the beginning of a path cut to the path's last part."""
    found = _PATH.search(text)
    if found is None:
        return text
    *folders, name = re.split(r"[/\\]+", text[found.start() :].rstrip("/\\"))
    is_home = bool(folders) and folders[-1].lower() in ("home", "users")
    if is_home or name in ("", ".", "..") or name.startswith("~"):
        name = "..."
    return text[: found.start()] + name


def _replaced(message: str, secret: str, by: str) -> str:
    if not secret or secret == by:
        return message
    return message.replace(secret, by).replace(repr(secret)[1:-1], by)
