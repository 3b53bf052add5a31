"""Methods: what a veil can be. One file per method; each is found by itself, and needs no torch.

An external package adds a method by the entry point group `motionveil.methods`, which names a
subclass of `Method`.

Names: `METHOD`, `METHOD-STRENGTH`, `METHOD-untrained`, each with `:setting=value,...`. On a command
line numbers after the colon are strengths, several of them several methods: `bdq:0,2`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import Any

from motionveil.errors import MotionveilError, no_such
from motionveil.methods.base import (
    GREY,
    KERNEL_SIZE,
    LEVELS,
    BlurredDifference,
    Choice,
    Method,
    RangeMode,
    Settings,
    Start,
)
from motionveil.plugins import classes_in, load_entry_points

__all__ = [
    "GREY",
    "KERNEL_SIZE",
    "LEVELS",
    "BlurredDifference",
    "Choice",
    "Method",
    "MotionveilError",
    "RangeMode",
    "Settings",
    "Start",
    "UnknownMethodError",
    "choose",
    "find_again",
    "method",
    "method_names",
    "parse_choices",
    "present_name",
    "register",
    "with_strengths",
]


class UnknownMethodError(MotionveilError):
    """A name that no method has."""


GROUP = "motionveil.methods"
UNTRAINED = "untrained"


@cache
def _methods() -> dict[str, Method]:
    found: dict[str, Method] = {}
    for kind in classes_in(__name__, Method):
        _add(found, kind)
    for plugin in load_entry_points(GROUP).values():
        _add(found, plugin)
    order = {name: place for place, name in enumerate(("raw", "bdq", "flow"))}
    return dict(sorted(found.items(), key=lambda item: (order.get(item[0], 3), item[0])))


def _add(found: dict[str, Method], kind: Any) -> None:
    if not (isinstance(kind, type) and issubclass(kind, Method)):
        raise TypeError(f"{kind!r} is no subclass of motionveil.methods.Method")
    if "name" not in vars(kind):
        return  # what several methods of a file share
    if kind.name in found:
        raise ValueError(f"there is a method {kind.name!r} already")
    found[kind.name] = kind()


def register(kind: type[Method]) -> type[Method]:
    """Add a method to this process; usable as a decorator. A package uses the entry point.

    Raises:
        ValueError: The name is taken.
    """
    _add(_methods(), kind)
    return kind


def find_again() -> None:
    """Look for methods again when one is next asked for, as after a package was installed."""
    _methods.cache_clear()
    load_entry_points.cache_clear()


def method_names() -> list[str]:
    """Return the names of all methods: raw, bdq, flow, then by the alphabet."""
    return list(_methods())


def method(name: str) -> Method:
    """Return a method by its name.

    Raises:
        UnknownMethodError: There is none; names the nearest.
    """
    found = _methods().get(name)
    if found is None:
        raise UnknownMethodError(no_such("method", name, _methods()))
    return found


def present_name(name: str) -> str:
    """Return the present name of a row that an older version named otherwise.

    Examples:
        >>> present_name("bdq-levels-31"), present_name("blur-4")
        ('bdq:levels=31', 'blur-4')
    """
    for found in _methods().values():
        if name in found.renamed:
            return found.renamed[name]
    return name


def choose(name: str) -> Choice:
    """Read the name of one method.

    Args:
        name: Such as `raw`, `blur-4`, `blur:4`, `bdq-untrained` or `bdq:levels=31`.

    Raises:
        MotionveilError: The name says no method, several, or a setting is wrong.

    Examples:
        >>> choose("downsample-28").settings
        {'size': 28}
        >>> choose("bdq:levels=31,alpha=2").label
        'BDQ, levels 31, α = 2'
    """
    found = parse_choices([name])
    if len(found) != 1:
        raise MotionveilError(f"{name}: name one method, not {len(found)}")
    return found[0]


def parse_choices(words: Iterable[str]) -> list[Choice]:
    """Read `METHOD[:ITEM,ITEM...]`, an item being a strength or `setting=value`.

    Several strengths make several choices. A trained method's strength is alpha.

    Returns:
        Choices in the order given, each once.

    Raises:
        MotionveilError: A method or setting is unknown (names the nearest), or a value is wrong.

    Examples:
        >>> [choice.name for choice in parse_choices(["raw", "blur:1,4"])]
        ['raw', 'blur-1', 'blur-4']
    """
    return list(dict.fromkeys(choice for word in words for choice in _parse(word)))


def _parse(word: str) -> list[Choice]:
    head, _, listed = word.partition(":")
    found, strengths, untrained = _head(head)
    settings: dict[str, Any] = {}
    for item in filter(None, listed.split(",")):
        key, equals, value = item.partition("=")
        if equals and key in settings:
            raise MotionveilError(f"{word}: {key} is given twice")
        if equals:
            settings[key] = _value(value)
        elif item == UNTRAINED:
            untrained = True
        else:
            strengths.append(_number(word, item))
    if strengths and found.strength is None and not found.adversarial:
        raise MotionveilError(f"{word}: {found.name} has no strengths")
    alpha = settings.pop("alpha", None) if found.adversarial else None
    try:
        choice = Choice(found, settings, alpha, untrained)
        several = with_strengths(choice, strengths) if strengths else [choice]
        return [replace(one, settings=found.check(one.settings)) for one in several]
    except MotionveilError as error:
        raise MotionveilError(f"{word}: {error}") from error


def with_strengths(choice: Choice, strengths: Iterable[float]) -> list[Choice]:
    """Return a choice at each of several strengths of its method: a setting, or else alpha."""
    field = choice.method.strength
    if field is None:
        return [replace(choice, alpha=strength) for strength in strengths]
    return [
        replace(choice, settings={**choice.settings, field: strength}) for strength in strengths
    ]


def _head(head: str) -> tuple[Method, list[float], bool]:
    """Split `blur-4` or `bdq-untrained` into method, strengths and whether it is untrained."""
    if head in _methods():
        return method(head), [], False
    plain = head.removesuffix(f"-{UNTRAINED}")
    name, _, strength = plain.rpartition("-")
    if name in _methods() and method(name).strength is not None:
        return method(name), [_number(head, strength)], plain != head
    return method(plain), [], plain != head


def _value(text: str) -> Any:
    words = {"true": True, "false": False, "none": None}
    if text in words:
        return words[text]
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text


def _number(word: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise MotionveilError(f"{word}: {text!r} is no number") from None
    return int(value) if value.is_integer() else value
