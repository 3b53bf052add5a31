"""From the faces that were found to what they show."""

from __future__ import annotations

import numpy as np

from motionveil.audit.attack import Attack
from motionveil.audit.faces import SeenFaces
from motionveil.findings import FaceFinding, FaceNaming, Measured
from motionveil.statistics import (
    Floats,
    Integers,
    bootstrap_means,
    interval_of,
    numbered,
    permutation_test,
)


def judge_faces(attack: Attack, seen: SeenFaces, *, label: str, seconds: float) -> FaceFinding:
    """Return the finding of a search for faces.

    Raises:
        MotionveilError: All clips come from one recording.
    """
    recordings = numbered([clip.group for clip in seen.clips])
    with_faces = ~np.isnan(seen.again)
    return FaceFinding(
        name=attack.name,
        label=label,
        video="veiled",
        attack=attack.model_dump(mode="json"),
        clips=len(seen.clips),
        with_faces=int(with_faces.sum()),
        original=_mean(seen.original, recordings),
        veiled=_mean(seen.veiled, recordings),
        again=_of_some(seen.again, recordings, with_faces),
        naming=_naming(seen, recordings),
        seconds=seconds,
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
        floor=float(np.bincount(labels).max() / len(labels)),
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
