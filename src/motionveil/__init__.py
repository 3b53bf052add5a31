"""motionveil: see what people do without seeing who they are.

The names below are imported when first used, so that `import motionveil` costs nothing and the
streaming side never loads torch.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from motionveil._version import __version__
from motionveil.errors import MotionveilError

# torch's threads spin while they wait; on a busy machine two were up to ten times slower than
# passive ones (docs/results.md, "Threads"). OpenMP reads this once, when torch is loaded; a value
# that the user has set stays.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# From 1.29 on, ONNX Runtime tells its maker of the machine and of every model, and keeps an
# identifier of the machine on disk, unless this is set when it is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from motionveil.api import audit, encode_video, evaluate, train
    from motionveil.encoders import load_encoder
    from motionveil.frames import iterate_clips, veil_frames
    from motionveil.recognition import load_recogniser
    from motionveil.share import push
    from motionveil.spec import EncoderSpec, load_spec
    from motionveil.streaming import StreamEncoder

__all__ = [
    "EncoderSpec",
    "MotionveilError",
    "StreamEncoder",
    "__version__",
    "audit",
    "encode_video",
    "evaluate",
    "iterate_clips",
    "load_encoder",
    "load_recogniser",
    "load_spec",
    "push",
    "train",
    "veil_frames",
]

_HOMES = {
    "EncoderSpec": "motionveil.spec",
    "load_spec": "motionveil.spec",
    "StreamEncoder": "motionveil.streaming",
    "encode_video": "motionveil.api",
    "train": "motionveil.api",
    "evaluate": "motionveil.api",
    "audit": "motionveil.api",
    "iterate_clips": "motionveil.frames",
    "veil_frames": "motionveil.frames",
    "load_encoder": "motionveil.encoders",
    "load_recogniser": "motionveil.recognition",
    "push": "motionveil.share",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'motionveil' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
