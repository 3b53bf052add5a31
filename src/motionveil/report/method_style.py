"""Methods in tables and figures: families, labels, order of strength, colours and markers.

All of it comes from the methods' own records. Families share a colour and a marker, the same in
every report; the palette is Okabe and Ito's with ochre, violets and dark green added. Each colour
has its own marker, so black-and-white prints can be read too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from motionveil.errors import MotionveilError
from motionveil.methods import Choice, choose, method, method_names

RAW = "raw"
UNTRAINED = "bdq-untrained"
BDQ = "bdq"
REFERENCES = (RAW, UNTRAINED)
"""Methods that others are compared with; they form no family."""

MarkerStyle = tuple[str, str]
"""A colour and matplotlib's name of a marker."""

_UNTRAINED_STYLE: MarkerStyle = ("#E69F00", "D")
_UNKNOWN_FAMILIES: tuple[MarkerStyle, ...] = (
    ("#009E73", "<"),
    ("#D55E00", ">"),
    ("#6A3D9A", "*"),
    ("#56B4E9", "s"),
    ("#CC79A7", "D"),
    ("#8C6D1F", "X"),
)
_ALPHAS: tuple[MarkerStyle, ...] = (
    ("#56B4E9", "v"),
    ("#0072B2", "o"),
    ("#D55E00", "^"),
    ("#009E73", "P"),
    ("#CC79A7", "X"),
    ("#000000", "<"),
    ("#E69F00", ">"),
)


def _choice(name: str) -> Choice | None:
    """Return what a row's name says; None where its package is not installed here."""
    try:
        return choose(name)
    except MotionveilError:
        return None


def family_and_strength(name: str) -> tuple[str, float | None]:
    """Split a row's name into its family and the strength in its settings, None without one.

    Examples:
        >>> family_and_strength("dvs-0.4"), family_and_strength("bdq:levels=31")
        (('dvs', 0.4), ('bdq:levels=31', None))
    """
    choice = _choice(name)
    return (name, None) if choice is None else (choice.family, choice.strength)


def label(name: str, alpha: float | None) -> str:
    """Return a row's display name; that of an unknown method is its name."""
    choice = _choice(name)
    if choice is not None:
        return replace(choice, alpha=alpha).label
    return name if alpha is None else f"{name}, α = {alpha:g}"


def family_label(family: str) -> str:
    """Return a family's display name; an unknown one keeps the name it has."""
    return label(family, None)


def strength_order(name: str, strength: float | None) -> float:
    """Return a number that grows with how much a method removes, within its family only."""
    choice = _choice(name)
    weaker_is_larger = choice is not None and choice.method.weaker_is_larger
    value = 0.0 if strength is None else strength
    return -value if weaker_is_larger else value


def _plain_styles() -> dict[str, MarkerStyle]:
    """Return the style of every method's plain family."""
    known = {name: (method(name).colour, method(name).marker) for name in method_names()}
    return {UNTRAINED: _UNTRAINED_STYLE, **known}


def family_styles(families: Sequence[str]) -> dict[str, MarkerStyle]:
    """Return the styles of all known families and of these; a known one's never changes."""
    known = _plain_styles()
    free = [style for name, style in known.items() if name not in {*REFERENCES, BDQ, *families}]
    spare = [*_UNKNOWN_FAMILIES, *free]
    unknown = [name for name in dict.fromkeys(families) if name not in known]
    return known | {name: spare[i % len(spare)] for i, name in enumerate(unknown)}


def single_family_styles(methods: Sequence[tuple[str, float | None]]) -> list[MarkerStyle]:
    """Return a style for each method and alpha where all but the references are of one family."""
    others = [m for m in methods if m[0] not in REFERENCES]
    # BDQ with alpha = 0 keeps the first style, also where it was not measured.
    start = 0 if others and others[0][0] == BDQ and not others[0][1] else 1
    styles = {m: _ALPHAS[(start + i) % len(_ALPHAS)] for i, m in enumerate(others)}
    known = _plain_styles()
    return [styles.get(m) or known[m[0]] for m in methods]
