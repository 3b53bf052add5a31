"""Clean clips in many pairs of codec and container, and damaged copies of them.

A clip shows one real picture that stands still, with a little noise, and a small square that moves:
whatever of the picture comes out of the encoder has leaked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from motionveil.video import SyntheticSource, read_frames
from priority import kept_priority

RATE = 15
Places = NDArray[np.int64]
Bytes = Callable[[bytes, Places, np.random.Generator], bytes]


@dataclass(frozen=True)
class Pair:
    """A codec in a container, as FFmpeg names them; a folder of pictures if `suffix` ends in /."""

    codec: str
    suffix: str
    pixels: str = "yuv420p"
    options: dict[str, str] = field(default_factory=dict)
    size: tuple[int, int] = (320, 240)


_MPEG = {"b": "1200000", "g": "12"}
PAIRS: dict[str, Pair] = {
    "h264.mp4": Pair("libx264", ".mp4", options={"crf": "20", "g": "24"}),
    "h264-cavlc.mkv": Pair(
        "libx264", ".mkv", options={"crf": "20", "g": "24", "x264-params": "cabac=0:bframes=0"}
    ),
    "h264.ts": Pair("libx264", ".ts", options={"crf": "20", "g": "24"}),
    "h264.flv": Pair("libx264", ".flv", options={"crf": "20", "g": "24"}),
    "hevc.mp4": Pair(
        "libx265", ".mp4", options={"crf": "22", "x265-params": "keyint=24:log-level=none"}
    ),
    "hevc.mkv": Pair(
        "libx265", ".mkv", options={"crf": "22", "x265-params": "keyint=24:log-level=none"}
    ),
    "hevc.ts": Pair(
        "libx265", ".ts", options={"crf": "22", "x265-params": "keyint=24:log-level=none"}
    ),
    "mpeg4.avi": Pair("mpeg4", ".avi", options=_MPEG),
    "mpeg4.mp4": Pair("mpeg4", ".mp4", options={**_MPEG, "bf": "2"}),
    "mpeg2.mpg": Pair("mpeg2video", ".mpg", options={**_MPEG, "bf": "2"}),
    "mpeg2.ts": Pair("mpeg2video", ".ts", options={**_MPEG, "bf": "2"}),
    "mpeg1.mpg": Pair("mpeg1video", ".mpg", options=_MPEG),
    "mjpeg.avi": Pair("mjpeg", ".avi", "yuvj420p", {"q": "4"}),
    "mjpeg.mov": Pair("mjpeg", ".mov", "yuvj420p", {"q": "4", "huffman": "default"}),
    "vp8.webm": Pair(
        "libvpx", ".webm", options={"b": "1200000", "g": "24", "deadline": "realtime"}
    ),
    "vp9.webm": Pair(
        "libvpx-vp9",
        ".webm",
        options={"crf": "24", "b": "0", "g": "24", "deadline": "realtime", "cpu-used": "7"},
    ),
    "vp9.mp4": Pair(
        "libvpx-vp9",
        ".mp4",
        options={"crf": "24", "b": "0", "g": "24", "deadline": "good", "cpu-used": "5"},
    ),
    "av1.mp4": Pair("libsvtav1", ".mp4", options={"crf": "30", "g": "24", "preset": "10"}),
    "av1.mkv": Pair("libsvtav1", ".mkv", options={"crf": "30", "g": "24", "preset": "10"}),
    "ffv1.mkv": Pair("ffv1", ".mkv", options={"level": "3"}),
    "ffv1.avi": Pair("ffv1", ".avi", options={"level": "3", "slicecrc": "0"}),
    "wmv1.asf": Pair("wmv1", ".asf", options=_MPEG),
    "wmv2.asf": Pair("wmv2", ".asf", options=_MPEG),
    "msmpeg4.avi": Pair("msmpeg4", ".avi", options=_MPEG),
    "flv1.flv": Pair("flv", ".flv", options=_MPEG),
    "h263.3gp": Pair("h263", ".3gp", options=_MPEG, size=(352, 288)),
    "prores.mov": Pair("prores", ".mov", "yuv422p10le"),
    "dnxhr.mov": Pair("dnxhd", ".mov", "yuv422p", {"profile": "dnxhr_sq"}),
    "dv.avi": Pair("dvvideo", ".avi", "yuv420p", size=(720, 576)),
    "huffyuv.avi": Pair("huffyuv", ".avi", "yuv422p"),
    "ffvhuff.avi": Pair("ffvhuff", ".avi"),
    "utvideo.avi": Pair("utvideo", ".avi"),
    "png.mov": Pair("png", ".mov", "rgb24"),
    "jpeg2000.mkv": Pair("jpeg2000", ".mkv", options={"q": "4"}),
    "gif.gif": Pair("gif", ".gif", "gray"),
    "raw.avi": Pair("rawvideo", ".avi", "bgr24"),
    "raw.y4m": Pair("wrapped_avframe", ".y4m"),
    "jpeg/": Pair("mjpeg", ".jpg/", "yuvj420p", {"q": "4"}),
    "png/": Pair("png", ".png/", "rgb24"),
    "tiff/": Pair("tiff", ".tif/", "rgb24"),
    "webp/": Pair("libwebp", ".webp/", "yuv420p"),
}


def still_scene(source: Path | None, frames: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return (T, H, W, 3): the first frame of a video, noise, and a square that moves."""
    width, height = size
    if source is None:
        picture = SyntheticSource(width, height, paced=False).picture(0)
    else:
        first: Any = av.VideoFrame.from_ndarray(next(iter(read_frames(source))).image)
        picture = first.reformat(width, height, "rgb24").to_ndarray()
    random = np.random.default_rng(0)
    noise = random.normal(0, 1.2, (frames, height, width, 1))
    clip = np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)
    side = height // 10
    for number in range(frames):
        top, left = height // 2, (width // 4 + 3 * number) % (width - side)
        clip[number, top : top + side, left : left + side] = (200, 60, 40)
    return clip


