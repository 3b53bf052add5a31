"""Veiled video for networks: every clip veiled once, as it would leave a camera.

Whoever receives veiled video has it as it was stored, in 8 bits, and cuts and enlarges that. So the
encoder runs on whole frames at its geometry, before anything is cropped, and what it gives is
rounded as it is on disk: `round(17 y)`. An encoder that can work frame by frame is run as behind a
camera, guard included: the bytes are those that `motionveil encode` writes.
"""

from __future__ import annotations

import hashlib
import inspect
import io
import os
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
import torch

from motionveil.datasets.cache import Change, ClipCache, Frames, Times
from motionveil.datasets.dataset import ClipDataset
from motionveil.datasets.manifest import Manifest
from motionveil.encoders import Encoder, Raw, load_encoder
from motionveil.errors import MotionveilError
from motionveil.geometry import Geometry
from motionveil.methods import method_names
from motionveil.plugins import import_named
from motionveil.results import Order
from motionveil.spec import EncoderSpec
from motionveil.streaming import Guard, StreamEncoder
from motionveil.streaming.geometry import repeat_pixels
from motionveil.streaming.veils import streams
from motionveil.training.adversary_inputs import InputFormat
from motionveil.training.distributed import first_process_first
from motionveil.training.experiment import Experiment
from motionveil.video.image_sequence import walk

ACTION, PRIVACY = InputFormat(temporal=True), InputFormat()
"""What the action network and the privacy network are shown: whole clips, and frames."""

FORMAT = 4
"""Raised whenever the same encoder would leave other frames."""

H264_FORMAT = 1
"""Raised whenever the same quality would leave other frames."""

QUALITIES = (18, 28, 38)
"""x264's crf: hardly visible loss, a usual camera's, and a poor connection's."""

_RATE = 30  # frames per second; x264's choices hardly depend on it at a constant quality


@dataclass(frozen=True)
class Veil:
    """What veils a clip's frames.

    Attributes:
        name: What the report calls it.
        key: What tells it from every other veil: its numbers, weights or source.
        change: From a clip's frames, uint8 (T, H, W, 3), and their times to its veiled ones.
        spec: The encoder; None for a function.
    """

    name: str
    key: str
    change: Change
    spec: EncoderSpec | None = None

    @property
    def multiple(self) -> int:
        """What the sides of a frame must be multiples of."""
        return 2 if self.spec is None else self.spec.multiple

    def geometry(self, otherwise: Geometry) -> Geometry:
        """Return the size and rate at which it works: its own, or that of the experiment."""
        own = None if self.spec is None else self.spec.geometry
        return own or otherwise


def veil_of(encoder: str, device: str = "cpu") -> Veil:
    """Return the veil that a command line names.

    Args:
        encoder: An encoder as everywhere (a name, an `encoder.json`, a run's folder), or a
            custom function, `module:function` or `file.py:function`, that takes and returns uint8
            frames (T, H, W, 3).

    Raises:
        MotionveilError: There is no such encoder or function.
    """
    place, colon, function = encoder.rpartition(":")
    is_function = bool(colon) and function.isidentifier() and place not in method_names()
    if is_function and not Path(encoder).exists():
        return _veil_of_function(encoder)
    return veil_of_encoder(load_encoder(encoder), encoder, device)


def veil_of_encoder(encoder: Encoder, name: str, device: str = "cpu") -> Veil:
    """Return the veil of an encoder's module, as it is now."""
    encoder.eval().to(device)
    weights = hashlib.sha256()
    for part in encoder.state_dict().values():
        weights.update(part.detach().cpu().contiguous().numpy().tobytes())
    spec = encoder.spec
    key = f"{spec.model_dump_json(exclude={'provenance'})} {weights.hexdigest()}"
    if streams(spec):
        return Veil(name, f"stream {key}", partial(_veil_by_frame, spec), spec)

    @torch.no_grad()
    def change(frames: Frames, times: Times) -> Frames:
        clip = torch.from_numpy(frames.copy()).permute(3, 0, 1, 2)[None]
        veiled = encoder(clip.to(device) / 255)
        levels = (veiled * 17).round_().clamp_(0, 255).to(torch.uint8)
        return np.ascontiguousarray(levels[0].permute(1, 2, 3, 0).cpu().numpy())

    return Veil(name, key, change, spec)


