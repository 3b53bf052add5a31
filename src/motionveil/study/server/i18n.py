"""Internationalisation: the texts of the pages, from a YAML file that can be translated."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from motionveil.errors import MotionveilError
from motionveil.yaml_file import load_yaml, read_yaml

Texts = dict[str, Any]
"""Texts by name: a string, a list of strings (paragraphs), or nested texts."""

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def default_texts() -> str:
    """Return the English texts of the package, as YAML."""
    return resources.files(__package__).joinpath("texts.yaml").read_text(encoding="utf-8")


def read_texts(path: Path | None = None) -> Texts:
    """Return the texts of a file, or the English ones.

    Raises:
        MotionveilError: The file cannot be read, or a text is missing, unknown, empty or has other
            placeholders than the English one.
    """
    english: Texts = load_yaml(default_texts(), "texts")
    if path is None:
        return english
    texts = read_yaml(path, "the texts")
    for problem in _problems(english, texts, ()):
        raise MotionveilError(f"{path}: {problem}")
    return texts


def _problems(english: Any, given: Any, keys: tuple[str, ...]) -> Iterator[str]:
    """Yield the faults of a text and of those nested in it."""
    name = ".".join(keys) or "the file"
    if isinstance(english, dict):
        if not isinstance(given, dict):
            yield f"{name}: has no nested texts, such as {next(iter(english))!r}"
            return
        for key in given:
            if key not in english:
                yield f"{'.'.join((*keys, str(key)))}: unknown text"
        for key, value in english.items():
            if key not in given:
                yield f"{'.'.join((*keys, key))}: is missing; the English text is {value!r}"
            else:
                yield from _problems(value, given[key], (*keys, key))
        return
    texts = given if isinstance(english, list) else [given]
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        expected = "a list of texts" if isinstance(english, list) else "text; quote it"
        yield f"{name}: is {given!r}, not {expected}"
    elif given == "":
        yield f"{name}: is empty"
    elif _placeholders(given) != _placeholders(english):
        expected, found = _placeholders(english), _placeholders(given)
        yield f"{name}: has the placeholders {found or 'none'}, expected {expected or 'none'}"


def _placeholders(texts: str | list[str]) -> str:
    joined = texts if isinstance(texts, str) else " ".join(texts)
    found = set(_PLACEHOLDER.findall(joined))
    return ", ".join(f"{{{name}}}" for name in sorted(found))


def fill(text: str, values: Mapping[str, object]) -> str:
    """Return a text with its placeholders replaced."""
    return _PLACEHOLDER.sub(lambda found: str(values[found[1]]), text)
