"""What the pages are made of: figures as data URIs, and templates that escape every text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from motionveil._version import __version__
from motionveil.report import tables
from motionveil.report.figures import styles, to_svg
from motionveil.report.media import data_uri
from motionveil.report.pooling import BDQ, Method, label
from motionveil.report.quantiser_figure import bdq_of, quantisation
from motionveil.results import describe_order


@dataclass(frozen=True)
class Picture:
    """A figure of the page: its image, the words that stand for it, and what it shows."""

    title: str
    uri: str
    alt: str


def picture(title: str, figure: Figure, alt: str) -> Picture:
    """Return a figure as an SVG inside a data URI."""
    return Picture(title, data_uri(to_svg(figure), "image/svg+xml"), alt)


def steps(methods: Sequence[Method]) -> list[Picture]:
    """Return the learned quantisation steps of each trained BDQ."""
    drawn = []
    for method, (colour, _) in zip(methods, styles(methods), strict=True):
        for row in method.rows:
            settings = bdq_of(row.encoder)
            if method.method != BDQ or settings is None:
                continue
            name = tables.row_name(row, method.rows)
            boundaries = ", ".join(f"{b:.2f}" for b in settings.rows[0])
            alt = f"Learned against initial quantisation steps. Learned boundaries: {boundaries}."
            drawn.append(picture(name, quantisation(settings, colour), alt))
    return drawn


def render(template: str, *, package: str = "motionveil.report", **values: Any) -> str:
    """Return a page of a package's templates, with the frame and the style that all pages share.

    Every text of a result is a stranger's: all is escaped, and the pages' policies forbid scripts
    and any address but `data:`.
    """
    own, shared = PackageLoader(package, "."), PackageLoader("motionveil.report", ".")
    environment = Environment(
        loader=ChoiceLoader([own, shared]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["percent"] = lambda share: f"{100 * share:.1f}"
    environment.filters["duration"] = _duration
    environment.filters["method_label"] = lambda row: label(row.method, row.alpha)
    environment.filters["order"] = describe_order
    environment.filters["pretty"] = lambda value: json.dumps(
        value, indent=2, ensure_ascii=False, default=str
    )
    return environment.get_template(template).render(
        read=read_text, style=read_text("style.css"), version=__version__, **values
    )


def read_text(name: str) -> str:
    """Return a text file of this package, such as a style sheet."""
    return resources.files("motionveil.report").joinpath(name).read_text(encoding="utf-8")


def _duration(seconds: float) -> str:
    """Return a time for people: `42 s`, `9 min 12 s`, `3 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
