"""Plugins: entry points of installed packages, and objects named as `module:name`."""

from __future__ import annotations

import importlib.util
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
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


def import_object(name: str) -> Any:
    """Return what `module:name` or `file.py:name` stands for.

    Raises:
        MotionveilError: The module cannot be imported, or has no such name.
    """
    place, _, attribute = name.rpartition(":")
    try:
        if place.endswith(".py"):
            spec = importlib.util.spec_from_file_location(Path(place).stem, place)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        else:
            module = importlib.import_module(place)
    except Exception as error:  # whatever the module raises
        raise MotionveilError(f"{name}: cannot import {place}: {error}") from error
    if not hasattr(module, attribute):
        raise MotionveilError(f"{name}: {place} has no {attribute!r}")
    return getattr(module, attribute)
