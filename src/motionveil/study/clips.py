"""The clips of a study: balanced selection; cut, veiled or face-blurred, as mp4 and webm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from fractions import Fraction
from itertools import chain
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from av.video.reformatter import VideoReformatter

from motionveil.datasets.manifest import Clip
from motionveil.errors import MotionveilError
from motionveil.spec import EncoderSpec
from motionveil.streaming import Guard, StreamEncoder
from motionveil.streaming.geometry import working_frames
from motionveil.study.design import SUFFIXES, Condition
from motionveil.study.option_images import Image, resize
from motionveil.study.subjects import Subjects
from motionveil.video import Frame, VideoSink, probe, read_frames
from motionveil.video.reader import FOLDER_RATE
from motionveil.video.sinks import DEFAULT_RATE

if TYPE_CHECKING:
    from motionveil.faces import Detect, FaceCounts

SHORT_SIDE = 320
"""Minimum short side of a clip on the screen, in pixels."""


class ClipWriter:
    """Writes the clips of a study, in all conditions at the encoder's size and rate.

    Args:
        spec: The encoder of veiled clips, applied frame by frame as behind a camera.
        detector: Face detector of face-blurred clips; None if there are none.
        picture_rate: Frames per second of folders of frames; see `Manifest.rate`.

    Attributes:
        faces: Detection counts of the face-blurred clips so far; None if there were none.

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
        StreamEncoder(spec)  # fails on unsuitable encoders before anything is written
        assert spec.geometry is not None
        self._root, self._spec, self._detector = root, spec, detector
        self._geometry = spec.geometry
        self._picture_rate = Fraction(picture_rate or FOLDER_RATE)
        self.faces: FaceCounts | None = None

    def write(self, clip: Clip, condition: Condition, stem: Path) -> None:
        """Write a clip as `stem.mp4` and `stem.webm`, without sound and metadata.

        The first frame is dropped in all conditions: a veiled one is blank and would flash in a
        loop.

        Raises:
            MotionveilError: The video cannot be read, or has only one frame at this rate.
        """
        source, of = self._root / clip.path, self._picture_rate
        rate = self._geometry.frame_rate(probe(source, rate=of).rate or DEFAULT_RATE)
        scaler = VideoReformatter()
        with ExitStack() as stack:
            sinks = [
                stack.enter_context(VideoSink(stem.with_suffix(suffix), rate=rate))
                for suffix in SUFFIXES
            ]
            frames = self._processed(read_frames(source, clip.start, clip.end, rate=of), condition)
            next(frames)
            second = next(frames, None)
            if second is None:
                raise MotionveilError(f"{self._root / clip.key}: one frame only; a clip needs two")
            for image in chain([second], frames):
                large = upscale(scaler, image)
                for sink in sinks:
                    sink.write(large)

    def _processed(self, frames: Iterator[Frame], condition: Condition) -> Iterator[Image]:
        """Apply a condition; faces are detected at the original resolution."""
        if condition == "face-blurred":
            if self._detector is None:
                raise MotionveilError("face-blurred clips need --face-detector, YuNet's ONNX file")
            from motionveil.faces import FaceCounts, blurred_frames

            self.faces = self.faces or FaceCounts()
            frames = blurred_frames(frames, self._detector, self.faces)
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


def upscale(scaler: VideoReformatter, frame: Image) -> Image:
    """Return a frame, uint8 (H, W, 3), upscaled to a short side of 320 pixels or more.

    By an integer factor, bicubic, since visible blocks would conceal more than the video does; an
    odd last row or column is cropped, as video codecs require.
    """
    height, width = frame.shape[:2]
    times = max(1, -(-SHORT_SIDE // min(height, width)))
    large = frame if times == 1 else resize(frame, width * times, height * times, scaler)
    return large[: large.shape[0] // 2 * 2, : large.shape[1] // 2 * 2]


def choose_clips(
    clips: Sequence[Clip],
    label: str,
    subjects: Subjects,
    wanted: Mapping[Condition, int],
    random: Random,
) -> dict[Condition, list[Clip]]:
    """Choose clips for each condition without replacement, balanced over people and actions.

    Greedy: conditions take turns, and each takes the clip whose people, then whose action, then
    whose combination of the two it has had least often. Ties are broken at random.

    Raises:
        MotionveilError: There are fewer clips than wanted.
    """
    total = sum(wanted.values())
    if total > len(clips):
        raise MotionveilError(
            f"{total} questions requested, but only {len(clips)} clips are available; request"
            " fewer questions, or use all parts of the data (--split all)"
        )
    remaining = random.sample(list(clips), len(clips))
    chosen: dict[Condition, list[Clip]] = {condition: [] for condition in wanted}
    counts: dict[Condition, Counter[object]] = {condition: Counter() for condition in wanted}

    def cost(clip: Clip, count: Counter[object]) -> tuple[int, int, int]:
        names = [subject.name for subject in subjects[clip.privacy[label]]]
        return (
            sum(count[name] ** 2 for name in names),  # squared: neither of a pair is overused
            count["action", clip.action],
            sum(count[name, clip.action] for name in names),
        )

    for condition in _interleaved(wanted):
        count = counts[condition]
        best = min(remaining, key=lambda clip: cost(clip, count))
        remaining.remove(best)
        chosen[condition].append(best)
        names = [subject.name for subject in subjects[best.privacy[label]]]
        count.update([*names, ("action", best.action), *((name, best.action) for name in names)])
    return chosen


def choose_options(
    right: Sequence[str], people: Sequence[str], options: int, shown: Counter[str], random: Random
) -> list[str]:
    """Choose the options of a question, and count them in `shown`.

    Distractors are those shown least often so far: otherwise the frequency of an image would
    reveal the correct answer.

    Args:
        right: Names of the people in the clip.
        options: Number of options, the correct ones included.
        shown: How often each person was an option so far.
        random: Breaks ties.

    Returns:
        Names, sorted.
    """
    others = [name for name in people if name not in right]
    random.shuffle(others)
    others.sort(key=lambda name: shown[name])
    chosen = [*right, *others[: options - len(right)]]
    shown.update(chosen)
    return sorted(chosen)


def _interleaved(wanted: Mapping[Condition, int]) -> list[Condition]:
    """Return the conditions in an order that mixes them evenly."""
    places = [
        ((place + 0.5) / number, order, condition)
        for order, (condition, number) in enumerate(wanted.items())
        for place in range(number)
    ]
    return [condition for _, _, condition in sorted(places)]
