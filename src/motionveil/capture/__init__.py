"""What runs where the camera is: frames in, veiled frames out; needs no torch and no GPU."""

from motionveil.capture.stream_encoder import StreamEncoder
from motionveil.capture.veil_video import VeilSummary, veil_video

__all__ = ["StreamEncoder", "VeilSummary", "veil_video"]
