"""Pages: templates that escape every text; figures, images and videos as data URIs."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from motionveil._version import __version__
from motionveil.errors import MotionveilError
from motionveil.limits import packaged_text
from motionveil.report.figures import to_svg
from motionveil.report.method_style import family_label, label
from motionveil.results import describe_order

SPACE = "\N{NO-BREAK SPACE}"
_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
}

_CAPTIONS = {
    "strip": (
        "The same frames in every stage: original, blurred, difference of consecutive frames,"
        " veiled"
    ),
    "timeline": (
        "A held-out video, recognised as a stream from its veiled frames: what is done, and what"
        " was recognised"
    ),
    "veiled": "Output of the encoder: the veiled video",
    "original": "Input of the encoder: the original video",
}


@dataclass(frozen=True)
class FigureImage:
    """A figure of a page: its title, its image as a data URI, its text alternative."""

    title: str
    uri: str
    alt: str


def figure_image(title: str, figure: Figure, alt: str) -> FigureImage:
    """Return a figure as an SVG inside a data URI."""
    return FigureImage(title, data_uri(to_svg(figure, small=True), "image/svg+xml"), alt)


def render(template: str, *, package: str = "motionveil.report", **values: Any) -> str:
    """Return a page of a package's templates, with the base and the style that all pages share.

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
    environment.filters["family_label"] = lambda family: family_label(family or "all methods")
    environment.filters["order"] = describe_order
    environment.filters["signed"] = lambda share: f"{100 * share:+.1f}"
    environment.filters["pretty"] = lambda value: json.dumps(
        value, indent=2, ensure_ascii=False, default=str
    )
    read = partial(packaged_text, "motionveil.report")
    return environment.get_template(template).render(
        read=read, style=read("style.css"), version=__version__, zip=zip, **values
    )


def percent(share: float, digits: int = 0) -> str:
    """Return a share in [0, 1] as `31 %` with a space that does not break."""
    return f"{100 * share:.{digits}f}{SPACE}%"


def _duration(seconds: float) -> str:
    """Return a duration such as `42 s`, `9 min 12 s`, `3 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


@dataclass(frozen=True)
class Medium:
    """An image or a video of a page; `uri` is None where the file is not there."""

    name: str
    caption: str
    video: bool
    uri: str | None


def data_uri(content: bytes, kind: str) -> str:
    """Return bytes as a `data:` URI of the given media type."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def media(files: Mapping[str, str], folder: Path) -> list[Medium]:
    """Read a result's images and videos, images first.

    A file that is gone leaves a line in the page and no error: numbers can be reported without.

    Args:
        files: `Result.media`.
        folder: Where `results.json` and the files lie.

    Raises:
        MotionveilError: A name leads out of the folder, or is no image or video that browsers
            play.
    """
    found = [_medium(key, name, folder) for key, name in files.items()]
    return sorted(found, key=lambda m: m.video)


def image_uri(name: str, folder: Path) -> str | None:
    """Return a row's image as a data URI, None where the file is not there.

    Args:
        name: `Row.picture`.
        folder: Where `results.json` and the file lie.

    Raises:
        MotionveilError: The name leads out of the folder, or is no image.
    """
    kind = _kind(name, folder, "a row's image")
    if not kind.startswith("image/"):
        raise MotionveilError(f"{folder / name}: a row's image is a video; it must be an image")
    return _uri(folder / name, kind)


def _medium(key: str, name: str, folder: Path) -> Medium:
    kind = _kind(name, folder, f"media {key!r}")
    caption = _CAPTIONS.get(key, key.replace("_", " "))
    return Medium(name, caption, kind.startswith("video"), _uri(folder / name, kind))


def _kind(name: str, folder: Path, what: str) -> str:
    """Return a file's media type once its name is known to be harmless."""
    # A results file may come from a stranger: it must not be able to pull other files of this
    # machine into a page that is then passed on, neither by a path nor by a link.
    file = folder / name
    if Path(name).name != name or "\\" in name or file.is_symlink():
        raise MotionveilError(
            f"{folder}: {what} is {name!r}; it must be the name of a plain file beside the result"
        )
    kind = _TYPES.get(file.suffix.lower())
    if kind is None:
        raise MotionveilError(
            f"{file}: {what} is neither an image nor a video; known are {', '.join(sorted(_TYPES))}"
        )
    return kind


def _uri(file: Path, kind: str) -> str | None:
    try:
        return data_uri(file.read_bytes(), kind)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise MotionveilError(f"{file}: cannot read: {error.strerror}") from error
