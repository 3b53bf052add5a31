"""The command line: one module per command, imported when the command runs.

A command's module has two functions: `add_arguments(parser)` and `run(arguments) -> int`.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import sys
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from importlib import import_module
from pathlib import Path
from threading import Event
from typing import Any, NoReturn

from motionveil._version import __version__
from motionveil.errors import explain
from motionveil.job_store import in_use
from motionveil.process_hardening import forbid_core_dumps, stopping
from motionveil.secret import without_secrets


class Parser(argparse.ArgumentParser):
    """Complains about a command line without repeating its passwords."""

    _words: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Remember the words, for `error`."""
        self._words = list(sys.argv[1:] if args is None else args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Print usage and the message, and exit with status 2."""
        if message.startswith("unrecognized arguments"):  # an option mistyped is no less secret
            message = re.sub(r"(--[^\s=]+)([ =])(?!-)\S+", r"\1\2...", message)
        super().error(without_secrets(message, self._words))


COMMANDS = {
    "quickstart": "train, attack and compare encoders on built-in data, and write a report",
    "encode": "veil a video",
    "recognise": "recognise actions in veiled video, live or from files",
    "serve": "run many cameras from one file, with one page for all",
    "score": "score recognised events against true ones",
    "export": "export an encoder as an ONNX model or a C file",
    "events": "simulate an event camera",
    "faces": "blur faces in a video or a data set, as a baseline",
    "index": "create the manifest of a data set",
    "check": "check a manifest for unreadable, short and missing clips",
    "weights": "list, convert and check pretrained weights of networks",
    "train": "train an encoder adversarially",
    "validate": "score a frozen encoder with fresh networks",
    "tradeoff": "compare the action and privacy accuracy of methods",
    "ablate": "ablation study of BDQ: its modules and its settings",
    "sweep": "run a grid of experiments, on this machine or a Ray cluster",
    "audit": "attack veiled video to measure what it still reveals",
    "study": "create, serve and analyse a user study",
    "complexity": "measure parameters, size, FLOPs, speed and memory of encoders",
    "report": "draw the figures and pages of stored results",
    "push": "write an encoder and its model card to the Hugging Face Hub",
    "verify": "compare a stored result with the published figures",
    "clean": "list or delete what killed runs left behind",
    "doctor": "report what is installed, what is missing and what would be slow",
    "completion": "print the completion script for a shell",
}
"""Every command and its line of help; the module is `motionveil.cli.<command>`."""

_WITH_FOLDER = ("quickstart", "encode", "train", "tradeoff", "ablate", "audit")
"""Commands whose `--out` is a folder for one run at a time. Sweeps share one: see `job_store`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status: 0, 1 on failure, 2 on wrong usage."""
    words = list(sys.argv[1:] if argv is None else argv)
    name = next((word for word in words if not word.startswith("-")), "")
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):  # names may hold what the terminal's encoding lacks
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        parser = create_parser({name})
        _refuse_empty(words, parser)
        arguments = parser.parse_args(words)
        if arguments.command is None:
            parser.print_help()
            return 2
        forbid_core_dumps()  # most commands hold raw frames, and none needs its memory kept
        # A service manager's SIGTERM and a closed terminal end a command as Ctrl-C does.
        with stopping(Event(), at_once=True), _folder_in_use(arguments):
            return int(arguments.run(arguments))
    except KeyboardInterrupt:
        print("motionveil: stopped", file=sys.stderr)
        return 130
    except Exception as error:  # no trace reaches a user
        mask = partial(without_secrets, words=words)
        told = mask(" ".join(["motionveil", *words]))[:200]  # a secret that is cut is not found
        line = _missing(error, name) or explain(error, told, mask)
        print(f"motionveil: error: {mask(line)}", file=sys.stderr)
        return 1


def _open_what_is_closed() -> None:
    """Open in the place of each standard stream that the caller has closed one that holds nothing.

    Otherwise the next file that is opened would take its descriptor, and libraries that print
    would print into that file.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest that is free
        if getattr(sys, name) is None:
            nothing = open(os.devnull, "r" if name == "stdin" else "w")  # noqa: SIM115
            setattr(sys, name, nothing)


def _refuse_empty(words: Sequence[str], parser: argparse.ArgumentParser) -> None:
    """Refuse an empty word: as a path it would be the working directory."""
    for number, word in enumerate(words, 1):
        if not word or re.fullmatch(r"--[\w-]+=", word):
            said = f"{word} is given no value" if word else f"argument {number} is empty"
            parser.error(f"{said}; is a variable not set?")


def _missing(error: Exception, command: str) -> str | None:
    """Return which extra has the package that a command lacks; None if that is not the error."""
    package = (getattr(error, "name", None) or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or package == "motionveil":
        return None
    extra = "study" if command == "study" else "train"
    if package == "onnx":
        extra = "export"
    if package == "onnxruntime" or (package == "onnx" and command != "export"):
        extra = "faces"
    if command in ("recognise", "serve"):
        extra = command
    if package == "tensorboardX":
        extra = "track"
    wanted = f"'{_installed_from()}[{extra}]'"
    way = f"pip install {wanted}"
    if "UV" in os.environ:  # set by `uvx`, whose environment cannot be added to
        way = f"uvx --from {wanted} motionveil {command} ..., or {way}"
    return f"`{command}` needs the package {error.name!r}: {way}"


def _installed_from() -> str:
    """Return what to name for another extra: the wheel that was installed, or `motionveil`."""
    import json
    from importlib.metadata import PackageNotFoundError, distribution
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    try:
        source = json.loads(distribution("motionveil").read_text("direct_url.json") or "{}")
    except PackageNotFoundError:
        return "motionveil"
    url = urlsplit(source.get("url", ""))
    wheel = url2pathname(url.path)
    return wheel if wheel.endswith(".whl") and url.scheme == "file" else "motionveil"


def _folder_in_use(arguments: argparse.Namespace) -> AbstractContextManager[None]:
    """Return what keeps a command's folder from other runs while it runs."""
    out = getattr(arguments, "out", None)
    first = os.environ.get("RANK", "0") == "0"  # processes of one training share its folder
    if arguments.command not in _WITH_FOLDER or out is None or not first:
        return nullcontext()
    return nullcontext() if getattr(arguments, "dry_run", False) else in_use(Path(out))


def create_parser(imported: Collection[str]) -> argparse.ArgumentParser:
    """Return the parser, with the arguments of these commands; no other's module is imported."""
    parser = Parser(
        prog="motionveil", description="See what people do without seeing who they are."
    )
    parser.add_argument("--version", action="version", version=f"motionveil {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, line in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=line,
            description=line[0].upper() + line[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name in imported:
            module = import_module(f"motionveil.cli.{name}")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return parser
