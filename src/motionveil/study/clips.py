"""The clips of a study: cut, veiled or face-blurred, enlarged, as mp4 and webm."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from motionveil.capture import Guard, StreamEncoder
from motionveil.capture.geometry import working_frames
from motionveil.data.manifest import Clip
from motionveil.errors import MotionveilError
from motionveil.spec import EncoderSpec
from motionveil.study.design import Condition
from motionveil.study.images import Enlarger, Image
from motionveil.video import Frame, VideoSink, probe, read_frames
from motionveil.video.reader import FOLDER_RATE
from motionveil.video.sink import DEFAULT_RATE

if TYPE_CHECKING:  # needs packages that only face detection needs
    from motionveil.faces import Detect, FaceCounts

SUFFIXES = (".mp4", ".webm")
"""H.264, which nearly every browser plays, and VP9 for the rest."""


class ClipMaker:
    """Makes the clips of a study, in all conditions at the encoder's size and rate.

    Args:
        root: The data set's folder.
        spec: The encoder of veiled clips; frame by frame, as behind a camera.
        detector: Finds the faces of face-blurred clips; None where there are none.
        picture_rate: Frames a second of folders of frames; see `Manifest.rate`.

    Attributes:
        faces: What was found in the face-blurred clips so far; None where there were none.

    Raises:
        MotionveilError: The encoder cannot work frame by frame, or has no geometry.
    """

    def __init__(
        self,
        root: Path,
        spec: EncoderSpec,
        detector: Detect | None,
        *,
        picture_rate: float | None = None,
    ) -> None:
        StreamEncoder(spec)  # refuses what cannot stream, before anything is written
        assert spec.geometry is not None
        self._root, self._spec, self._detector = root, spec, detector
        self._geometry = spec.geometry
        self._picture_rate = Fraction(picture_rate or FOLDER_RATE)
        self.faces: FaceCounts | None = None

    def write(self, clip: Clip, condition: Condition, stem: Path) -> None:
        """Write a clip as `stem.mp4` and `stem.webm`, without sound and metadata.

        The first frame is left out: veiled, it has nothing to be compared with, and a clip that
        is played over and over would flash. It is left out in all conditions, so that they are
        equally long.

        Raises:
            MotionveilError: The video cannot be read, or one frame only is taken of it.
        """
        source, of = self._root / clip.path, self._picture_rate
        rate = self._geometry.frame_rate(probe(source, rate=of).rate or DEFAULT_RATE)
        enlarge = Enlarger()
        with ExitStack() as stack:
            sinks = [
                stack.enter_context(VideoSink(stem.with_suffix(suffix), rate=rate))
                for suffix in SUFFIXES
            ]
            frames = self._treated(read_frames(source, clip.start, clip.end, rate=of), condition)
            next(frames)
            second = next(frames, None)
            if second is None:
                raise MotionveilError(f"{self._root / clip.key}: one frame only; a clip needs two")
            for image in chain([second], frames):
                large = enlarge(image)
                for sink in sinks:
                    sink.write(large)

    def _treated(self, frames: Iterator[Frame], condition: Condition) -> Iterator[Image]:
        """Do what a condition asks for; faces are found in frames as filmed."""
        if condition == "face-blurred":
            frames = self._without_faces(frames)
        if condition == "veiled":
            return self._veiled(frames)
        small = working_frames(frames, self._geometry, multiple=self._spec.multiple)
        return (frame.image for frame in small)

    def _veiled(self, frames: Iterator[Frame]) -> Iterator[Image]:
        encoder = StreamEncoder(self._spec, guard=Guard())
        for frame in frames:
            image = encoder(frame.image, time=frame.time, fresh=frame.fresh, aspect=frame.aspect)
            if image is not None:
                yield image

    def _without_faces(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        if self._detector is None:
            raise MotionveilError("face-blurred clips need --face-detector, YuNet's ONNX file")
        from motionveil.faces import FaceCounts, blurred_frames

        self.faces = self.faces or FaceCounts()
        return blurred_frames(frames, self._detector, self.faces)
