"""What the answers of an attack's variants show: which of them counts, and its scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from motionveil.audit_results import (
    ATTRIBUTES,
    AttributeAnswer,
    AttributeRecognition,
    ClipAnswer,
    Measured,
    Recognition,
    RecognitionScores,
    Strongest,
    measured_precision,
)
from motionveil.datasets.manifest import Clip
from motionveil.evaluation.mutual_information import (
    chosen_by_precision,
    chosen_elsewhere,
    information_in_bits,
    kinds_of,
    strongest,
)
from motionveil.results import AttributeScores, Training, score_attributes
from motionveil.statistics import (
    Floats,
    Integers,
    bootstrap_means,
    interval_of,
    mean_average_precision,
    numbered,
    permutation_p,
    permutation_test,
)
from motionveil.training.heads import Head

_DIGITS = 6  # of stored probabilities


@dataclass(frozen=True)
class Variant:
    """What one variant of an attack answers for the clips held out.

    Attributes:
        rate: Learning rate it was trained with.
        restart: Number of the restart, from 0.
        batchnorm: `"eval"`: statistics of the training; `"reestimated"`: of all clips held out;
            `"batch"`: of each batch of them.
        cuts: Number of cuts averaged over besides the centre.
        probabilities: Means over a clip's frames and cuts, (clips, outputs).
        frames: Share of each clip's frames that the answer was right on, (clips,); of each
            attribute, (clips, attributes).
        surest: The frame of each clip's centre cut on which the true class was likeliest, (clips,).
        curve: Accuracy in training, on the clips as drawn, for each epoch.
        training: How it was trained.
        answers: Of attributes, those of each clip's centre cut by frame, (clips, frames,
            attributes).
    """

    rate: float
    restart: int
    batchnorm: str
    cuts: int
    probabilities: Floats
    frames: Floats
    surest: Integers
    curve: tuple[float, ...] = ()
    training: Training | None = None
    answers: Floats | None = None

    @property
    def name(self) -> str:
        """What a report calls it, such as `lr 0.003, restart 1, BatchNorm batch`."""
        cuts = f", {self.cuts + 1} cuts" if self.cuts else ""
        return f"lr {self.rate:g}, restart {self.restart + 1}, BatchNorm {self.batchnorm}{cuts}"


def variant_of(
    cuts: list[Floats], labels: Integers, head: Head, rate: float, restart: int, mode: str
) -> Variant:
    """Pool the probabilities of several cuts of the clips, each (clips, frames, outputs)."""
    right = [head.right(cut, labels).mean(axis=1) for cut in cuts]
    clips, one_class = np.arange(len(labels)), labels.ndim == 1
    return Variant(
        rate=rate,
        restart=restart,
        batchnorm=mode,
        cuts=len(cuts) - 1,
        probabilities=np.mean([cut.mean(axis=1) for cut in cuts], axis=0),
        frames=np.mean(right, axis=0),
        surest=cuts[0][clips, :, labels].argmax(axis=1) if one_class else np.zeros_like(clips),
        answers=None if one_class else cuts[0],
    )


def joined_variant(parts: Sequence[Variant]) -> Variant:
    """Return one variant's answers for the clips of both halves."""
    answers = [part.answers for part in parts if part.answers is not None]
    return replace(
        parts[0],
        answers=np.concatenate(answers) if answers else None,
        probabilities=np.concatenate([part.probabilities for part in parts]),
        frames=np.concatenate([part.frames for part in parts]),
        surest=np.concatenate([part.surest for part in parts]),
    )


def recognition(
    origin: Mapping[str, Any],
    variants: Sequence[Variant],
    *,
    clips: Sequence[Clip],
    labels: Integers,
    classes: Sequence[str],
) -> Recognition:
    """Return what the variants' answers show.

    The variant that counts for a clip is the one that is best, by frame, on the half of the
    recordings without it; so the choice among many gives no advantage.

    Args:
        origin: Fields of the finding that say where it comes from.
        labels: Their true classes, (clips,).

    Raises:
        MotionveilError: All clips come from one recording.
    """
    recordings = numbered([clip.group for clip in clips])
    chosen = chosen_elsewhere([v.frames for v in variants], labels, recordings)
    rows = np.arange(len(labels))
    probabilities = np.stack([v.probabilities for v in variants])[chosen, rows]
    frames = np.stack([v.frames for v in variants])[chosen, rows]
    surest = np.stack([v.surest for v in variants])[chosen, rows]
    names = [variants[place].name for place in dict.fromkeys(chosen.tolist())]
    usual = variants[int(np.bincount(chosen).argmax())]
    return Recognition(
        **origin,
        classes=list(classes),
        scores=_scores(probabilities, frames, labels, recordings, names, len(variants)),
        answers=[
            ClipAnswer(
                clip=clip.key,
                recording=clip.group,
                truth=int(labels[row]),
                probabilities=[round(float(p), _DIGITS) for p in probabilities[row]],
                frames=float(frames[row]),
                surest=int(surest[row]),
            )
            for row, clip in enumerate(clips)
        ],
        curve=[round(share, _DIGITS) for share in usual.curve],
        trainings=[] if usual.training is None else [usual.training],
        seconds=0.0,
    )


