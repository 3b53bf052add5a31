"""Faces: a face detector and a face recogniser look for faces in the veiled video.

They look at the video at the size at which it was filmed, not at the small clips that the other
attackers learn from: a face of ten pixels is found in neither. The attacker has images of everybody
from other, original clips, and is given the faces' positions.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from motionveil.audit_results import FaceNaming, FaceSearch, Measured
from motionveil.datasets.cache import Frames
from motionveil.datasets.manifest import Clip
from motionveil.errors import MotionveilError
from motionveil.evaluation.attack import Attack
from motionveil.evaluation.data import AttackData, Video, Window
from motionveil.networks.face_embedding import FaceDescriber, face_chips, load_face_describer
from motionveil.statistics import (
    Floats,
    Integers,
    bootstrap_means,
    interval_of,
    numbered,
    permutation_test,
)

Film = Callable[[Clip], Window]
VeilWindow = Callable[[Clip, Window], Frames]
Boxes = NDArray[np.float32]
Detect = Callable[[Frames], Boxes]
"""From a frame, uint8 (H, W, 3), to the boxes of its faces, (N, 4): x, y, width, height."""

KNOWN = 8
"""Clips of each class whose original the attacker looks at, at most."""

MOMENTS = 4
"""Frames of a clip that are looked at."""

SAME_PLACE = 0.3
"""Intersection over union from which on two boxes are the same face."""


class Faces(Attack):
    """Looks for faces at the size at which the video was filmed.

    Attributes:
        detector: YuNet's ONNX file.
        recogniser: File of dlib's network, which says whose faces they are; empty for none.
    """

    description: ClassVar[str] = (
        "A face detector looks for faces in single frames at full size; a face recogniser compares"
        " them, at the places of the original's faces, with faces from original clips of everybody."
    )
    kind: str = "faces"
    detector: str
    recogniser: str = ""

    @property
    def videos(self) -> tuple[Video, ...]:
        """What it is carried out on; it looks at the original frames too."""
        return ("veiled",)

    def tools(self) -> tuple[Detect, FaceDescriber | None]:
        """Return the detector and the recogniser.

        Raises:
            MotionveilError: A file cannot be read or holds another network, or the extra `faces` is
                not installed.
        """
        describe = load_face_describer(self.recogniser) if self.recogniser else None
        return face_detector(self.detector), describe

    def run(self, data: AttackData) -> FaceSearch:
        """Look for faces, and name them; see `Attack.run`."""
        began = time.monotonic()
        assert data.audit is not None
        manifest = data.audit.manifest
        detect, describe = self.tools()
        seen = find_faces(
            manifest.part(data.split, training=False),
            some_of_each(manifest.part(data.split, training=True), data.label),
            manifest.names_of(data.label),
            data.label,
            film=data.audit.window,
            veil=data.audit.veil_window,
            detect=detect,
            describe=describe,
        )
        found = face_search(self.origin(data), seen)
        return found.model_copy(update={"seconds": time.monotonic() - began})


@dataclass(frozen=True)
class SeenFaces:
    """What was found in the clips held out.

    Attributes:
        clips: The clips.
        original, veiled: Share of each clip's moments with a face in them, (clips,).
        redetected: Share of the faces of a clip's original frames that were found at their places
            in the veiled ones, (clips,); not a number where there is no face.
        labels: The true classes, (clips,).
        named_original, named_veiled: Whose faces a clip's were nearest to, as classes, -1 where
            there is no face in the original frames, (clips,); empty without a network for faces.
    """

    clips: tuple[Clip, ...]
    original: Floats
    veiled: Floats
    redetected: Floats
    labels: Integers
    named_original: Integers
    named_veiled: Integers


@dataclass(frozen=True)
class _ClipFaces:
    """A clip's moments: frames, boxes of the original's faces, and of the veiled one's."""

    original: list[Frames]
    veiled: list[Frames]
    faces: list[Boxes]
    veiled_faces: list[Boxes]


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
    detect: Detect,
    describe: FaceDescriber | None = None,
) -> SeenFaces:
    """Look for faces in clips, and whose they are.

    Args:
        known: Clips of which the attacker has the original.
        veil: From a clip and these to its veiled frames, the last ones of as many moments.
        describe: Describes them; None for not.

    Raises:
        MotionveilError: A video cannot be read, or nothing is left of a clip.
    """
    found = [_faces_of(clip, film, veil, detect) for clip in held_out]
    classes = np.array([names.index(clip.privacy[label]) for clip in held_out], np.int64)
    named = (np.empty(0, np.int64), np.empty(0, np.int64))
    if describe is not None:
        gallery, owners = _gallery(known, names, label, film, detect, describe)
        named = (
            _named([(one.original, one.faces) for one in found], gallery, owners, describe),
            _named([(one.veiled, one.faces) for one in found], gallery, owners, describe),
        )
    return SeenFaces(
        tuple(held_out),
        np.array([_share(one.faces) for one in found]),
        np.array([_share(one.veiled_faces) for one in found]),
        np.array([_redetected(one) for one in found]),
        classes,
        *named,
    )


