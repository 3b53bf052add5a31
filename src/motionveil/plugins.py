"""Plugins: entry points of installed packages, and objects named as `module:name`."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from motionveil.errors import MotionveilError


@cache
def load_entry_points(group: str) -> dict[str, Any]:
    """Return the objects of an entry point group, by name; imports them once.

    Raises:
        MotionveilError: One cannot be imported; names it.
    """
    found = {}
    for point in entry_points(group=group):
        try:
            found[point.name] = point.load()
        except Exception as error:  # whatever a plugin raises
            raise MotionveilError(f"plugin {point.name} ({point.value}): {error}") from error
    return found


def import_modules(package: str) -> list[ModuleType]:
    """Import the modules of a package that is a registry, one file per kind, and return them."""
    path = importlib.import_module(package).__path__
    return [importlib.import_module(f"{package}.{info.name}") for info in iter_modules(path)]


def classes_in(package: str, base: type) -> Iterator[Any]:
    """Yield the subclasses of `base` that the modules of a package define."""
    for module in import_modules(package):
        for value in vars(module).values():
            own = isinstance(value, type) and value.__module__ == module.__name__
            if own and issubclass(value, base):
                yield value


def import_object(name: str) -> Any:
    """Return what `module:name` or `file.py:name` stands for.

    Raises:
        MotionveilError: The module cannot be imported, or has no such name.
    """
    return import_named(name)[1]


def import_named(name: str) -> tuple[ModuleType, Any]:
    """Return the module, and the object in it, that `module:name` or `file.py:name` stands for.

    Raises:
        MotionveilError: The module cannot be imported, or has no such name.
    """
    place, _, attribute = name.rpartition(":")
    try:
        module = _import_file(place) if place.endswith(".py") else importlib.import_module(place)
    except Exception as error:  # whatever the module raises
        raise MotionveilError(f"{name}: cannot import {place}: {error}") from error
    if not hasattr(module, attribute):
        raise MotionveilError(f"{name}: {place} has no {attribute!r}")
    return module, getattr(module, attribute)


def _import_file(file: str) -> ModuleType:
    """Import a file once, under a name of its own: its objects can go to other processes."""
    source = f"{Path(file).absolute()}\n{Path(file).read_text(encoding='utf-8')}"
    name = f"{Path(file).stem}_{hashlib.sha256(source.encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
