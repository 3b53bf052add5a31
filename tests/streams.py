"""Video as it comes through a pipe or a network, written with PyAV itself."""

from __future__ import annotations

import io
from typing import Any

import av
import numpy as np

from videos import NTSC, X264

CODECS = {"yuv4mpegpipe": "wrapped_avframe", "mpegts": "libx264", "matroska": "libx264"}


def encoded(clip: np.ndarray, format_name: str, first: int = 0, **options: str) -> bytes:
    """Encode as a program would that writes into a pipe, at 30000/1001 frames per second."""
    data = io.BytesIO()
    with av.open(data, "w", format=format_name) as output:
        usual = X264 if CODECS[format_name] == "libx264" else {}
        stream: Any = output.add_stream(
            CODECS[format_name], rate=NTSC, options={**usual, **options}
        )
        stream.height, stream.width = clip.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for number, image in enumerate(clip):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = first + number, 1 / NTSC
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return data.getvalue()


def transport_stream(clip: np.ndarray) -> bytes:
    """Encode as a radio link carries it; every tenth frame is a keyframe."""
    params = "keyint=10:min-keyint=10:scenecut=0:bframes=0"
    return encoded(clip, "mpegts", **{"crf": "10", "x264-params": params})