def _faces_of(
    clip: Clip,
    film: Film,
    veil: VeilWindow,
    detect: Detect,
) -> _ClipFaces:
    window = film(clip)
    filmed, veiled = window.frames, veil(clip, window)
    if not len(veiled):
        raise MotionveilError(f"{clip.key}: nothing is left of {len(filmed)} frames")
    original = filmed[len(filmed) - len(veiled) :]
    moments = _moments(len(veiled))
    frames = [original[m] for m in moments], [veiled[m] for m in moments]
    return _ClipFaces(*frames, *([detect(frame) for frame in of] for of in frames))


def _moments(frames: int) -> list[int]:
    spread = np.linspace(0, frames - 1, min(frames, MOMENTS)).round()
    return [int(place) for place in spread]


def _share(found: Sequence[Boxes]) -> float:
    return float(np.mean([len(boxes) > 0 for boxes in found]))


def _redetected(one: _ClipFaces) -> float:
    """Return the share of the original's faces that were found at their places when veiled."""
    found = [
        bool(len(after)) and float(_overlaps(box, after).max()) >= SAME_PLACE
        for before, after in zip(one.faces, one.veiled_faces, strict=True)
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
    found: Sequence[tuple[list[Frames], list[Boxes]]],
    gallery: Floats,
    owners: Integers,
    describe: FaceDescriber,
) -> Integers:
    """Return for each clip whose face is nearest to most of its faces; -1 where there is none."""
    named = []
    for frames, faces in found:
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


def face_search(origin: Mapping[str, Any], seen: SeenFaces) -> FaceSearch:
    """Return what was found in the clips, with intervals.

    Raises:
        MotionveilError: All clips come from one recording.
    """
    recordings = numbered([clip.group for clip in seen.clips])
    with_faces = ~np.isnan(seen.redetected)
    return FaceSearch(
        **origin,
        clips=len(seen.clips),
        with_faces=int(with_faces.sum()),
        original=_mean(seen.original, recordings),
        veiled=_mean(seen.veiled, recordings),
        redetected=_of_some(seen.redetected, recordings, with_faces),
        naming=_naming(seen, recordings),
        seconds=0.0,
    )


def _naming(seen: SeenFaces, recordings: Integers) -> FaceNaming | None:
    """Return whose faces they were taken for; None without a network, or without faces."""
    if not len(seen.named_original):
        return None
    asked = seen.named_original >= 0
    if not _several(recordings, asked):
        return None
    labels = seen.labels[asked]
    original, veiled = (
        _of_some((named == seen.labels).astype(np.float64), recordings, asked)
        for named in (seen.named_original, seen.named_veiled)
    )
    assert original is not None
    assert veiled is not None
    return FaceNaming(
        clips=len(labels),
        original=original,
        veiled=veiled,
        chance_level=float(np.bincount(labels).max() / len(labels)),
        p=permutation_test(seen.named_veiled[asked], labels, numbered(recordings[asked].tolist())),
    )


def _mean(values: Floats, recordings: Integers) -> Measured:
    drawn = bootstrap_means(values[:, None], recordings)[:, 0]
    return Measured(value=float(values.mean()), interval=interval_of(drawn))


def _of_some(values: Floats, recordings: Integers, which: np.ndarray) -> Measured | None:
    """Return the mean over some clips; None where they come from fewer than two recordings."""
    if not _several(recordings, which):
        return None
    return _mean(values[which], numbered(recordings[which].tolist()))


def _several(recordings: Integers, which: np.ndarray) -> bool:
    return len(np.unique(recordings[which])) > 1
