"""The words of the pages, from a YAML file that can be translated."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from motionveil.errors import MotionveilError

Tree = dict[str, Any]
"""Texts by name: a string, a list of strings (paragraphs), or again texts by name."""

_GAP = re.compile(r"\{(\w+)\}")


def own_texts() -> str:
    """Return the English texts that come with motionveil, as YAML."""
    return resources.files(__package__).joinpath("texts.yaml").read_text(encoding="utf-8")


def read_texts(path: Path | None = None) -> Tree:
    """Return the texts of a file, or the English ones.

    Raises:
        MotionveilError: The file cannot be read, or a text is missing, unknown, empty or has other
            words in braces than the English one.
    """
    own: Tree = yaml.safe_load(own_texts())
    if path is None:
        return own
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise MotionveilError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise MotionveilError(f"{path}: no YAML: {' '.join(str(error).split())}") from error
    for problem in _problems(own, given, ()):
        raise MotionveilError(f"{path}: {problem}")
    return given


def _problems(own: Any, given: Any, keys: tuple[str, ...]) -> Iterator[str]:
    """Yield what is wrong with one text or with those below it."""
    name = ".".join(keys) or "the file"
    if isinstance(own, dict):
        if not isinstance(given, dict):
            yield f"{name}: has no texts by name, such as {next(iter(own))!r}"
            return
        for key in given:
            if key not in own:
                yield f"{'.'.join((*keys, str(key)))}: no text has this name"
        for key, value in own.items():
            if key not in given:
                yield f"{'.'.join((*keys, key))}: is missing; in English it is {value!r}"
            else:
                yield from _problems(value, given[key], (*keys, key))
    elif isinstance(own, list):
        if not isinstance(given, list) or not all(isinstance(text, str) for text in given):
            yield f"{name}: is no list of texts"
        elif _gaps(*given) != _gaps(*own):
            yield _other_gaps(name, _gaps(*own), _gaps(*given))
    elif not isinstance(given, str) or not given:
        yield f"{name}: is no text, but {given!r}; quotes help"
    elif _gaps(given) != _gaps(own):
        yield _other_gaps(name, _gaps(own), _gaps(given))


def _gaps(*texts: str) -> set[str]:
    return {gap for text in texts for gap in _GAP.findall(text)}


def _other_gaps(name: str, own: set[str], given: set[str]) -> str:
    def listed(gaps: set[str]) -> str:
        return ", ".join(f"{{{gap}}}" for gap in sorted(gaps)) or "nothing"

    return f"{name}: has {listed(given)} to be filled in, and needs {listed(own)}"


def fill(text: str, values: Mapping[str, object]) -> str:
    """Put values into a text's words in braces."""
    return _GAP.sub(lambda gap: str(values[gap[1]]), text)
