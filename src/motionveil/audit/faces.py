"""Faces: a detector and a network for faces, both made elsewhere, look at the veiled video.

They look at the video as it was filmed, not at the small clips that the other attackers learn
from: a face of ten pixels is found in neither. The attacker has pictures of everybody from other,
original clips, and is even told where the faces are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from motionveil.data.cache import Frames, Times
from motionveil.data.manifest import Clip
from motionveil.errors import MotionveilError
from motionveil.geometry import FrameRate
from motionveil.networks.face_embedding import FaceDescriber, face_chips, load_face_describer
from motionveil.statistics import Floats, Integers
from motionveil.video import Frame, read_frames
from motionveil.video.reader import FOLDER_RATE

Boxes = NDArray[np.float32]
Detect = Callable[[Frames], Boxes]
"""From a frame, uint8 (H, W, 3), to the boxes of its faces, (N, 4): x, y, width, height."""

KNOWN = 8
"""Clips of each class whose original the attacker looks at, at most."""

MOMENTS = 4
"""Frames of a clip that are looked at."""

SAME_PLACE = 0.3
"""Intersection over union from which on two boxes are the same face."""

WINDOW = 16
"""Frames of the video that are veiled around the moments looked at."""


class Window(NamedTuple):
    """Consecutive frames of a clip.

    Attributes:
        frames: As they were filmed, uint8 (T, H, W, 3).
        times: When each is shown, in seconds, (T,).
        aspect: Sample aspect ratio: how much wider than high a pixel is shown.
    """

    frames: Frames
    times: Times
    aspect: Fraction = Fraction(1)


Film = Callable[[Clip], Window]
VeilWindow = Callable[[Clip, Window], Frames]


@dataclass(frozen=True)
class SeenFaces:
    """What was found in the clips held out.

    Attributes:
        clips: The clips.
        original, veiled: Share of each clip's moments with a face in them, (clips,).
        again: Share of the faces of a clip's original frames that were found at their places in the
            veiled ones, (clips,); not a number where there is no face.
        labels: The true classes, (clips,).
        named_original, named_veiled: Whose faces a clip's were nearest to, as classes, -1 where
            there is no face in the original frames, (clips,); empty without a network for faces.
    """

    clips: tuple[Clip, ...]
    original: Floats
    veiled: Floats
    again: Floats
    labels: Integers
    named_original: Integers
    named_veiled: Integers


@dataclass(frozen=True)
class _Look:
    """A clip's moments: frames, boxes of the original's faces, and of the veiled one's."""

    original: list[Frames]
    veiled: list[Frames]
    faces: list[Boxes]
    veiled_faces: list[Boxes]


@dataclass(frozen=True)
class FaceTools:
    """What was made elsewhere to find and to describe faces.

    Attributes:
        detect: Finds them.
        describe: Describes them; None where there is only a detector.
    """

    detect: Detect
    describe: FaceDescriber | None = None

    @classmethod
    def open(cls, detector: str, describer: str = "") -> FaceTools:
        """Return the tools in a user's files: YuNet's, and that of dlib's network if it is named.

        Raises:
            MotionveilError: A file cannot be read or holds another network, or the extra `faces` is
                not installed.
        """
        describe = load_face_describer(describer) if describer else None
        return cls(face_detector(detector), describe)


def face_detector(file: str | os.PathLike[str]) -> Detect:
    """Return YuNet as a function from frames to boxes; see `motionveil.faces.FaceDetector`.

    Raises:
        MotionveilError: The file cannot be read or is another network, or the extra `faces` is not
            installed.
    """
    try:
        from motionveil.faces import FaceDetector
    except ImportError as error:
        raise MotionveilError(
            f"{file}: finding faces needs pip install 'motionveil[faces]' ({error})"
        ) from error
    detector = FaceDetector(file)
    return lambda frame: detector(frame).boxes


def window_of(
    root: Path, clip: Clip, rate: float | None = None, *, picture_rate: float | None = None
) -> Window:
    """Return frames from a clip's middle.

    Args:
        root: The data set's folder.
        clip: The clip.
        rate: Frames a second that are taken at the most; None for all.
        picture_rate: Frames a second of a folder of frames; see `Manifest.rate`.

    Raises:
        MotionveilError: The video cannot be read, or ends before the clip begins.
    """

    def taken() -> Iterator[Frame]:
        takes, of = FrameRate(rate).takes, Fraction(picture_rate or FOLDER_RATE)
        # Reading to a given end would refuse a video that ends before it.
        there = islice(read_frames(root / clip.path, clip.start, rate=of), clip.length)
        return (frame for frame in there if takes(frame.time))

    count = sum(1 for _ in taken())  # read twice: a long clip of large frames fits no memory
    if not count:
        raise MotionveilError(f"{root / clip.path}: ends before frame {clip.start}")
    first = (count - min(count, WINDOW)) // 2
    window = list(islice(taken(), first, first + WINDOW))
    return Window(
        np.stack([frame.image for frame in window]),
        np.array([frame.time for frame in window]),
        window[0].aspect,
    )


