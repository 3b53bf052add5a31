"""Networks and layers of timm and torchvision, which are imported only when one is asked for.

The torchvision wheel on PyPI is compiled against the CUDA build of torch. Beside the CPU build its
operators do not load, and torchvision 0.28 fails on import with `operator torchvision::nms does not
exist`, since it describes the shapes of two undeclared operators. No network here uses them (they
belong to object detection), so it suffices to declare them without an implementation. timm and
MONAI import torchvision: call `ensure_torchvision` before importing either.
"""

from __future__ import annotations

import importlib
import sys
from functools import cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from motionveil.networks.preprocessing import Channels, Normalised
from motionveil.networks.registry import Weights
from motionveil.networks.weights import with_weights

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


@cache
def ensure_torchvision() -> torch.library.Library | None:
    """Import torchvision, declaring the operators it misses where it cannot be imported as it is.

    Returns:
        The declarations, None where none were needed. They last as long as this object, so the
        cache of this function keeps it.
    """
    try:
        importlib.import_module("torchvision")
        return None
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    # The failed import leaves some submodules behind; they must be imported afresh.
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "DEF")
    for schema in _SCHEMAS:
        library.define(schema)
    importlib.import_module("torchvision")
    return library


def torchvision_models() -> ModuleType:
    """Return `torchvision.models`, imported whatever `ensure_torchvision` has to do for it."""
    ensure_torchvision()
    return importlib.import_module("torchvision.models")


def timm_network(
    name: str,
    tag: str,
    classes: int,
    weights: Weights = None,
    scale: tuple[Channels, Channels] | None = None,
    **settings: Any,
) -> Normalised:
    """Build timm's network `name`, for its weights `tag`.

    Args:
        name: As timm has it, such as `"resnet50"`.
        tag: Names the weights, such as `"tv_in1k"`. What timm says about them gives the mean and
            the standard deviation of the input, and the head's name.
        weights: As in `create_privacy_network`.
        scale: Mean and standard deviation where timm's are not those of the weights.
    """
    ensure_torchvision()
    import timm

    about: Any = timm.get_pretrained_cfg(f"{name}.{tag}")
    # pretrained=False always: timm would fall back to a pickle where it finds no safetensors.
    network = timm.create_model(name, pretrained=False, num_classes=classes, **settings)
    mean, std = scale or (about.mean, about.std)
    normalised = Normalised(network, mean, std, dimensions=4, pixels=32)
    return with_weights(normalised, weights, head=about.classifier, architecture=name)


@cache
def batchnorm_with_activation() -> tuple[type[nn.Module], type[nn.Module]]:
    """Return timm's BatchNorm with an activation behind it, for frames and for clips.

    timm has it for frames only. What is for clips derives from that, since timm recognises by the
    type what else it does when it makes the statistics those of all processes.
    """
    ensure_torchvision()
    from timm.layers import BatchNormAct2d

    class BatchNormAct3d(BatchNormAct2d):
        """Maps `(B, C, T, H, W)` to the same shape."""

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.act(self.drop(_BatchNorm.forward(self, x)))
            return y

        def _check_input_dim(self, input: Tensor) -> None:
            if input.dim() != 5:
                raise ValueError(f"BatchNorm takes (B, C, T, H, W), found {tuple(input.shape)}")

    return BatchNormAct2d, BatchNormAct3d
