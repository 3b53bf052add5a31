"""Networks by name. Adding a network takes one decorated function:

@register_action_network
def my_network(classes: int, weights: Weights = None) -> nn.Module: ...

A package of its own names the module, or the function, as an entry point of the group
`motionveil.networks`. A recipe can also name any such function as `module:function` or
`file.py:function`; then it needs no decorator.

Where a network's weights are published it says by a decorator below the one that registers it:

@register_action_network
@published(Published("Kinetics-400", "https://example.org/net-0123abcd.pth", sha256="0123abcd"))
def net(classes: int, weights: Weights = None) -> nn.Module: ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, TypeVar

from torch import nn

from motionveil.errors import MotionveilError, no_such
from motionveil.hub import PREFIX, HubFile, fetch, sha256_of
from motionveil.plugins import import_object, load_entry_points

HUB = "https://huggingface.co/"

# Values 0 to 255 less a mean and not divided: what Hara's networks of 2018 and Köpüklü's see.
BYTES = {
    "input_mean": "[0.4501, 0.4225, 0.3901]",
    "input_std": "[0.003922, 0.003922, 0.003922]",
}

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Published:
    """A published file of weights.

    Attributes:
        data: What they were trained on, such as `Kinetics-400`.
        address: Of the file; or of the page that links to it, where `file` names it.
        file: The file's name as published; the address's last part where it is empty.
        sha256: First digits of its SHA-256 as its publisher states them; empty where none are.
        revision: The commit of a repository on huggingface.co; empty for the newest, whose commit
            and hash a result names.
        ordered: Its tensors stand in the network's order, under other names.
        metadata: What the converted file says of itself, such as `input_mean`.
    """

    data: str
    address: str
    file: str = ""
    sha256: str = ""
    revision: str = ""
    ordered: bool = False
    metadata: Mapping[str, str] | None = None

    @property
    def name(self) -> str:
        """The file's name as published."""
        return self.file or PurePosixPath(self.address).name

    @property
    def hub(self) -> str | None:
        """The repository on huggingface.co that `pretrained` fetches; None where it is no such."""
        return self.address.removeprefix(HUB) if self.address.startswith(HUB) else None

    def refuse_other(self, file: Path) -> str:
        """Return a file's SHA-256.

        Raises:
            MotionveilError: It is not the one published.
        """
        found = sha256_of(file)
        if not found.startswith(self.sha256):
            raise MotionveilError(
                f"{file}: its SHA-256 is {found}, that of {self.address} begins with {self.sha256};"
                " get it again"
            )
        return found


def of_timm(name: str, tag: str, revision: str = "", sha256: str = "") -> Published:
    """Return timm's weights `tag` of its network `name`, such as `resnet50` and `tv_in1k`."""
    address = f"{HUB}timm/{name}.{tag}"
    return Published("ImageNet-1k", address, "model.safetensors", sha256=sha256, revision=revision)


def of_torchvision(data: str, file: str, sha256: str) -> Published:
    """Return a file of torchvision's, whose name ends with the first digits of its SHA-256."""
    address = f"https://download.pytorch.org/models/{file}-{sha256}.pth"
    return Published(data, address, sha256=sha256)


def published(*weights: Published) -> Callable[[F], F]:
    """Say where the weights of a network are published, the usual ones first."""

    def attach(builder: F) -> F:
        builder.published = weights  # type: ignore[attr-defined]
        return builder

    return attach


def published_of(builder: Callable[..., Any]) -> tuple[Published, ...]:
    """Return where the weights of a network are published; empty for one of none."""
    found: tuple[Published, ...] = getattr(builder, "published", ())
    return found


def on_hub(known: Iterable[Published]) -> Published | None:
    """Return the first weights that can be fetched by a network's name; None where there are none.

    Args:
        known: Of a network, the usual ones first.
    """
    return next((weights for weights in known if weights.hub), None)


def download(weights: Published) -> HubFile:
    """Fetch published weights from huggingface.co, or find them in the cache.

    Raises:
        MotionveilError: They cannot be had, or are others than those published.
    """
    name = f"{PREFIX}{weights.hub}" + (f"@{weights.revision}" if weights.revision else "")
    try:
        file = fetch(name, weights.name)
    except MotionveilError as error:
        raise MotionveilError(
            f"{error}; or get the file elsewhere and give its path instead"
        ) from error
    weights.refuse_other(file.path)
    return file


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
            raise MotionveilError(
                f"the data set has {classes} class to train on; {name} needs 2 to tell apart"
            )
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
