"""The look of a report's figures, shared by all of them: style, colours, markers, SVG and PNG."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.markers import MarkerStyle

from motionveil.report.pooling import BDQ, RAW, UNTRAINED, Method, families

Look = tuple[str, str]
"""A colour and matplotlib's name of a marker."""

# Okabe and Ito's palette, which people with any common colour blindness can tell apart; ochre and
# violet are added where it does not suffice. Each colour comes with a marker of its own, so a
# black-and-white print can be read too.
_REFERENCES: dict[str, Look] = {RAW: ("#000000", "s"), UNTRAINED: ("#E69F00", "D")}
_STYLES: tuple[Look, ...] = (
    ("#56B4E9", "v"),
    ("#0072B2", "o"),
    ("#D55E00", "^"),
    ("#009E73", "P"),
    ("#CC79A7", "X"),
    ("#000000", "<"),
    ("#E69F00", ">"),
)
_FAMILIES: dict[str, Look] = {
    BDQ: ("#0072B2", "o"),
    "unet": ("#D55E00", "^"),
    "ryoo": ("#009E73", "P"),
    "downsample": ("#CC79A7", "X"),
    "blur": ("#56B4E9", "v"),
    "pixelate": ("#8C6D1F", "p"),
    "dvs": ("#6A3D9A", "d"),
    "face-blur": ("#555555", "h"),
}
_FURTHER: tuple[Look, ...] = (
    ("#009E73", "<"),
    ("#D55E00", ">"),
    ("#6A3D9A", "*"),
    ("#56B4E9", "s"),
    ("#CC79A7", "D"),
    ("#8C6D1F", "X"),
)
INK, GREY = "#222222", "#767676"
_SIZE, _SMALLEST, _LARGEST = 7.5, 5.0, 11.0  # of a marker, in points

_STYLE: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib: the same picture everywhere
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
    "text.parse_math": False,  # a method called `$x$` is a name, not a formula
    "svg.fonttype": "path",
    "svg.hashsalt": "motionveil",  # with fixed metadata: equal results give equal bytes
}


@contextmanager
def house_style() -> Iterator[None]:
    """Draw in the report's style, whatever the user's own matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def to_svg(figure: Figure) -> bytes:
    """Return a figure as SVG, byte for byte the same for the same figure."""
    buffer = io.BytesIO()
    with house_style():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def to_png(figure: Figure, dpi: int = 200) -> bytes:
    """Return a figure as PNG; `dpi` is in pixels an inch."""
    buffer = io.BytesIO()
    with house_style():
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def contested(methods: Sequence[Method]) -> bool:
    """Return whether there is more than one family beside raw and untrained."""
    return len(families(methods)) > 1


def styles(methods: Sequence[Method]) -> list[Look]:
    """Return a colour and a marker for each method; raw and untrained always have their own.

    Where several families are compared, the methods of a family share theirs.
    """
    if contested(methods):
        looks = family_styles([m.family for m in methods])
        return [looks[m.family] for m in methods]
    others = [m for m in methods if m.method not in _REFERENCES]
    # A BDQ trained without its adversary keeps the first style, also where it was not measured.
    start = 0 if others and others[0].method == BDQ and not others[0].adversarial else 1
    chosen = {id(m): _STYLES[(start + i) % len(_STYLES)] for i, m in enumerate(others)}
    return [_REFERENCES.get(m.method) or chosen[id(m)] for m in methods]


def family_styles(names: Sequence[str]) -> dict[str, Look]:
    """Return each family's look: a known one's is the same in all reports."""
    known = _REFERENCES | _FAMILIES
    free = [look for name, look in _FAMILIES.items() if name not in {BDQ, *names}]
    spare = [*_FURTHER, *free]
    unknown = [name for name in dict.fromkeys(names) if name not in known]
    return known | {name: spare[i % len(spare)] for i, name in enumerate(unknown)}


def sizes(methods: Sequence[Method]) -> list[float]:
    """Return each method's marker size in points: the larger, the more its family takes away.

    All are alike where there is one family.
    """
    if not contested(methods):
        return [_SIZE] * len(methods)
    chosen = {}
    for group in families(methods).values():
        for place, method in enumerate(group):
            share = place / (len(group) - 1) if len(group) > 1 else None
            size = _SIZE if share is None else _SMALLEST + share * (_LARGEST - _SMALLEST)
            chosen[id(method)] = size
    return [chosen.get(id(m), _SIZE) for m in methods]


def marker_path(marker: str, size: float) -> str:
    """Return a marker as the `d` of an SVG path around (0, 0).

    Args:
        marker: As in `Look`.
        size: Width of a circle of this size, in the units of the SVG.
    """
    style = MarkerStyle(marker)
    path = style.get_path().transformed(style.get_transform())
    outlines = []
    for outline in path.to_polygons():
        points = [f"{size * x:.2f},{-size * y:.2f}" for x, y in np.asarray(outline)]
        outlines.append(f"M{'L'.join(points)}Z")
    return "".join(outlines)


def short(name: str) -> str:
    """Cut a name that would push the axes out of their figure; the tables give it whole."""
    return name if len(name) <= 28 else f"{name[:27]}…"
