"""From an attack's answers to what they show, with intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from motionveil.audit.attack import Answers, Attack
from motionveil.audit.leak import chosen_elsewhere, leak_in_bits
from motionveil.findings import AttackFinding, ClipAnswer, Judgement, Measured
from motionveil.statistics import (
    Floats,
    Integers,
    bootstrap_means,
    interval_of,
    numbered,
    permutation_test,
)

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


def name_of(variant: Answers) -> str:
    """Return what a report calls a variant, such as `lr 0.003, restart 1, BatchNorm batch`."""
    cuts = f", {variant.cuts + 1} cuts" if variant.cuts else ""
    return (
        f"lr {variant.rate:g}, restart {variant.restart + 1}, BatchNorm {variant.batchnorm}{cuts}"
    )
