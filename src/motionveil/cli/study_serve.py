"""`motionveil study serve STUDY`: serve a study to participants, in their browsers."""

from __future__ import annotations

import argparse
import secrets
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from motionveil.atomic_write import atomic_path, write_text_atomically
from motionveil.bind_address import host_and_port, is_loopback
from motionveil.errors import MotionveilError
from motionveil.secret import secret

if TYPE_CHECKING:
    from motionveil.study.server.context import Context

SHORTEST_TOKEN = 16
PACKAGES = ("fastapi", "uvicorn", "jinja2", "python_multipart", "yaml")

SERVE_EPILOG = """\
Each participant needs a personal link, from --invite or the administrator's page, unless the study
is --open. Answers are stored in STUDY/study.db. Sessions resume and links stay valid after a
restart or a crash of the server.

For participants on other machines, put a TLS proxy in front and give --url. Over plain HTTP, others
on the network can read links and answers.

examples:
  motionveil study serve mystudy --invite 26 --links links.txt
  motionveil study serve mystudy --open --url https://study.example.org
  motionveil study serve mystudy --admin-token-file token.txt
"""


def add_serve_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `study serve`."""
    parser.add_argument("study", type=Path, metavar="STUDY", help="folder from `study create`")
    parser.add_argument(
        "--address",
        default="127.0.0.1:8000",
        metavar="HOST:PORT",
        help="address of the server (default: 127.0.0.1:8000, this machine only)",
    )
    parser.add_argument("--url", help="public URL (default: that of the address)")
    parser.add_argument(
        "--invite", type=int, default=0, metavar="N", help="create N personal links"
    )
    parser.add_argument(
        "--links",
        type=Path,
        metavar="FILE",
        help="write the links to FILE instead of printing them",
    )
    parser.add_argument("--open", action="store_true", help="allow participation without a link")
    parser.add_argument(
        "--max-participants",
        type=int,
        default=1000,
        metavar="N",
        help="with --open, at most N participants in all (default: 1000)",
    )
    parser.add_argument(
        "--admin-token",
        metavar="TOKEN",
        help="the administrator's password, 16 characters or more; ${NAME} is replaced by an"
        " environment variable (default: random, printed)",
    )
    parser.add_argument(
        "--admin-token-file", metavar="FILE", help="read it from a file, hidden from other users"
    )
    parser.add_argument(
        "--texts", type=Path, metavar="FILE", help="texts of the pages, such as a translation"
    )
    parser.add_argument(
        "--write-texts", type=Path, metavar="FILE", help="write the English texts to FILE and exit"
    )
    parser.epilog = SERVE_EPILOG


def run_serve(arguments: argparse.Namespace) -> int:
    """Serve a study until it is stopped."""
    for package in PACKAGES:
        if find_spec(package) is None:
            raise MotionveilError(
                f"`study serve` needs the package {package!r}: pip install 'motionveil[study]'"
            )
    from motionveil.study.server.app import listen, serve
    from motionveil.study.server.context import Context, default_texts

    if arguments.write_texts:
        print(f"wrote {write_text_atomically(arguments.write_texts, default_texts())}")
        return 0
    if arguments.invite < 0 or arguments.invite > 10_000:
        raise MotionveilError(f"--invite {arguments.invite}: between 0 and 10000")
    if arguments.max_participants < 1:
        raise MotionveilError(
            f"--max-participants {arguments.max_participants}: must be at least 1"
        )
    if arguments.links and not arguments.invite:
        raise MotionveilError("--links needs --invite N: there are no links to write")
    given = secret(arguments.admin_token, arguments.admin_token_file, "--admin-token")
    token = _admin_token(given)
    host, port = host_and_port("--address", arguments.address, 8000)
    others = _others_can_read(arguments, host)
    with listen(host, port) as listener:
        if others:
            print(
                f"motionveil: {others} is reached over plain HTTP: others on the network can read"
                " links and answers, and the administrator's token",
                file=sys.stderr,
            )
        shown = f"[{host}]" if ":" in host else host
        url = arguments.url or f"http://{shown}:{listener.getsockname()[1]}"
        context = Context(
            arguments.study,
            url,
            token,
            open=arguments.open,
            most=arguments.max_participants,
            texts=arguments.texts,
        )
        try:
            _invite(context, arguments.invite, arguments.links)
            serve(context, listener, lambda: _greet(context, is_new_token=given is None))
        finally:
            context.store.close()
    return 0


def _admin_token(given: str | None) -> str:
    if given is None:
        return secrets.token_urlsafe(24)
    if len(given.strip()) < SHORTEST_TOKEN:
        raise MotionveilError(
            f"--admin-token: has {len(given.strip())} characters; give {SHORTEST_TOKEN} or more"
            " that cannot be guessed, or leave it out to get a new one"
        )
    return given.strip()


def _others_can_read(arguments: argparse.Namespace, host: str) -> str | None:
    """Return the name under which others reach the server unencrypted; None if they do not.

    Raises:
        MotionveilError: Participants could not open this address.
    """
    if arguments.url is None:
        if host in ("0.0.0.0", "::"):
            raise MotionveilError(
                f"--address {arguments.address}: also give --url with the address that participants"
                " open, such as https://study.example.org"
            )
        return None if is_loopback(host) else host
    parts = urlsplit(arguments.url)
    bare = parts.path in ("", "/") and not parts.query and not parts.fragment
    if parts.scheme not in ("http", "https") or not parts.hostname or not bare:
        raise MotionveilError(
            f"--url {arguments.url}: write what participants open, with nothing after the name,"
            " such as https://study.example.org"
        )
    return None if parts.scheme == "https" or is_loopback(parts.hostname) else parts.hostname


def _invite(context: Context, count: int, file: Path | None) -> None:
    tokens = [context.store.enrol() for _ in range(count)]
    links = [context.link(token.result()) for token in tokens]
    if file is None:
        for link in links:
            print(link)
        return
    with atomic_path(file) as part:
        part.chmod(0o600)  # whoever has a link can answer for its participant
        part.write_text("".join(f"{link}\n" for link in links), encoding="utf-8")
    print(f"wrote {file}")


def _greet(context: Context, *, is_new_token: bool) -> None:
    print(f"serving {context.study.title!r} at {context.url}; Ctrl-C stops it")
    print(f"administrator: {context.url}/admin")
    if is_new_token:
        print(f"administrator's token: {context.admin_token}")
    if not context.open and not context.store.progress():
        print("no participants yet: create links with --invite N, or allow everyone with --open")
    sys.stdout.flush()
