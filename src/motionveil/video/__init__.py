"""Video in and out with exact timestamps: files and folders of frames; needs PyAV, no torch.

Example:
    >>> from motionveil.video import VideoSink, probe, read_frames
    >>> info = probe("in.mp4")  # doctest: +SKIP
    >>> with VideoSink("out.mp4", rate=info.rate, time_base=info.time_base) as sink:
    ...     for frame in read_frames("in.mp4"):
    ...         sink.write(255 - frame.image, frame.pts)  # doctest: +SKIP
"""

from motionveil.video.reader import count_frames, probe, read_clip, read_frames
from motionveil.video.sink import VideoSink
from motionveil.video.types import Frame, VideoInfo

__all__ = [
    "Frame",
    "VideoInfo",
    "VideoSink",
    "count_frames",
    "probe",
    "read_clip",
    "read_frames",
]
