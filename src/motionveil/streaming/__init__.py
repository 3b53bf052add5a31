"""What runs where the camera is: frames in, veiled frames out; needs no torch and no GPU."""

import motionveil.numba_cache  # noqa: F401, a place for it before anything is compiled
from motionveil.streaming.guard import Guard
from motionveil.streaming.stream_encoder import StreamEncoder, prepare
from motionveil.streaming.veil_video import VeilOptions, VeilSummary, veil_source, veil_video

__all__ = [
    "Guard",
    "StreamEncoder",
    "VeilOptions",
    "VeilSummary",
    "prepare",
    "veil_source",
    "veil_video",
]
