"""Sources that are veiled already: checked to be what a recogniser was trained on."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.recognition.artefact import RecogniserSpec
from motionveil.streaming.guard import Reason
from motionveil.video import Frame, VideoInfo, read_comment

_COMMENT = re.compile(r"^motionveil \S+ (?P<method>\S+) (?P<hash>[0-9a-f]{12}), ")
"""What `motionveil encode` writes of itself; see `motionveil.streaming.veil_video`."""

_FASTER = 1.1
"""A source may be so much faster than the recogniser's rate: rates are rounded."""


def check_veiled(source: str, info: VideoInfo, spec: RecogniserSpec) -> None:
    """Refuse a veiled source that the recogniser was not trained on.

    Args:
        source: Its name; of a file, what it says of itself is compared too.
        info: Its size and rate.
        spec: The recogniser.

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

    Args:
        spec: The recogniser.
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