def _veil_by_frame(spec: EncoderSpec, frames: Frames, times: Times) -> Frames:
    """Veil a clip as behind a camera; a first frame that has no difference is left out.

    The frames have been brought to the geometry, so here they are veiled as they are.
    """
    stream = StreamEncoder(spec, native=True, guard=Guard())
    veiled = [stream(frame, time=time) for frame, time in zip(frames, times, strict=True)]
    first = 0 if stream.neutral is None else 1
    left = np.stack([image for image in veiled[first:] if image is not None] or [frames[:0, 0]])
    return repeat_pixels(left, spec.cell, frames.shape[1:3])


def _veil_of_function(written: str) -> Veil:
    module, function = import_named(written)
    if not callable(function):
        raise MotionveilError(f"{written}: is no function")
    try:
        source = inspect.getsource(module)
    except (OSError, TypeError) as error:
        raise MotionveilError(f"{written}: its source cannot be read") from error

    def change(frames: Frames, times: Times) -> Frames:
        veiled = function(frames)
        if not isinstance(veiled, np.ndarray):
            kind = type(veiled).__name__
            raise MotionveilError(f"{written}: gave a {kind}; wanted uint8 frames (T, H, W, 3)")
        return veiled

    return Veil(written, hashlib.sha256(source.encode()).hexdigest(), change)


def working_clips(
    manifest: Manifest,
    geometry: Geometry,
    *,
    multiple: int = 2,
    folder: Path | None = None,
    workers: int | None = None,
) -> ClipCache:
    """Return a manifest's clips at a geometry, whole frames, before they are veiled.

    Args:
        multiple: What the encoder needs both sides to be multiples of.
        folder: Folder of all caches; by default `.cache` beside the manifest's file.
        workers: Videos decoded in parallel.

    Raises:
        MotionveilError: A video cannot be read, or the cache cannot be written.
    """
    return ClipCache.build(
        manifest,
        size=geometry.size,
        fit="short-side",
        rate=geometry.rate,
        multiple=multiple,
        folder=folder,
        workers=workers,
    )


def veil_clips(cache: ClipCache, veil: Veil, *, workers: int = 1) -> ClipCache:
    """Return the cache of a manifest's clips as a veil leaves them.

    Args:
        workers: Clips veiled in parallel.

    Raises:
        MotionveilError: What comes out are no frames, or the cache cannot be written.
    """
    return cache.derive(
        f"veil {FORMAT} {veil.key}",
        veil.change,
        title=f"Veiling by {veil.name}",
        workers=workers,
    )


def frames_lost(filmed: ClipCache, veiled: ClipCache) -> int:
    """Return how many frames fewer a veiled clip has than what was filmed.

    Raises:
        MotionveilError: It is not the same number for every clip, or there are more.
    """
    lost = {
        len(filmed.frames(before)) - len(veiled.frames(after))
        for before, after in zip(filmed.manifest.clips, veiled.manifest.clips, strict=True)
    }
    if len(lost) != 1 or min(lost) < 0:
        raise MotionveilError(
            f"{veiled.folder}: {min(lost)} to {max(lost)} frames of a clip are missing; a veil"
            " leaves as many frames out of every clip, and adds none"
        )
    return lost.pop()


def frames_left(frames: int, filmed: ClipCache, veiled: ClipCache) -> int:
    """Return how many veiled frames are left of so many that were filmed.

    Raises:
        MotionveilError: Fewer than two, or clips have lost different numbers of frames.
    """
    lost = frames_lost(filmed, veiled)
    if frames - lost < 2:
        raise MotionveilError(
            f"{frames - lost} veiled frames are left of the recipe's {frames}; set"
            f" frames={2 + lost} or more"
        )
    return frames - lost


def original_clips(cache: ClipCache, veiled: ClipCache) -> ClipCache:
    """Return the original clips, each with as many frames as its veiled one has.

    A difference encoder has no output for a clip's first frame; the n-th of these frames is the one
    at which the n-th veiled frame was returned.

    Raises:
        MotionveilError: Not every clip has lost the same number of frames.
    """
    first = frames_lost(cache, veiled)
    return cache.derive(f"original {FORMAT} {first}", lambda frames, times: frames[first:])


