"""A connection to Ray: to a cluster, or to one of this machine that ends with it."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from motionveil.errors import MotionveilError

_STORE = 100 * 2**20
"""Bytes of a local cluster's object store, near the least: results go by files."""


def import_ray() -> Any:
    """Return Ray.

    Raises:
        MotionveilError: It is not installed.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
    except ImportError as error:
        raise MotionveilError(
            "--engine ray: Ray is not installed: pip install 'motionveil[sweep]'"
        ) from error
    return ray


def address_of(address: str | None) -> str | None:
    """Return the cluster's address: that given, or RAY_ADDRESS; None for one of this machine."""
    address = address or os.environ.get("RAY_ADDRESS")
    if address is None:
        # Ray's own way, on Linux too, to say that there are no other machines: without it the
        # cluster listens on the network.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    return address


@contextmanager
def ray_session(ray: Any, address: str | None) -> Iterator[None]:
    """Connect to Ray, and disconnect.

    Args:
        ray: The module, imported after `address_of`.
        address: Of `address_of`.

    Raises:
        MotionveilError: The cluster cannot be reached.
    """
    _refuse_unreachable(address)
    local = {"include_dashboard": False, "object_store_memory": _STORE} if address is None else {}
    try:
        ray.init(
            address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **local
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise MotionveilError(f"{address}: cannot use this Ray: {error}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _refuse_unreachable(address: str | None) -> None:
    """Raise an error when nothing listens at `HOST:PORT`; Ray says so after minutes only."""
    host, _, port = (address or "").rpartition(":")
    if not port.isdigit() or "/" in host:  # none, `auto`, `ray://`
        return
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, OverflowError) as error:
        raise MotionveilError(f"{address}: no Ray cluster listens here: {error}") from error
