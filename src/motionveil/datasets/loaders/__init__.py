"""Data sets as published, or of one's own: one loader a file, which registers itself.

A loader of another package is a module, or a function, in the entry point group
`motionveil.datasets`; importing it registers it.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TypeVar

from motionveil.datasets.manifest import Manifest
from motionveil.plugins import load_entry_points

GROUP = "motionveil.datasets"
Index = TypeVar("Index", bound=Callable[..., Manifest])


@dataclass(frozen=True)
class DatasetInfo:
    """What the owners of a data set published. Nothing is ever downloaded.

    Attributes:
        page: Where its owners offer it.
        clips: Clips that a complete manifest has.
        videos: Videos, or folders of frames, that they lie in.
        actions: Number of actions.
        labels: Number of names of each privacy label.
        splits: For each way to split it, the number of clips in each part.
    """

    page: str
    clips: int
    videos: int
    actions: int
    labels: Mapping[str, int]
    splits: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Loader:
    """A kind of data set.

    Attributes:
        name: Its name, on the command line and in manifests.
        help: One line.
        index: From the data set's folder to its manifest; its keyword arguments are the options of
            `motionveil index` that it takes: `split`, `seed`, `share`, `non_gestures`, `pauses`.
        splits: The ways to split it, each with one line of help, the default first; empty where
            there is no choice.
        published: What its owners published.
    """

    name: str
    help: str
    index: Callable[..., Manifest]
    splits: Mapping[str, str]
    published: DatasetInfo | None


_LOADERS: dict[str, Loader] = {}


def register(
    name: str,
    help: str,
    *,
    splits: Mapping[str, str] | None = None,
    published: DatasetInfo | None = None,
) -> Callable[[Index], Index]:
    """Return a decorator that registers an index function; see `Loader`.

    Raises:
        ValueError: The name is taken.

    Example:
        >>> @register("mine", "our videos; ROOT holds one folder per person")  # doctest: +SKIP
        ... def index(root: str, *, seed: int = 0) -> Manifest: ...
    """

    def decorate(index: Index) -> Index:
        if name in _LOADERS:
            raise ValueError(f"there is a data set {name!r} already")
        _LOADERS[name] = Loader(name, help, index, splits or {}, published)
        return index

    return decorate


def loaders() -> dict[str, Loader]:
    """Return all loaders by name, those of plugins included."""
    for module in pkgutil.iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    load_entry_points(GROUP)
    return dict(sorted(_LOADERS.items()))