def _scores(
    probabilities: Floats,
    frames: Floats,
    labels: Integers,
    recordings: Integers,
    chosen: list[str],
    variants: int,
) -> RecognitionScores:
    predictions = probabilities.argmax(axis=1)
    right = (predictions == labels).astype(np.float64)
    drawn = bootstrap_means(np.column_stack([right, frames]), recordings)
    classes = probabilities.shape[1]
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (labels, predictions), 1)
    information = information_in_bits(probabilities, labels, recordings)
    return RecognitionScores(
        clip=Measured(value=float(right.mean()), interval=interval_of(drawn[:, 0])),
        frame=Measured(value=float(frames.mean()), interval=interval_of(drawn[:, 1])),
        balanced=float(np.mean([right[labels == k].mean() for k in np.unique(labels)])),
        chance_level=float(np.bincount(labels).max() / len(labels)),
        p=permutation_test(predictions, labels, recordings),
        bits=Measured(value=information.bits, interval=information.interval),
        entropy=information.entropy,
        chosen=chosen,
        variants=variants,
        confusion=confusion.tolist(),
    )


def attribute_recognition(
    origin: Mapping[str, Any],
    variants: Sequence[Variant],
    *,
    clips: Sequence[Clip],
    labels: Integers,
    names: Sequence[str],
) -> AttributeRecognition:
    """Return what the variants' answers about attributes show.

    The variant that counts for a clip is the one of the highest cMAP by clip on the half of the
    recordings without it. Scores by frame are those of each clip's centre cut.

    Args:
        origin: As in `recognition`.
        labels: 1 where an attribute is there, (clips, attributes).
        names: The attributes.

    Raises:
        MotionveilError: All clips come from one recording.
    """
    recordings = numbered([clip.group for clip in clips])
    chosen = chosen_by_precision([v.probabilities for v in variants], labels, recordings)
    taken = [variants[place] for place in chosen]
    answers = [v.answers[row] for row, v in enumerate(taken) if v.answers is not None]
    by_clip = np.stack([v.probabilities[row] for row, v in enumerate(taken)])
    usual = variants[int(np.bincount(chosen).argmax())]
    kinds = kinds_of(labels)
    combinations = np.unique(labels, axis=0)
    return AttributeRecognition(
        **(dict(origin) | {"kind": ATTRIBUTES}),
        classes=list(names),
        scores=score_attributes(names, answers, labels, recordings)
        | {"clip": AttributeScores.of(names, by_clip, labels, recordings)},
        answers=[
            AttributeAnswer(
                clip=clip.key,
                recording=clip.group,
                truth=labels[row].tolist(),
                probabilities=by_clip[row].round(_DIGITS).tolist(),
                frames=taken[row].frames[row].round(_DIGITS).tolist(),
            )
            for row, clip in enumerate(clips)
        ],
        chosen=[variants[place].name for place in dict.fromkeys(chosen.tolist())],
        p=permutation_p(
            lambda permuted: mean_average_precision(by_clip, combinations[permuted]),
            kinds,
            recordings,
        ),
        trainings=[] if usual.training is None else [usual.training],
        seconds=0.0,
    )


def strongest_of(
    attacks: Sequence[Recognition] | Sequence[AttributeRecognition],
) -> Strongest | None:
    """Return the strongest of several attacks on the same clips; None where there is none.

    Of attacks on several attributes at once the one of the highest cMAP by clip.

    Raises:
        MotionveilError: All clips come from one recording.
    """
    several = [found for found in attacks if isinstance(found, AttributeRecognition)]
    if several:
        return _strongest_on_attributes(several)
    one = [found for found in attacks if isinstance(found, Recognition)]
    return _strongest_on_label(one) if one else None


def _strongest_on_attributes(attacks: Sequence[AttributeRecognition]) -> Strongest:
    first = attacks[0]
    labels = np.array([answer.truth for answer in first.answers], np.int64)
    recordings = numbered([answer.recording for answer in first.answers])
    answers = [np.array([a.probabilities for a in found.answers]) for found in attacks]
    chosen = chosen_by_precision(answers, labels, recordings)
    joined = np.stack(answers)[chosen, np.arange(len(chosen))]
    scores = AttributeScores.of(first.classes, joined, labels, recordings)
    return Strongest(
        accuracy=measured_precision(scores),
        chosen=[attacks[place].name for place in dict.fromkeys(chosen.tolist())],
        naive=max(mean_average_precision(of_one, labels) for of_one in answers),
        attributes=scores,
    )


def _strongest_on_label(attacks: Sequence[Recognition]) -> Strongest:
    answers = attacks[0].answers
    scores = [np.array([float(answer.right) for answer in found.answers]) for found in attacks]
    labels = np.array([answer.truth for answer in answers], np.int64)
    best = strongest(scores, labels, numbered([answer.recording for answer in answers]))
    return Strongest(
        accuracy=Measured(value=best.accuracy, interval=best.interval),
        chosen=[attacks[place].name for place in best.chosen],
        naive=best.naive,
    )
