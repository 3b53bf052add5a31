"""Make `import torchvision` work beside a torch that its compiled operators do not fit.

The torchvision wheel on PyPI is compiled against the CUDA build of torch. Beside the CPU build its
operators do not load, and torchvision 0.28 then fails on import with `operator torchvision::nms
does not exist`, since it describes the shapes of two operators that nobody declared. No network
here uses them (they belong to object detection), so declaring them without an implementation is
enough. timm and MONAI import torchvision: call `ensure_torchvision` before importing either.
"""

from __future__ import annotations

import importlib
import sys
from functools import cache
from types import ModuleType

import torch

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
