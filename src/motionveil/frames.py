"""Veiling frames that somebody else's program has read, and clips of a manifest one by one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionveil.datasets.manifest import Manifest
from motionveil.errors import MotionveilError
from motionveil.spec import DEFAULT, EncoderSpec, at_geometry, load_spec
from motionveil.streaming import VeilOptions, veil_source
from motionveil.streaming.pipeline import First
from motionveil.video import Frame, VideoInfo, read_frames
from motionveil.video.reader import FOLDER_RATE, probe, whole_rate

Name = str | os.PathLike[str]

_OWN = ("__key__", "clip", "video", "fps", "action", "action_id", "group")
"""What a sample of `iterate_clips` has beside the privacy labels."""


def veil_frames(
    frames: NDArray[np.uint8],
    rate: float | Fraction,
    *,
    encoder: Name | EncoderSpec = DEFAULT,
    native: bool = False,
    hard: bool = False,
    guard: bool = True,
    first: First = "neutral",
) -> NDArray[np.uint8]:
    """Veil a video that is in memory: the bytes that `motionveil encode` writes of it.

    Args:
        frames: uint8 (T, H, W, 3), RGB, at least one.
        rate: Frames a second; 29.97 is taken for 30000/1001.
        encoder: A name, an `encoder.json`, a run folder or a spec.
        native: Veil at the frames' own size and rate, for which nothing was measured.
        hard: Quantise in steps instead of sigmoids.
        guard: Give the neutral frame where two frames have no valid difference.
        first: The first frame has no difference: give the `"neutral"` frame, or `"drop"` it.

    Returns:
        uint8 (T', h, w, 3): the encoder's size, and no more frames per second than its rate.

    Raises:
        MotionveilError: The frames are no such array or none is left, the rate is out of range,
            or the encoder cannot stream.

    Examples:
        >>> import numpy as np
        >>> frames = np.random.default_rng(0).integers(0, 256, (30, 48, 64, 3), dtype=np.uint8)
        >>> veil_frames(frames, 30).shape
        (15, 8, 10, 3)
    """
    wanted = "they must be uint8 (T, H, W, 3), RGB, at least one, in a NumPy array"
    if not isinstance(frames, np.ndarray):
        raise MotionveilError(f"frames are a {type(frames).__name__}; {wanted}")
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or not frames.size:
        raise MotionveilError(f"frames are {frames.dtype} {frames.shape}; {wanted}")
    exact = whole_rate(rate)
    images = (np.ascontiguousarray(image) for image in frames)
    stream = (Frame(image, number, 1 / exact) for number, image in enumerate(images))
    info = VideoInfo(frames.shape[2], frames.shape[1], exact, 1 / exact, len(frames))
    options = VeilOptions(native=native, hard=hard, guard=guard, first=first)
    return _veil(_Frames("frames", info, stream), load_spec(encoder), options)[0]


def iterate_clips(
    data: Name | Manifest,
    *,
    split: str | None = None,
    training: bool = True,
    encoder: Name | EncoderSpec | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield the clips of a data set as dictionaries, as `datasets` and webdataset take them.

    Args:
        data: A `manifest.csv`, or what was read from one.
        split: Which part is held out; `"validation"` if None.
        training: Yield the clips to train on, not those held out.
        encoder: Veil them, as `veil_frames` does, the first frame left out; None for raw frames.

    Yields:
        `__key__` (the clip's number), `clip` (its name, `path#start-end`), `video` (uint8 (T, H, W,
        3)), `fps` (frames per second; None if not known), `action`, `action_id` (its place in the
        manifest's `actions`), `group`, and each privacy label by its own name.

    Raises:
        MotionveilError: The manifest or a video cannot be read, there is no such split, a privacy
            label has the name of another value, or the encoder cannot stream.

    Examples:
        >>> import tempfile
        >>> from motionveil.datasets.actors import make_actors
        >>> folder = tempfile.mkdtemp()
        >>> data = make_actors(folder, people=2, train_sessions=1, validation_sessions=1)
        >>> sample = next(iterate_clips(data, encoder="moments"))
        >>> sample["video"].dtype, sample["fps"], sample["identity"]
        (dtype('uint8'), 15.0, 'person00')
    """
    manifest = data if isinstance(data, Manifest) else Manifest.read(data)
    if taken := sorted({*_OWN}.intersection(manifest.privacy_labels)):
        raise MotionveilError(
            f"{manifest.file or manifest.name}: a privacy label is called {taken[0]!r}, as a clip's"
            f" own value is; rename the column to none of {', '.join(_OWN)}"
        )
    rate = whole_rate(manifest.rate or FOLDER_RATE)
    spec = None if encoder is None else load_spec(encoder)
    for number, clip in enumerate(manifest.part(split, training=training)):
        video = manifest.root / clip.path
        stream = read_frames(video, clip.start, clip.end, rate=rate)
        info = probe(video, rate=rate)
        if spec is None:
            frames, fps = np.stack([frame.image for frame in stream]), info.rate
        else:
            source = _Frames(str(video), info, stream)
            frames, fps = _veil(source, spec, VeilOptions(first="drop"))
        yield {
            "__key__": f"{number:06d}",
            "clip": clip.key,
            "video": frames,
            "fps": None if fps is None else float(fps),
            "action": clip.action,
            "action_id": manifest.actions.index(clip.action),
            "group": clip.group,
            **clip.privacy,
        }


class _Frames:
    """A source of frames that are there already."""

    live, damaged = False, 0

    def __init__(self, name: str, info: VideoInfo, frames: Iterable[Frame]) -> None:
        self.name = name
        self.info: VideoInfo | None = info
        self._frames = frames

    def frames(self, stop: Event) -> Iterator[Frame]:
        """Yield them until `stop` is set."""
        for frame in self._frames:
            if stop.is_set():
                return
            yield frame


def _veil(
    source: _Frames, spec: EncoderSpec, options: VeilOptions
) -> tuple[NDArray[np.uint8], Fraction | None]:
    """Return a source's veiled frames, and how many there are a second."""
    veiled: list[NDArray[np.uint8]] = []
    summary = veil_source(
        source,
        None,
        at_geometry(spec, options.native),
        options,
        watch=lambda status, image: veiled.append(image.copy()),
    )
    return np.stack(veiled[-summary.frames_out :]), summary.rate  # a dropped first one is watched
