"""Encoders: modules that map a clip to a veiled clip, and the mathematics behind them.

An encoder takes `(B, 3, T, H, W)` in [0, 1] and returns `(B, 3, T', H, W)` in [0, 15]; it has
`.spec`, the `EncoderSpec` that describes it.
"""

from __future__ import annotations

import os

from motionveil.encoders.base import Encoder
from motionveil.encoders.bdq import BDQ, calibrate_range
from motionveil.encoders.blur import Blur, Pixelate
from motionveil.encoders.downsample import Downsample, Ryoo
from motionveil.encoders.dvs import DVS
from motionveil.encoders.raw import Raw
from motionveil.encoders.unet import Unet
from motionveil.plugins import import_object
from motionveil.spec import EncoderSpec, load_spec, spec_folder

__all__ = [
    "BDQ",
    "DVS",
    "Blur",
    "Downsample",
    "Encoder",
    "Pixelate",
    "Raw",
    "Ryoo",
    "Unet",
    "build_encoder",
    "calibrate_range",
    "load_encoder",
]


def build_encoder(spec: EncoderSpec, folder: str | os.PathLike[str] | None = None) -> Encoder:
    """Return the module that a spec describes, on the CPU and ready to train or to run.

    Args:
        folder: Where the weights that the spec names lie; None for fresh ones, drawn from torch's
            global generator.

    Raises:
        MotionveilError: The weights are missing, damaged or do not fit.
    """
    encoder: Encoder = import_object(spec.kind.encoder)(spec)
    if folder is not None:
        encoder.load(folder)
    return encoder


def load_encoder(encoder: str | os.PathLike[str]) -> Encoder:
    """Load an encoder by name or from a file.

    Args:
        encoder: A shipped name (`"bdq"`, `"raw"`), a name that says everything
            (`"downsample-28"`, `"flow-untrained"`), an `encoder.json`, a folder that holds one, or
            one on the hub: `"hf:owner/name"`, `"hf:owner/name@revision"`.

    Returns:
        The module, with its `.spec`.

    Raises:
        MotionveilError: There is no such encoder, or its file is at fault; names the field.

    Examples:
        >>> load_encoder("raw").spec.method
        'raw'
    """
    return build_encoder(load_spec(encoder), spec_folder(encoder))
