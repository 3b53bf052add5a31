"""Actions of whole clips, and sources that are veiled already."""

from __future__ import annotations

import re
from pathlib import Path
from threading import Event as Stop

import numpy as np
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.recognition.answers import Answer
from motionveil.recognition.artefact import RecogniserSpec
from motionveil.recognition.recogniser import Recogniser
from motionveil.streaming import Guard, StreamEncoder
from motionveil.streaming.guard import Reason
from motionveil.video import Frame, Source, VideoInfo, read_comment

_COMMENT = re.compile(r"^motionveil \S+ (?P<method>\S+) (?P<hash>[0-9a-f]{12}), ")
"""What `motionveil encode` writes of itself; see `motionveil.streaming.veil_video`."""

_FASTER = 1.1
"""A source may be so much faster than the recogniser's rate: rates are rounded."""

Images = NDArray[np.uint8]


def recognise_clip(
    source: Source, recogniser: Recogniser, *, veiled: bool = False, top: int = 1
) -> Answer:
    """Name the action of a clip, as validation does: one window from its middle.

    Nothing is smoothed, and neither `no motion` nor a threshold is asked for but to name the
    answer: its `top` has the network's probabilities. All frames of the clip are held in memory, as
    small as the network sees them. A clip that is shorter than a window holds its last frame.

    Args:
        source: The clip; one that ends.
        veiled: It is veiled already.
        top: How many classes the answer lists.

    Raises:
        MotionveilError: The source cannot be read whole, has fewer than two frames, or is not what
            the recogniser was trained on.
    """
    if source.live:
        raise MotionveilError(f"{source.name}: does not end by itself, so it has no middle")
    spec = recogniser.spec
    images, times = _veiled(source, spec) if veiled else _filmed(source, spec)
    if not images:
        raise MotionveilError(f"{source.name}: gave no veiled frame; a clip has two frames or more")
    start = max(0, (len(images) - spec.frames) // 2)
    places = np.minimum(np.arange(start, start + spec.frames), len(images) - 1)
    probabilities = recogniser.probabilities(np.stack([images[place] for place in places]))
    order = np.argsort(-probabilities, kind="stable")[: max(1, top)]
    best = tuple((spec.actions[place], float(probabilities[place])) for place in order)
    background = 1 - float(probabilities.sum())
    named = best[0][1] >= max(spec.calibration.threshold, background)
    return Answer(
        time=times[places[-1]],
        start=times[start],
        kind="action" if named else "none of these",
        label=best[0][0] if named else "none of these",
        probability=best[0][1] if named else 1 - best[0][1],
        top=best,
    )


def _filmed(source: Source, spec: RecogniserSpec) -> tuple[list[Images], list[float]]:
    """Veil a clip, and return what the network sees of it; a frame without difference is left out.

    As `motionveil.evaluation.encode_clips` does.
    """
    encoder = StreamEncoder(spec.stream_spec(), guard=Guard())
    images: list[Images] = []
    times: list[float] = []
    first = encoder.neutral is not None
    for frame in source.frames(Stop()):
        veiled = encoder(frame.image, time=frame.time, fresh=frame.fresh, aspect=frame.aspect)
        if veiled is None:
            continue
        if not first:
            images.append(spec.input.image(veiled).copy())
            times.append(frame.time)
        first = False
    return images, times


def _veiled(source: Source, spec: RecogniserSpec) -> tuple[list[Images], list[float]]:
    images: list[Images] = []
    times: list[float] = []
    seen = VeiledFrames(spec)
    for frame in source.frames(Stop()):
        if not times and source.info is not None:
            check_veiled(source.name, source.info, spec)
        if seen.reason(frame) != "first":
            images.append(spec.input.image(frame.image).copy())
            times.append(frame.time)
    return images, times


def check_veiled(source: str, info: VideoInfo, spec: RecogniserSpec) -> None:
    """Refuse a veiled source that the recogniser was not trained on.

    Args:
        source: Its name; of a file, what it says of itself is compared too.

    Raises:
        MotionveilError: It has another size or rate, or was veiled by another encoder.
    """
    size = -(-spec.geometry.size // spec.input.cell)
    short = min(info.width, info.height)
    if short != size:
        raise MotionveilError(
            f"{source}: {info.width}x{info.height}, but the recogniser was trained on veiled"
            f" frames whose short side is {size} pixels ({spec.geometry}); veil with its encoder"
            " and without --enlarge or --native, or leave out --veiled for a source that is not"
            " veiled"
        )
    if info.rate is not None and info.rate > _FASTER * spec.geometry.rate:
        raise MotionveilError(
            f"{source}: {float(info.rate):.4g} frames/s, but the recogniser was trained on"
            f" {spec.geometry}; veiled frames cannot be left out, for they are differences"
        )
    said = _COMMENT.match((read_comment(source) or "") if Path(source).is_file() else "")
    if said is not None and said["hash"] != spec.encoder_hash:
        raise MotionveilError(
            f"{source}: was veiled by {said['method']} {said['hash']}, but the recogniser was"
            f" trained on the output of {spec.encoder.name} {spec.encoder_hash}"
        )


class VeiledFrames:
    """Tells of frames that were veiled elsewhere which are the neutral one.

    The first frame of a stream, or after lost data, has no difference: it is left out if it is
    neutral, as it is of clips in training.
    """

    def __init__(self, spec: RecogniserSpec) -> None:
        self._neutral = None if spec.no_motion is None else spec.no_motion.neutral
        self._tolerance = 0 if spec.no_motion is None else spec.no_motion.tolerance
        self._started = False

    def reason(self, frame: Frame) -> Reason | None:
        """Return why a frame is no part of a window, or None."""
        first, self._started = not self._started, True
        if first and self._is_neutral(frame.image):
            return "first"
        return "fresh" if frame.fresh and not first else None

    def _is_neutral(self, image: NDArray[np.uint8]) -> bool:
        if self._neutral is None:
            return False
        return bool(np.abs(image.astype(np.int16) - self._neutral).max() <= self._tolerance)
