"""Encoders: modules that map a clip to a veiled clip, and the mathematics behind them.

An encoder takes `(B, 3, T, H, W)` in [0, 1] and returns `(B, 3, T', H, W)` in [0, 15]; it has
`.spec`, the `EncoderSpec` that describes it.
"""

from __future__ import annotations

import os

from torch import nn

from motionveil.encoders.bdq import BDQ
from motionveil.encoders.calibration import calibrate_range
from motionveil.encoders.raw import Raw
from motionveil.spec import EncoderSpec, load_spec

__all__ = ["BDQ", "Raw", "build_encoder", "calibrate_range", "load_encoder"]

_METHODS = {"bdq": BDQ, "raw": lambda spec: Raw()}


def build_encoder(spec: EncoderSpec) -> nn.Module:
    """Return the module that a spec describes, on the CPU and ready to train or to run."""
    encoder: nn.Module = _METHODS[spec.method](spec)
    return encoder


def load_encoder(encoder: str | os.PathLike[str]) -> nn.Module:
    """Load an encoder by name or from a file.

    Args:
        encoder: A shipped name (`"bdq"`, `"raw"`), an `encoder.json`, or a folder that holds one.

    Returns:
        The module, with its `.spec`.

    Raises:
        MotionveilError: There is no such encoder, or its file is at fault; names the field.

    Example:
        >>> load_encoder("raw").spec.method
        'raw'
    """
    return build_encoder(load_spec(encoder))