def write_clip(pair: Pair, clip: NDArray[np.uint8], path: Path) -> None:
    """Encode a clip with PyAV itself."""
    if pair.suffix.endswith("/"):
        _write_folder(pair, clip, path)
        return
    muxing = {"movflags": "faststart"} if pair.suffix in (".mp4", ".mov") else {}
    rate = 25 if pair.codec in ("mpeg1video", "dvvideo") else 30 if pair.codec == "h263" else RATE
    with kept_priority(), av.open(str(path), "w", options=muxing) as output:
        options = {"threads": "1", **pair.options}
        stream: Any = output.add_stream(pair.codec, rate=rate, options=_plain(options))
        _shape(stream, pair, clip)
        if "q" in options:
            _constant_quality(stream, int(options["q"]))
        for number, image in enumerate(clip):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pair.pixels)
            frame.pts, frame.time_base = number, Fraction(1, rate)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def _plain(options: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in options.items() if name != "q"}


def _shape(stream: Any, pair: Pair, clip: NDArray[np.uint8]) -> None:
    stream.height, stream.width = clip.shape[1:3]
    stream.pix_fmt = pair.pixels


def _constant_quality(stream: Any, value: int) -> None:
    context = getattr(stream, "codec_context", stream)
    context.qscale = True
    context.global_quality = value * 118  # FF_QP2LAMBDA


def _write_folder(pair: Pair, clip: NDArray[np.uint8], path: Path) -> None:
    path.mkdir()
    for number, image in enumerate(clip):
        encoder: Any = av.CodecContext.create(pair.codec, "w")
        _shape(encoder, pair, clip)
        encoder.time_base = Fraction(1, RATE)
        if "q" in pair.options:
            _constant_quality(encoder, int(pair.options["q"]))
        frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pair.pixels)
        packets = [*encoder.encode(frame), *encoder.encode(None)]
        name = path / f"{number:03d}{pair.suffix[:-1]}"
        name.write_bytes(b"".join(bytes(packet) for packet in packets))


# What happens to bytes. `places`: where the payload lies.


def _flip(data: bytes, places: Places, random: np.random.Generator) -> bytes:
    at = int(random.choice(places))
    return _put(data, at, bytes([data[at] ^ 1 << int(random.integers(8))]))


def _flips(data: bytes, places: Places, random: np.random.Generator) -> bytes:
    for _ in range(8):
        data = _flip(data, places, random)
    return data


