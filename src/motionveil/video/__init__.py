"""Video in and out with exact timestamps: files, folders, cameras, streams; no torch.

Examples:
    >>> from motionveil.video import VideoSink, probe, read_frames
    >>> info = probe("in.mp4")  # doctest: +SKIP
    >>> with VideoSink("out.mp4", rate=info.rate, time_base=info.time_base) as sink:
    ...     for frame in read_frames("in.mp4"):
    ...         sink.write(255 - frame.image, frame.pts)  # doctest: +SKIP
"""

from motionveil.video.reader import count_frames, probe, read_clip, read_comment, read_frames
from motionveil.video.sinks import Destination, Segments, check_dest, open_sink
from motionveil.video.sinks.video_file import VideoSink
from motionveil.video.source import FileSource, open_source
from motionveil.video.synthetic import SyntheticSource, synthetic_source
from motionveil.video.types import DestinationState, Frame, Sink, Source, VideoInfo

__all__ = [
    "Destination",
    "DestinationState",
    "FileSource",
    "Frame",
    "Segments",
    "Sink",
    "Source",
    "SyntheticSource",
    "VideoInfo",
    "VideoSink",
    "check_dest",
    "count_frames",
    "open_sink",
    "open_source",
    "probe",
    "read_clip",
    "read_comment",
    "read_frames",
    "synthetic_source",
]