def clips_in(
    folder: str | os.PathLike[str], cache: ClipCache, workers: int | None = None
) -> ClipCache:
    """Return the cache of a folder of videos that somebody else has veiled.

    Its manifest has the clips of the original one in their order, under the names of the videos.

    Args:
        folder: Holds a video for each of the manifest's, in the same folders and of the same
            names, whatever their suffixes; each with the frames of its original, one for one, at
            the same times.
        workers: Videos decoded in parallel.

    Raises:
        MotionveilError: A video is missing, or there are several for one; names it.
    """
    root = Path(folder)
    there: dict[str, list[Path]] = {}
    for file in walk(root):
        there.setdefault(file.relative_to(root).with_suffix("").as_posix(), []).append(file)
    clips = []
    for clip in cache.manifest.clips:
        wanted = Path(clip.path).with_suffix("").as_posix()
        found = there.get(wanted, [])
        if len(found) != 1:
            names = ", ".join(sorted(file.name for file in found)) or "none"
            raise MotionveilError(f"{root / wanted}.*: wanted one veiled video, found {names}")
        clips.append(replace(clip, path=found[0].relative_to(root).as_posix()))
    source = cache.manifest
    manifest = replace(source, root=root, clips=tuple(clips), file=None)
    return ClipCache.build(
        manifest,
        size=cache.size,
        fit=cache.fit,
        rate=cache.rate,
        folder=cache.folder.parent,
        workers=workers,
    )


def compressed_clips(veiled: ClipCache, quality: int, *, workers: int = 1) -> ClipCache:
    """Return veiled clips as they are after H.264; see `compress`."""
    return veiled.derive(
        f"h264 {H264_FORMAT} {quality}",
        lambda frames, times: compress(frames, quality),
        title=f"Compressing, crf {quality}",
        workers=workers,
    )


def compress(frames: Frames, quality: int) -> Frames:
    """Encode frames as H.264 (4:2:0, x264) in memory and decode them again.

    Args:
        frames: uint8 (T, H, W, 3), RGB.
        quality: x264's crf, 0 to 51; more is worse.

    Returns:
        uint8 (T, H, W, 3).

    Raises:
        ValueError: `quality` is out of its range.
    """
    if not 0 <= quality <= 51:
        raise ValueError(f"crf {quality}; x264's is 0 (lossless) to 51 (worst)")
    height, width = frames.shape[1:3]
    # 4:2:0 has no odd sizes: the last row and column are repeated, and cut off again.
    even = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        # One thread: clips are compressed in parallel; the result does not depend on it.
        options = {"crf": str(quality), "preset": "veryfast", "threads": "1"}
        stream = container.add_stream("libx264", rate=Fraction(_RATE), options=options)
        stream.height, stream.width = even.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame in even:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    file.seek(0)
    with av.open(file, "r") as container:
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return np.ascontiguousarray(np.stack(decoded)[:, :height, :width], np.uint8)


@dataclass(frozen=True)
class EncodedParts:
    """What networks see of the clips behind an encoder.

    Attributes:
        encoder: Veils a batch; the identity where the clips are veiled already.
        training: The clips that networks are trained on.
        validation: The clips held out.
        geometry: Size and rate at which the clips were veiled; None in the paper's order.
    """

    encoder: Encoder
    training: ClipDataset
    validation: ClipDataset
    geometry: Geometry | None = None


def encode_parts(experiment: Experiment, encoder: Encoder, *, order: Order) -> EncodedParts:
    """Return what networks see of an experiment's clips behind an encoder.

    Args:
        order: See `motionveil.training.recipe.Recipe.order`.

    Raises:
        MotionveilError: A video cannot be read, fewer than two frames of a clip are left, or the
            cache cannot be written.
    """
    if order == "paper":
        return EncodedParts(
            encoder, experiment.clips(training=True), experiment.clips(training=False)
        )
    veil = veil_of_encoder(encoder, encoder.spec.name, str(experiment.fabric.device))
    geometry = veil.geometry(experiment.geometry)
    with first_process_first(experiment.fabric):
        filmed = working_clips(
            experiment.cache.manifest,
            geometry,
            multiple=veil.multiple,
            folder=experiment.cache.folder.parent,
        )
        veiled = veil_clips(filmed, veil)
    frames = frames_left(experiment.recipe.frames, filmed, veiled)
    training, validation = (
        experiment.dataset(veiled, training=part, frames=frames, fit=experiment.recipe.fit)
        for part in (True, False)
    )
    return EncodedParts(Raw(), training, validation, geometry)
