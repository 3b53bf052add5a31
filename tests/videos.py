"""Small videos whose every frame is known, written with PyAV itself and not with our sink."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from motionveil.geometry import Geometry

NTSC = Fraction(30000, 1001)

CODECS = {
    ".mp4": ("libx264", "yuv420p"),
    ".mov": ("mpeg4", "yuv420p"),
    ".avi": ("mpeg4", "yuv420p"),
    ".mkv": ("ffv1", "bgr0"),
}
# x264's default with sixteen threads is off by more than half the step of brightness by which
# `frame_numbers` tells frames apart: finer steps, and one thread.
X264 = {"crf": "10", "threads": "1"}


AS_FILMED = Geometry(size=48, rate=1000)
"""The geometry of `moving_square`: its own size, and every frame."""


def moving_square(frames: int, height: int = 48, width: int = 64) -> NDArray[np.uint8]:
    """Return (T, H, W, 3): a white square moves over a smooth background.

    Frame t also has the brightness of its lower right corner, 10 + 12 t, so that it can be told
    from its neighbours after lossy compression (t up to 20).
    """
    ramp = np.linspace(40, 160, width).astype(np.uint8)
    clip = np.empty((frames, height, width, 3), np.uint8)
    clip[...] = np.stack([ramp, ramp[::-1], np.full_like(ramp, 90)], axis=1)
    size = height // 4
    for t in range(frames):
        x = (3 * t) % (width - size)
        clip[t, size : 2 * size, x : x + size] = 255
        clip[t, -size:, -size:] = 10 + 12 * t
    return clip


def frame_numbers(clip: NDArray[np.uint8]) -> list[int]:
    """Read the numbers of `moving_square`'s frames out of their lower right corners."""
    size = clip.shape[1] // 4
    corners = clip[:, 2 - size : -2, 2 - size : -2].mean(axis=(1, 2, 3))
    return [round((corner - 10) / 12) for corner in corners.tolist()]


def write_video(
    path: Path,
    clip: NDArray[np.uint8],
    *,
    rate: Fraction | int = 25,
    time_base: Fraction | None = None,
    pts: Sequence[int] | None = None,
    pixel_format: str | None = None,
    rotation: int = 0,
    sound: bool = False,
    metadata: dict[str, str] | None = None,
    codec_options: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Encode (T, H, W, 3) frames by the suffix of `path`, with PyAV and no code of ours.

    Args:
        path: Where to write.
        clip: uint8 (T, H, W, 3), RGB.
        rate: Frames a second.
        time_base: Unit of `pts`; 1 / rate if None.
        pts: A timestamp a frame; 0, 1, 2, ... if None.
        pixel_format: Such as "gray"; the codec's usual one if None.
        rotation: Degrees, counter-clockwise, by which a player turns the picture.
        sound: Add a track with a tone.
        metadata: Such as a title.
        codec_options: Of the encoder.
        options: Of the container.
    """
    codec, usual = CODECS[path.suffix]
    with av.open(str(path), "w", options=options or {}) as output:
        output.metadata.update(metadata or {})
        usual_options = X264 if codec == "libx264" else {}
        stream = output.add_stream(
            codec, rate=rate, options={**usual_options, **(codec_options or {})}
        )
        stream.height, stream.width = clip.shape[1:3]
        stream.pix_fmt = pixel_format or usual
        if pixel_format == "gray":  # whose converter makes full range
            stream.codec_context.color_range = av.video.reformatter.ColorRange.JPEG
        clock = time_base or 1 / Fraction(rate)
        stream.codec_context.time_base = clock
        stream.metadata.update(metadata or {})
        tone = output.add_stream("aac", rate=48000, layout="mono") if sound else None
        if rotation:
            stream.set_display_rotation(rotation)
        output.start_encoding()  # writes the header even if no frame follows
        for number, image in enumerate(clip):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame = frame.reformat(format=stream.pix_fmt)
            frame.pts = number if pts is None else pts[number]
            frame.time_base = clock
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if tone is not None:
            _write_tone(output, tone, seconds=1)
    return path


def write_sound(path: Path) -> Path:
    """Write a file that holds one second of sound and no picture."""
    with av.open(str(path), "w") as output:
        _write_tone(output, output.add_stream("aac", rate=48000, layout="mono"), seconds=1)
    return path


def write_pictures(folder: Path, clip: NDArray[np.uint8], pattern: str = "{}.png") -> Path:
    """Write each frame as a picture; the names are not padded with zeros."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(clip):
        path = folder / pattern.format(number)
        codec, pixels = ("png", "rgb24") if path.suffix == ".png" else ("mjpeg", "yuvj444p")
        encoder: Any = av.CodecContext.create(codec, "w")
        encoder.height, encoder.width = image.shape[:2]
        encoder.pix_fmt, encoder.time_base = pixels, Fraction(1, 25)
        frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pixels)
        packets = [*encoder.encode(frame), *encoder.encode(None)]
        path.write_bytes(b"".join(bytes(packet) for packet in packets))
    return folder


def cut_short(path: Path, share: float) -> Path:
    """Keep the first `share` of a file's bytes, as a copy that broke off would."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def _write_tone(output: Any, stream: Any, seconds: int) -> None:
    samples = np.sin(np.arange(48000 * seconds) * 0.05).astype(np.float32)[None]
    frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
    output.mux(stream.encode(frame))
    output.mux(stream.encode(None))
