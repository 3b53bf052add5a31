"""The interactive trade-off: where everything lies in the SVG that `tradeoff.html` draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from motionveil.published.figures import PublishedRow
from motionveil.report.figures import GREY, family_styles, marker_path, sizes, styles
from motionveil.report.pooling import Method, families, family_and_number, family_label, label
from motionveil.report.tradeoff_figure import LIMITS, floors, steps_of

# The SVG's own units; a page shows it smaller or larger.
WIDTH, HEIGHT = 640, 560
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 40
_MARK = 2.2  # units for a point of matplotlib's marker size


@dataclass(frozen=True)
class Tick:
    """A tick of both axes: its percent and where it lies."""

    percent: int
    x: float
    y: float


@dataclass(frozen=True)
class Mark:
    """A point of the plot.

    Attributes:
        x, y: Its centre.
        d: Its marker, an SVG path around (0, 0).
        name: What it is called.
    """

    x: float
    y: float
    d: str
    name: str


@dataclass(frozen=True)
class Point:
    """A method in the plot.

    Attributes:
        mark: Its mark.
        left, right, low, high: The ends of its intervals.
        runs: Its single rows where it pools several.
    """

    mark: Mark
    left: float
    right: float
    low: float
    high: float
    runs: list[Mark]


@dataclass(frozen=True)
class Group:
    """A family, or a reference, that the legend can switch off.

    Attributes:
        name, colour: Of the family.
        d: Its marker for the legend.
        line: The SVG path that joins its points.
        members: Places of its methods.
    """

    name: str
    colour: str
    d: str
    line: str
    members: list[int]


@dataclass(frozen=True)
class Plot:
    """Everything that is drawn.

    Attributes:
        left, right, top, bottom: The axes' rectangle.
        ticks: Of both axes.
        front: The Pareto front, an SVG path; empty where one family stands alone.
        ideal: Where the ideal lies.
        floor_x, floor_y: What guessing the commonest scores.
        points: The methods, in their order.
        groups: Families and references.
        published: Published points.
    """

    left: float
    right: float
    top: float
    bottom: float
    ticks: list[Tick]
    front: str
    ideal: Mark
    floor_x: float
    floor_y: float
    points: list[Point]
    groups: list[Group]
    published: list[Mark]


def across(privacy: float) -> float:
    """Return where a privacy accuracy in [0, 1] lies, in the SVG's units from the left."""
    low, high = LIMITS
    return _LEFT + (100 * privacy - low) / (high - low) * (WIDTH - _LEFT - _RIGHT)


def down(action: float) -> float:
    """Return where an action accuracy in [0, 1] lies, in the SVG's units from the top."""
    low, high = LIMITS
    return HEIGHT - _BOTTOM - (100 * action - low) / (high - low) * (HEIGHT - _TOP - _BOTTOM)


def lay_out(methods: Sequence[Method], published: Sequence[PublishedRow] = ()) -> Plot:
    """Return the plot of some methods.

    Args:
        methods: At least one.
        published: Published figures to show beside.
    """
    action, privacy = floors(methods)
    several = len(families(methods)) > 1
    return Plot(
        left=_LEFT,
        right=WIDTH - _RIGHT,
        top=_TOP,
        bottom=HEIGHT - _BOTTOM,
        ticks=[Tick(p, across(p / 100), down(p / 100)) for p in range(0, 101, 20)],
        front=_path(steps_of(methods)) if several else "",
        ideal=Mark(across(privacy), down(1.0), marker_path("*", 15 * _MARK), "ideal"),
        floor_x=across(privacy),
        floor_y=down(action),
        points=_points(methods),
        groups=_groups(methods),
        published=_published(published, [m.family for m in methods]),
    )


def _points(methods: Sequence[Method]) -> list[Point]:
    points = []
    for method, (_, marker), size in zip(methods, styles(methods), sizes(methods), strict=True):
        small = marker_path(marker, 3.5 * _MARK)
        runs = [
            Mark(across(r.privacy.frame.accuracy), down(r.action.accuracy), small, "")
            for r in method.rows
            if len(method.rows) > 1
        ]
        x, y = across(method.frame.accuracy), down(method.action.accuracy)
        mark = Mark(x, y, marker_path(marker, size * _MARK), method.label)
        left, right = (across(bound) for bound in method.frame.interval)
        low, high = (down(bound) for bound in method.action.interval)
        points.append(Point(mark, left, right, low, high, runs))
    return points


def _groups(methods: Sequence[Method]) -> list[Group]:
    """Return what the legend lists: families; with one family only, each of its methods."""
    several = len(families(methods)) > 1
    looks = styles(methods)
    members: dict[str, list[int]] = {}
    for place, method in enumerate(methods):
        key = method.family if several else method.label
        members.setdefault(key, []).append(place)
    groups = []
    for key, places in members.items():
        colour, marker = looks[places[0]]
        ordered = sorted((methods[i] for i in places), key=lambda m: m.taken)
        line = _path([(m.frame.accuracy, m.action.accuracy) for m in ordered])
        name = family_label(key) if several else key
        groups.append(Group(name, colour, marker_path(marker, 14), line, places))
    return groups


def _published(rows: Sequence[PublishedRow], names: Sequence[str]) -> list[Mark]:
    looks: Mapping[str, tuple[str, str]] = family_styles(names)
    marks = []
    for row in rows:
        _, marker = looks.get(family_and_number(row.method)[0], (GREY, "o"))
        x, y = across(row.privacy.accuracy), down(row.action.accuracy)
        name = label(row.method, row.alpha)
        marks.append(Mark(x, y, marker_path(marker, 6.5 * _MARK), name))
    return marks


def _path(points: Sequence[tuple[float, float]]) -> str:
    """Return an SVG path through points of (privacy, action) in [0, 1]."""
    return "M" + "L".join(f"{across(x):.1f},{down(y):.1f}" for x, y in points)