def some_of_each(clips: Sequence[Clip], label: str) -> list[Clip]:
    """Return clips of every class, `KNOWN` at most, spread over those that there are."""
    by_class: dict[str, list[Clip]] = {}
    for clip in clips:
        by_class.setdefault(clip.privacy[label], []).append(clip)
    return [
        there[int(place)]
        for there in by_class.values()
        for place in np.linspace(0, len(there) - 1, min(len(there), KNOWN)).round()
    ]


def share_with_faces(frames: Sequence[Frames], detect: Detect) -> float:
    """Return the share of a clip's moments with a face in them."""
    return _share([detect(frames[moment]) for moment in _moments(len(frames))])


def find_faces(
    held_out: Sequence[Clip],
    known: Sequence[Clip],
    names: Sequence[str],
    label: str,
    *,
    film: Film,
    veil: VeilWindow,
    tools: FaceTools,
) -> SeenFaces:
    """Look for faces in clips, and whose they are.

    Args:
        held_out: The clips to look at.
        known: Clips of which the attacker has the original.
        names: The label's classes.
        label: The label.
        film: A clip's original frames.
        veil: From a clip and these to its veiled frames, the last ones of as many moments.
        tools: Find faces, and describe them.

    Raises:
        MotionveilError: A video cannot be read, or nothing is left of a clip.
    """
    detect, describe = tools.detect, tools.describe
    looks = [_look(clip, film, veil, detect) for clip in held_out]
    classes = np.array([names.index(clip.privacy[label]) for clip in held_out], np.int64)
    named = (np.empty(0, np.int64), np.empty(0, np.int64))
    if describe is not None:
        gallery, owners = _gallery(known, names, label, film, detect, describe)
        named = (
            _named([(look.original, look.faces) for look in looks], gallery, owners, describe),
            _named([(look.veiled, look.faces) for look in looks], gallery, owners, describe),
        )
    return SeenFaces(
        tuple(held_out),
        np.array([_share(look.faces) for look in looks]),
        np.array([_share(look.veiled_faces) for look in looks]),
        np.array([_again(look) for look in looks]),
        classes,
        *named,
    )


def _look(
    clip: Clip,
    film: Film,
    veil: VeilWindow,
    detect: Detect,
) -> _Look:
    window = film(clip)
    filmed, veiled = window.frames, veil(clip, window)
    if not len(veiled):
        raise MotionveilError(f"{clip.key}: nothing is left of {len(filmed)} frames")
    original = filmed[len(filmed) - len(veiled) :]
    moments = _moments(len(veiled))
    frames = [original[m] for m in moments], [veiled[m] for m in moments]
    return _Look(*frames, *([detect(frame) for frame in of] for of in frames))


def _moments(frames: int) -> list[int]:
    spread = np.linspace(0, frames - 1, min(frames, MOMENTS)).round()
    return [int(place) for place in spread]


def _share(found: Sequence[Boxes]) -> float:
    return float(np.mean([len(boxes) > 0 for boxes in found]))


def _again(look: _Look) -> float:
    """Return the share of the original's faces that were found at their places when veiled."""
    found = [
        bool(len(after)) and float(_overlaps(box, after).max()) >= SAME_PLACE
        for before, after in zip(look.faces, look.veiled_faces, strict=True)
        for box in before
    ]
    return float(np.mean(found)) if found else float("nan")


def _overlaps(box: Boxes, others: Boxes) -> Boxes:
    """Return a box's intersection over union with others: (N,)."""
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[:2] + box[2:], others[:, :2] + others[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    overlaps: Boxes = shared / (box[2:].prod() + others[:, 2:].prod(axis=1) - shared)
    return overlaps


def _gallery(
    known: Sequence[Clip],
    names: Sequence[str],
    label: str,
    film: Film,
    detect: Detect,
    describe: FaceDescriber,
) -> tuple[Floats, Integers]:
    """Return descriptions of the faces in original clips, (N, 128), and whose they are, (N,)."""
    found, owners = [np.empty((0, 128))], []
    for clip in known:
        filmed = film(clip).frames
        for moment in _moments(len(filmed)):
            described = _described(filmed[moment], detect(filmed[moment]), describe)
            found.append(described)
            owners += [names.index(clip.privacy[label])] * len(described)
    return np.concatenate(found), np.array(owners, np.int64)


@torch.no_grad()
def _described(frame: Frames, boxes: Boxes, describe: FaceDescriber) -> Floats:
    picture = torch.from_numpy(frame.copy()).permute(2, 0, 1).float()
    chips = face_chips(picture, torch.from_numpy(np.asarray(boxes, np.float32)))
    described: Floats = describe(chips).double().numpy() if len(chips) else np.empty((0, 128))
    return described


def _named(
    looks: Sequence[tuple[list[Frames], list[Boxes]]],
    gallery: Floats,
    owners: Integers,
    describe: FaceDescriber,
) -> Integers:
    """Return for each clip whose face is nearest to most of its faces; -1 where there is none."""
    named = []
    for frames, faces in looks:
        described = np.concatenate(
            [_described(frame, boxes, describe) for frame, boxes in zip(frames, faces, strict=True)]
        )
        if not len(described) or not len(gallery):
            named.append(-1)
            continue
        apart = np.linalg.norm(described[:, None] - gallery[None], axis=2)
        nearest = owners[apart.argmin(axis=1)]
        named.append(int(np.bincount(nearest).argmax()))
    return np.array(named, np.int64)
