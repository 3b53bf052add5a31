"""Where networks' weights are published, and how they become files that are read here.

A network says so itself, by a decorator below the one that registers it:

@register_action_network
@published(Published("Kinetics-400", "https://example.org/net-0123abcd.pth", sha256="0123abcd"))
def net(classes: int, weights: Weights = None) -> nn.Module: ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from motionveil.errors import MotionveilError
from motionveil.hub import PREFIX, HubFile, fetch, sha256_of

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
