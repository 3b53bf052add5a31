"""Networks by name. Adding a network takes one decorated function:

@register_action_network
def my_network(classes: int, weights: Weights = None) -> nn.Module: ...

A package of its own names the module, or the function, as an entry point of the group
`motionveil.networks`. A recipe can also name any such function as `module:function` or
`file.py:function`; then it needs no decorator.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, TypeVar

from torch import nn

from motionveil.errors import MotionveilError, no_such
from motionveil.networks.published_weights import Published, download, on_hub, published_of
from motionveil.plugins import import_object, load_entry_points

Weights = str | Path | None
"""None for fresh weights, a `.safetensors` file, or the word `pretrained`."""


class Builder(Protocol):
    """A function that builds a network; its name is the network's name."""

    __name__: str

    def __call__(self, classes: int, weights: Weights = None) -> nn.Module:
        """Return a network with `classes` outputs."""


B = TypeVar("B", bound=Builder)

GROUP = "motionveil.networks"
"""Entry point group: importing its objects registers networks."""


class Registry:
    """Networks of one kind, by the name of the function that builds them."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._builders: dict[str, Builder] = {}

    def register(self, builder: B) -> B:
        """Add a builder under its own name; for use as a decorator.

        Raises:
            ValueError: The name is taken.
        """
        name = builder.__name__
        if name in self._builders:
            raise ValueError(f"there is a {self._kind} network {name!r} already")
        self._builders[name] = builder
        return builder

    def names(self) -> list[str]:
        """Return the names in alphabetical order, those of plugins included."""
        load_entry_points(GROUP)
        return sorted(self._builders)

    def create(self, name: str, classes: int, weights: Weights) -> nn.Module:
        """Build the network called `name`."""
        builder = self._builder(name)
        if classes < 2:
            raise MotionveilError(f"{name}: {classes} classes; telling apart needs at least 2")
        if str(weights) == "pretrained":
            weights = self._fetched(name)
        return builder(classes, weights)

    def published(self, name: str) -> tuple[Published, ...]:
        """Return where the weights of a network are published, the usual ones first."""
        return published_of(self._builder(name))

    def _fetched(self, name: str) -> Weights:
        """Return the file that `pretrained` means; the word itself where none is published."""
        known = self.published(name)
        hub = on_hub(known)
        if hub is not None:
            return download(hub).path
        if known:
            raise MotionveilError(
                f"{name}: no weights to download by name; get {known[0].name} from"
                f" {known[0].address}, convert it with `motionveil weights DIR --convert"
                f" {name}=FILE`, and give --weights DIR"
            )
        return "pretrained"

    def _builder(self, name: str) -> Builder:
        if ":" in name:
            builder: Builder = import_object(name)
            return builder
        names = self.names()
        if name in names:
            return self._builders[name]
        raise MotionveilError(no_such(f"{self._kind} network", name, names))


_ACTION = Registry("action")
_PRIVACY = Registry("privacy")

register_action_network = _ACTION.register
register_privacy_network = _PRIVACY.register
action_networks = _ACTION.names
privacy_networks = _PRIVACY.names


def published_weights(name: str) -> tuple[Published, ...]:
    """Return where the weights of a network of either kind are published; empty for none."""
    return _registry_of(name).published(name)


def create_registered(name: str, classes: int, *, weights: Weights = None) -> nn.Module:
    """Build a network of either kind, as `create_action_network`, `create_privacy_network`."""
    return _registry_of(name).create(name, classes, weights)


def _registry_of(name: str) -> Registry:
    return _ACTION if name in _ACTION.names() else _PRIVACY


def create_action_network(name: str, classes: int, *, weights: Weights = None) -> nn.Module:
    """Build an action network: clips `(B, 3, T, H, W)` in [-1, 1] to logits `(B, classes)`.

    Args:
        name: One of `action_networks()`, or `module:function`.
        classes: Number of actions, at least 2.
        weights: None for fresh weights drawn from torch's global generator; a `.safetensors`
            file; or `"pretrained"` for the weights that belong to the name, downloaded.

    Raises:
        MotionveilError: There is no such network, or the weights cannot be had, read or fitted;
            the message names the file and the keys.

    Examples:
        >>> import torch
        >>> from motionveil.networks import create_action_network
        >>> network = create_action_network("small3d", classes=6)
        >>> network(torch.zeros(2, 3, 8, 32, 32)).shape
        torch.Size([2, 6])
    """
    return _ACTION.create(name, classes, weights)


def create_privacy_network(name: str, classes: int, *, weights: Weights = None) -> nn.Module:
    """Build a privacy network: frames `(N, 3, H, W)` in [-1, 1] to logits `(N, classes)`.

    Args:
        name: One of `privacy_networks()`, or `module:function`.
        classes: Number of values of the privacy label, at least 2.
        weights: As for `create_action_network`.

    Raises:
        MotionveilError: As for `create_action_network`.

    Examples:
        >>> import torch
        >>> from motionveil.networks import create_privacy_network
        >>> network = create_privacy_network("small2d", classes=4)
        >>> network(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 4])
    """
    return _PRIVACY.create(name, classes, weights)