def _garbage(data: bytes, places: Places, random: np.random.Generator) -> bytes:
    run = random.integers(0, 256, int(random.integers(8, 400)), dtype=np.uint8).tobytes()
    return _put(data, int(random.choice(places)), run)


def _zeros(data: bytes, places: Places, random: np.random.Generator) -> bytes:
    return _put(data, int(random.choice(places)), bytes(int(random.integers(8, 400))))


def _hole(data: bytes, places: Places, random: np.random.Generator) -> bytes:
    at = int(random.choice(places))
    return data[:at] + data[at + int(random.integers(1, 400)) :]


def _twice(data: bytes, places: Places, random: np.random.Generator) -> bytes:
    at, length = int(random.choice(places)), int(random.integers(1, 400))
    return data[: at + length] + data[at : at + length] + data[at + length :]


def _swap(data: bytes, places: Places, random: np.random.Generator) -> bytes:
    one, other = sorted(int(at) for at in random.choice(places, 2))
    length = min(200, other - one, len(data) - other)
    first, second = data[one : one + length], data[other : other + length]
    return _put(_put(data, one, second), other, first)


def _cut(data: bytes, places: Places, random: np.random.Generator) -> bytes:
    return data[: int(random.choice(places))]


def _put(data: bytes, at: int, run: bytes) -> bytes:
    return (data[:at] + run + data[at + len(run) :])[: len(data)]


IN_BYTES: dict[str, Bytes] = {
    "one bit": _flip,
    "eight bits": _flips,
    "overwritten": _garbage,
    "zeros": _zeros,
    "removed": _hole,
    "repeated": _twice,
    "swapped": _swap,
    "cut": _cut,
}
KINDS = (*IN_BYTES, "packet lost", "packet twice")


def damage(clean: Path, kind: str, random: np.random.Generator, target: Path) -> None:
    """Write a damaged copy of a file or folder: `target` is then its name."""
    if clean.is_dir():
        _damage_folder(clean, kind, random, target)
    elif kind in IN_BYTES:
        data = clean.read_bytes()
        target.write_bytes(IN_BYTES[kind](data, payload(clean), random))
    else:
        _remux(clean, target, random, lost=kind == "packet lost")


def _damage_folder(clean: Path, kind: str, random: np.random.Generator, target: Path) -> None:
    target.mkdir()
    names = sorted(path.name for path in clean.iterdir())
    victim = names[int(random.integers(2, len(names) - 2))]
    for name in names:
        data = (clean / name).read_bytes()
        if name == victim and kind in IN_BYTES:
            data = IN_BYTES[kind](data, np.arange(len(data) // 10, len(data) - 4), random)
        elif name == victim:  # emptied, or no picture at all
            data = b"" if kind == "packet lost" else b"motionveil" * 100
        (target / name).write_bytes(data)


@lru_cache(maxsize=2)
def payload(path: Path) -> Places:
    """Return the places of a file's bytes that belong to pictures, the first packet's aside."""
    size = path.stat().st_size
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size and p.pos is not None]
    ends = [(p.pos, min(p.pos + p.size, size)) for p in packets[1:]]
    known = sum(end - start for start, end in ends)
    if known > size // 3 and path.suffix not in (".ts", ".mpg"):
        return np.concatenate([np.arange(start, end) for start, end in ends])
    return np.arange(size // 10, size)  # pictures in pieces: nearly all of such a file


def _remux(clean: Path, target: Path, random: np.random.Generator, *, lost: bool) -> None:
    """Copy a file without one of its packets, or with one that has the data of the one before."""
    with av.open(str(clean)) as source, av.open(str(target), "w") as output:
        template = source.streams.video[0]
        stream = output.add_stream_from_template(template, opaque=True)
        packets = [packet for packet in source.demux(template) if packet.size]
        victim = int(random.integers(3, len(packets) - 2))
        for number, packet in enumerate(packets):
            if number == victim and lost:
                continue
            if number == victim:
                packet = _with_data(packet, bytes(packets[number - 1]))
            packet.stream = stream
            output.mux(packet)


def _with_data(packet: av.Packet, data: bytes) -> av.Packet:
    other = av.Packet(data)
    other.pts, other.dts, other.time_base = packet.pts, packet.dts, packet.time_base
    other.duration, other.is_keyframe = packet.duration, packet.is_keyframe
    return other
