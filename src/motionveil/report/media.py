"""Pictures and videos as data URIs, so that the page is one file."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from motionveil.errors import MotionveilError

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
        "The same moments in every stage: original, blurred, difference of consecutive frames,"
        " veiled"
    ),
    "veiled": "What leaves the encoder: the veiled video",
    "original": "What goes into the encoder: the original video",
}


@dataclass(frozen=True)
class Medium:
    """A picture or a video of the page; `uri` is None where the file is not there."""

    name: str
    caption: str
    video: bool
    uri: str | None


def data_uri(content: bytes, kind: str) -> str:
    """Return bytes as a `data:` URI of the given media type."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def media(files: Mapping[str, str], folder: Path) -> list[Medium]:
    """Read a result's pictures and videos, pictures first.

    A file that is gone leaves a line in the page and no error: numbers can be reported without.

    Args:
        files: `Result.media`.
        folder: Where `results.json` and the files lie.

    Raises:
        MotionveilError: A name leads out of the folder, or is no picture or video that browsers
            play.
    """
    found = [_medium(key, name, folder) for key, name in files.items()]
    return sorted(found, key=lambda m: m.video)


def picture_uri(name: str, folder: Path) -> str | None:
    """Return a row's picture as a data URI, None where the file is not there.

    Args:
        name: `Row.picture`.
        folder: Where `results.json` and the file lie.

    Raises:
        MotionveilError: The name leads out of the folder, or is no picture.
    """
    kind = _kind(name, folder, "a row's picture")
    if not kind.startswith("image/"):
        raise MotionveilError(f"{folder / name}: a row's picture is a video; it must be a picture")
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
            f"{folder / 'results.json'}: {what} is {name!r};"
            " it must be the name of a plain file beside results.json"
        )
    kind = _TYPES.get(file.suffix.lower())
    if kind is None:
        raise MotionveilError(
            f"{file}: {what} is neither a picture nor a video;"
            f" known are {', '.join(sorted(_TYPES))}"
        )
    return kind


def _uri(file: Path, kind: str) -> str | None:
    try:
        return data_uri(file.read_bytes(), kind)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise MotionveilError(f"{file}: cannot read: {error.strerror}") from error
