"""`motionveil completion`: a shell's completion of commands, options, names, files (shtab)."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from motionveil.methods import method_names
from motionveil.recognition.artefact import shipped_recognisers
from motionveil.spec import shipped_names

SHELLS = ("bash", "zsh", "fish")

FILES = {"DEST", "EVENTS", "GRID", "MANIFEST", "MANIFEST_OR_VIDEO", "OUT", "RESULT", "RUN", "TRUTH"}
FILES |= {"CSV", "FILE", "FILE.yaml", "SOURCE"}
FOLDERS = {"AUDIT", "DIR", "FOLDER", "ROOT", "STUDY"}
"""What arguments are called in help that are paths."""

WHERE = {
    "bash": "~/.local/share/bash-completion/completions/motionveil",
    "zsh": "~/.zfunc/_motionveil",
    "fish": "~/.config/fish/completions/motionveil.fish",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("shell", choices=SHELLS, help="shell to complete in")
    lines = (f"  motionveil completion {shell} > {file}" for shell, file in WHERE.items())
    parser.epilog = "\n".join(
        [
            "The folder must exist; a new shell reads the file. In zsh, ~/.zshrc needs",
            "`fpath+=~/.zfunc` before `compinit`. Run this again after a package that",
            "adds methods, encoders or recipes was installed.\n\nexamples:",
            *lines,
        ]
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the script."""
    import shtab

    from motionveil.cli import COMMANDS, create_parser

    parser = create_parser(COMMANDS)
    kinds = {"file": shtab.FILE, "folder": shtab.DIRECTORY, **_names()}
    for action in _actions(parser):
        if isinstance(action.choices, dict) and not isinstance(action, argparse._SubParsersAction):
            action.choices = list(action.choices)  # shtab takes a dictionary for commands
        kind = _kind(action)
        if kind is not None and action.choices is None and action.nargs != 0:
            action.complete = kinds[kind]  # type: ignore[attr-defined]
    print(shtab.complete(parser, arguments.shell))
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield every argument of a parser and of those below it."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _actions(below)


def _kind(action: argparse.Action) -> str | None:
    """Return what completes an argument."""
    option = action.option_strings[-1] if action.option_strings else ""
    if action.metavar == "ENCODER" or option == "--encoder":
        return "encoder"
    if option in ("--method", "--methods", "--recipe", "--model"):
        return option.lstrip("-").removesuffix("s")
    if action.metavar in FOLDERS or (option == "--out" and action.metavar is None):
        return "folder"
    return "file" if action.metavar in FILES or action.type is Path else None


def _names() -> dict[str, dict[str, Any]]:
    """Return what completes names; the scripts have them, so that a key press starts no Python."""
    recipes = (file.name for file in (files("motionveil") / "recipes").iterdir())
    methods = method_names()
    return {
        "method": _either("method", methods),
        "encoder": _either("encoder", sorted({*shipped_names(), *methods})),
        "recipe": _either("recipe", sorted(n[:-5] for n in recipes if n.endswith(".yaml"))),
        "model": _either("model", shipped_recognisers()),
    }


def _either(name: str, words: Sequence[str]) -> dict[str, Any]:
    """Return a completion, as shtab takes it, by words or by the path of a file."""
    function, text = f"_motionveil_{name}", " ".join(words)
    return {
        "bash": function,
        "zsh": function,
        "fish": f"({function})",
        "preamble": {
            "bash": f'{function}() {{ compgen -W "{text}" -- $1; compgen -f -- $1; }}',
            "zsh": f"{function}() {{ _alternative 'words:{name}:({text})' 'files:file:_files' }}",
            "fish": f"function {function}\n  printf '%s\\n' {text}\n"
            "  __fish_complete_path (commandline -ct)\nend",
        },
    }
