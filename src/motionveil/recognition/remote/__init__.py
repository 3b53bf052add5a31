"""Receivers over a network. One file a kind; each is found by itself.

A package of one's own brings a kind by the entry point group `motionveil.receivers`, which names a
subclass of `RemoteReceiver`.
"""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from typing import Any

from motionveil.errors import MotionveilError
from motionveil.plugins import load_entry_points
from motionveil.recognition.remote.base import RemoteReceiver

__all__ = ["RemoteReceiver", "receiver_kinds"]

GROUP = "motionveil.receivers"


@cache
def receiver_kinds() -> dict[str, type[RemoteReceiver]]:
    """Return the kinds of remote receivers, by the names of their options.

    Raises:
        MotionveilError: An entry point is no such kind, or two kinds have one name.
    """
    found: dict[str, type[RemoteReceiver]] = {}
    for info in pkgutil.iter_modules(__path__):
        module = import_module(f"{__name__}.{info.name}")
        for value in vars(module).values():
            if _is_kind(value) and value.__module__ == module.__name__:
                found[value.option] = value
    for name, value in load_entry_points(GROUP).items():
        if not _is_kind(value):
            raise MotionveilError(f"plugin {name}: must be a subclass of RemoteReceiver")
        if value.option in found:
            raise MotionveilError(f"plugin {name}: there is a receiver {value.option!r} already")
        found[value.option] = value
    return dict(sorted(found.items()))


def _is_kind(value: Any) -> bool:
    return (
        isinstance(value, type)
        and issubclass(value, RemoteReceiver)
        and value is not RemoteReceiver
    )
