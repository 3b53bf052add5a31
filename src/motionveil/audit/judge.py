"""From an attack's answers, or its searches, to what they show, with intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from motionveil.audit.attack import Answers, Attack
from motionveil.audit.leak import chosen_elsewhere, leak_in_bits, strongest
from motionveil.audit.ranking import Same, Verification, search, verify
from motionveil.audit.retrieval import Hunt
from motionveil.findings import (
    AttackFinding,
    ClipAnswer,
    Guessed,
    Judgement,
    Measured,
    RetrievalFinding,
    Search,
    Strongest,
)
from motionveil.statistics import (
    Floats,
    Integers,
    bootstrap_means,
    interval_of,
    numbered,
    permutation_test,
)

PAIR_DRAWS = 200
"""Draws of the bootstrap over pairs, of which there are many."""

_DIGITS = 6  # of stored probabilities: enough to tell apart what matters


def judge(
    attack: Attack,
    variants: Sequence[Answers],
    *,
    video: str,
    label: str,
    classes: Sequence[str],
    clips: Sequence[str],
    groups: Sequence[str],
    labels: Integers,
    trained_on: int,
    seconds: float,
) -> AttackFinding:
    """Return an attack's finding.

    The variant that counts for a clip is the one that is best, by frame, on the half of the
    recordings without it. So the best of many learning rates, restarts and ways to read BatchNorm
    is no better than it is.

    Args:
        attack: The attack.
        variants: Its answers.
        video: `"raw"` or `"veiled"`.
        label: Name of the label.
        classes: Its values.
        clips: Keys of the clips held out.
        groups: The recording or session of each.
        labels: The true classes, (clips,).
        trained_on: Number of clips learned from.
        seconds: Wall time.

    Raises:
        MotionveilError: All clips come from one recording.
    """
    recordings = numbered(groups)
    chosen = chosen_elsewhere([v.frames for v in variants], labels, recordings)
    rows = np.arange(len(labels))
    probabilities = np.stack([v.probabilities for v in variants])[chosen, rows]
    frames = np.stack([v.frames for v in variants])[chosen, rows]
    surest = np.stack([v.surest for v in variants])[chosen, rows]
    names = [name_of(variants[place]) for place in dict.fromkeys(chosen.tolist())]
    return AttackFinding(
        name=attack.name,
        target=attack.target,
        label=label,
        classes=list(classes),
        video=video,
        attack=attack.model_dump(mode="json"),
        judgement=_judgement(
            probabilities, frames, labels, recordings, len(classes), names, len(variants)
        ),
        answers=[
            ClipAnswer(
                clip=clips[row],
                recording=groups[row],
                truth=int(labels[row]),
                probabilities=[round(float(p), _DIGITS) for p in probabilities[row]],
                frames=float(frames[row]),
                surest=int(surest[row]),
            )
            for row in range(len(labels))
        ],
        trained_on=trained_on,
        names_frames=attack.names_frames,
        curve=[
            round(share, _DIGITS) for share in variants[int(np.bincount(chosen).argmax())].curve
        ],
        seconds=seconds,
    )


def _judgement(
    probabilities: Floats,
    frames: Floats,
    labels: Integers,
    recordings: Integers,
    classes: int,
    chosen: list[str],
    variants: int,
) -> Judgement:
    guesses = probabilities.argmax(axis=1)
    right = (guesses == labels).astype(np.float64)
    drawn = bootstrap_means(np.column_stack([right, frames]), recordings)
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (labels, guesses), 1)
    leak = leak_in_bits(probabilities, labels, recordings)
    return Judgement(
        clip=Measured(value=float(right.mean()), interval=interval_of(drawn[:, 0])),
        frame=Measured(value=float(frames.mean()), interval=interval_of(drawn[:, 1])),
        balanced=float(np.mean([right[labels == k].mean() for k in np.unique(labels)])),
        floor=float(np.bincount(labels).max() / len(labels)),
        p=permutation_test(guesses, labels, recordings),
        bits=Measured(value=leak.bits, interval=leak.interval),
        entropy=leak.entropy,
        chosen=chosen,
        variants=variants,
        confusion=confusion.tolist(),
    )


def strongest_of(findings: Sequence[AttackFinding]) -> Strongest | None:
    """Return the strongest attack on the privacy label of veiled video; None where there is none.

    Raises:
        MotionveilError: All clips come from one recording.
    """
    rivals = [f for f in findings if f.video == "veiled" and f.target == "privacy"]
    if not rivals:
        return None
    answers = rivals[0].answers  # all are about the same clips
    scores = [np.array([float(answer.right) for answer in rival.answers]) for rival in rivals]
    labels = np.array([answer.truth for answer in answers], np.int64)
    best = strongest(scores, labels, numbered([answer.recording for answer in answers]))
    return Strongest(
        accuracy=Measured(value=best.accuracy, interval=best.interval),
        chosen=[rivals[place].name for place in best.chosen],
        naive=best.naive,
    )


def name_of(variant: Answers) -> str:
    """Return what a report calls a variant, such as `lr 0.003, restart 1, BatchNorm batch`."""
    cuts = f", {variant.cuts + 1} cuts" if variant.cuts else ""
    return (
        f"lr {variant.rate:g}, restart {variant.restart + 1}, BatchNorm {variant.batchnorm}{cuts}"
    )


def judge_searches(
    attack: Attack,
    hunts: Sequence[Hunt],
    *,
    video: str,
    label: str,
    classes: Sequence[str],
    seconds: float,
) -> RetrievalFinding:
    """Return the finding of a retrieval.

    Intervals are of a bootstrap over the queries' recordings; the gallery and the people stay. The
    figures of the ROC curve are means over the two halves of the people, whose similarities come
    from two networks and have no common scale.

    Args:
        attack: The attack.
        hunts: The searches for each half of the people.
        video: `"raw"` or `"veiled"`.
        label: Name of the label.
        classes: Its values.
        seconds: Wall time.

    Raises:
        MotionveilError: All queries come from one recording.
    """
    shown = [_persons(hunt, label, classes) for hunt in hunts]
    same = [queries[:, None] == gallery for queries, gallery in shown]
    found = [search(hunt.similarity, who) for hunt, who in zip(hunts, same, strict=True)]
    queries = [clip for hunt in hunts for clip in hunt.queries]
    recordings = numbered([clip.group for clip in queries])
    truth = np.concatenate([who for who, _ in shown])
    halves = np.concatenate([np.full(len(h.queries), place) for place, h in enumerate(hunts)])
    nearest = np.concatenate(
        [_nearest(h.similarity, s, g) for h, s, (_, g) in zip(hunts, same, shown, strict=True)]
    )
    first = np.concatenate([f.first for f in found])
    precision = np.concatenate([f.precision for f in found])
    drawn = bootstrap_means(np.column_stack([first, precision]), recordings)
    pairs = [verify(h.similarity, s) for h, s in zip(hunts, same, strict=True)]
    areas, errors = _drawn_pairs(hunts, same)
    return RetrievalFinding(
        name=attack.name,
        label=label,
        classes=list(classes),
        video=video,
        attack=attack.model_dump(mode="json"),
        rank_1=_guessed(float(first.mean()), drawn[:, 0], _mean([f.guessed_first for f in found])),
        mean_precision=_guessed(
            float(precision.mean()), drawn[:, 1], _mean([f.guessed_precision for f in found])
        ),
        area=_guessed(float(np.mean([p.area for p in pairs])), areas, 0.5),
        equal_error=_guessed(float(np.mean([p.equal_error for p in pairs])), errors, 0.5),
        # A query can only find people of its own half.
        p=permutation_test(nearest, truth, recordings, strata=halves),
        curve=_curve(pairs),
        searches=[
            Search(
                clip=clip.key,
                recording=clip.group,
                truth=int(truth[row]),
                found=int(nearest[row]),
                precision=float(precision[row]),
            )
            for row, clip in enumerate(queries)
        ],
        gallery=[len(hunt.gallery) for hunt in hunts],
        seconds=seconds,
    )


def _persons(hunt: Hunt, label: str, classes: Sequence[str]) -> tuple[Integers, Integers]:
    """Return who each query and each clip of the gallery shows."""
    places = {name: place for place, name in enumerate(classes)}
    shown = [
        np.array([places[clip.privacy[label]] for clip in clips], np.int64)
        for clips in (hunt.queries, hunt.gallery)
    ]
    return shown[0], shown[1]


def _nearest(similarity: Floats, same: Same, gallery: Integers) -> Integers:
    """Return who the most similar clip shows; of equally similar ones, somebody else."""
    return np.array(
        [gallery[np.lexsort((s, -row))[0]] for row, s in zip(similarity, same, strict=True)],
        np.int64,
    )


def _drawn_pairs(hunts: Sequence[Hunt], same: Sequence[Same]) -> tuple[Floats, Floats]:
    """Return area and equal error in draws of the queries' recordings, means over the halves."""
    areas, errors = np.empty((2, PAIR_DRAWS, len(hunts)))
    for half, (hunt, who) in enumerate(zip(hunts, same, strict=True)):
        recordings = numbered([clip.group for clip in hunt.queries])
        rng = np.random.default_rng(half)
        for draw in range(PAIR_DRAWS):
            taken = rng.integers(0, recordings.max() + 1, recordings.max() + 1)
            rows = np.concatenate([np.flatnonzero(recordings == place) for place in taken])
            pairs = verify(hunt.similarity[rows], who[rows])
            areas[draw, half], errors[draw, half] = pairs.area, pairs.equal_error
    return areas.mean(axis=1), errors.mean(axis=1)


def _guessed(value: float, drawn: Floats, guessed: float) -> Guessed:
    return Guessed(value=value, interval=interval_of(drawn), guessed=guessed)


def _mean(parts: Sequence[Floats]) -> float:
    return float(np.concatenate(parts).mean())


def _curve(pairs: Sequence[Verification]) -> list[tuple[float, float]]:
    """Return the mean of the halves' ROC curves at a hundred false alarm rates."""
    at = np.linspace(0, 1, 101)
    heights = np.mean([np.interp(at, p.false_alarms, p.detections) for p in pairs], axis=0)
    return [(round(float(x), 4), round(float(y), 4)) for x, y in zip(at, heights, strict=True)]
