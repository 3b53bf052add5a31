"""A simulated event camera, and event streams in published formats; no torch.

`motionveil.encoders.dvs.DVS` is the same camera as an encoder.
"""

import motionveil.numba_cache  # noqa: F401, a place for it before anything is compiled
from motionveil.events.camera import EVENT, EventCamera, event_frame, signed_counts
from motionveil.events.convert import EventSummary, simulate_video
from motionveil.events.stream import event_writer, read_events

__all__ = [
    "EVENT",
    "EventCamera",
    "EventSummary",
    "event_frame",
    "event_writer",
    "read_events",
    "signed_counts",
    "simulate_video",
]
