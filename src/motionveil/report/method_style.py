"""Methods in tables and figures: families, names, order of strength, colours and markers.

Families share a colour and a marker, the same in every report. The palette is Okabe and Ito's with
ochre and violet added; each colour has its own marker, so black-and-white prints can be read too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

RAW = "raw"
UNTRAINED = "bdq-untrained"
BDQ = "bdq"
REFERENCES = (RAW, UNTRAINED)
"""Methods that others are compared with; they form no family."""

Look = tuple[str, str]
"""A colour and matplotlib's name of a marker."""

_NAMES = {
    RAW: "raw video",
    UNTRAINED: "BDQ, untrained",
    BDQ: "BDQ",
    "unet": "Wu et al.",
    "ryoo": "Ryoo et al.",
    "downsample": "down-sampled",
    "blur": "blur",
    "pixelate": "mosaic",
    "dvs": "event camera",
    "face-blur": "faces blurred",
}
_WITH_STRENGTH = {
    "ryoo": "Ryoo et al., {} pixels",
    "downsample": "down-sampled to {} pixels",
    "blur": "blur σ = {}",
    "pixelate": "mosaic of {} pixels",
    "dvs": "event camera, threshold {}",
}
_LOOKS: dict[str, Look] = {
    RAW: ("#000000", "s"),
    UNTRAINED: ("#E69F00", "D"),
    BDQ: ("#0072B2", "o"),
    "unet": ("#D55E00", "^"),
    "ryoo": ("#009E73", "P"),
    "downsample": ("#CC79A7", "X"),
    "blur": ("#56B4E9", "v"),
    "pixelate": ("#8C6D1F", "p"),
    "dvs": ("#6A3D9A", "d"),
    "face-blur": ("#555555", "h"),
}
_UNKNOWN_FAMILIES: tuple[Look, ...] = (
    ("#009E73", "<"),
    ("#D55E00", ">"),
    ("#6A3D9A", "*"),
    ("#56B4E9", "s"),
    ("#CC79A7", "D"),
    ("#8C6D1F", "X"),
)
_ALPHAS: tuple[Look, ...] = (
    ("#56B4E9", "v"),
    ("#0072B2", "o"),
    ("#D55E00", "^"),
    ("#009E73", "P"),
    ("#CC79A7", "X"),
    ("#000000", "<"),
    ("#E69F00", ">"),
)
_FEWER_IS_STRONGER = ("ryoo", "downsample")  # their number is that of the pixels left
_NUMBER = re.compile(r"(.+)-(\d+(?:\.\d+)?)")
_MODULES = re.compile(r"bdq-([BDQ]+)")


def family_and_number(method: str) -> tuple[str, str | None]:
    """Split a method's name into its family and its trailing number, None where it has none.

    Example:
        >>> family_and_number("dvs-0.4"), family_and_number("face-blur")
        (('dvs', '0.4'), ('face-blur', None))
    """
    found = _NUMBER.fullmatch(method)
    return (found[1], found[2]) if found else (method, None)


def label(method: str, alpha: float | None) -> str:
    """Return a method's display name; an unknown method keeps the name it has."""
    family, number = family_and_number(method)
    if number is not None and family in _WITH_STRENGTH:
        name = _WITH_STRENGTH[family].format(number)
    else:
        name = family_label(method)
    return name if alpha is None else f"{name}, α = {alpha:g}"


def family_label(family: str) -> str:
    """Return a family's display name; an unknown one keeps the name it has."""
    modules = _MODULES.fullmatch(family)
    if modules:
        return f"{'+'.join(modules[1])} of BDQ"
    return _NAMES.get(family, family)


def strength_order(family: str, strength: float | None) -> float:
    """Return a number that grows with how much a method removes, within its family only."""
    value = 0.0 if strength is None else strength
    return -value if family in _FEWER_IS_STRONGER else value


def family_styles(families: Sequence[str]) -> dict[str, Look]:
    """Return the looks of all known families and of these; a known one's never changes."""
    free = [look for name, look in _LOOKS.items() if name not in {*REFERENCES, BDQ, *families}]
    spare = [*_UNKNOWN_FAMILIES, *free]
    unknown = [name for name in dict.fromkeys(families) if name not in _LOOKS]
    return _LOOKS | {name: spare[i % len(spare)] for i, name in enumerate(unknown)}


def single_family_styles(methods: Sequence[tuple[str, float | None]]) -> list[Look]:
    """Return a look for each method and alpha where all but the references are of one family."""
    others = [m for m in methods if m[0] not in REFERENCES]
    # BDQ with alpha = 0 keeps the first look, also where it was not measured.
    start = 0 if others and others[0][0] == BDQ and not others[0][1] else 1
    looks = {m: _ALPHAS[(start + i) % len(_ALPHAS)] for i, m in enumerate(others)}
    return [looks.get(m) or _LOOKS[m[0]] for m in methods]
