"""One answer for a whole clip, of its middle: what validation scores."""

from __future__ import annotations

from threading import Event as Stop

import numpy as np
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.recognition.answers import Answer
from motionveil.recognition.artefact import RecogniserSpec
from motionveil.recognition.recogniser import Recogniser
from motionveil.recognition.veiled import VeiledFrames, check_veiled
from motionveil.streaming import Guard, StreamEncoder
from motionveil.video import Source

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
        recogniser: The recogniser.
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
