"""Audits of invented answers, in which it is known what was learned."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.attack_examples import origin_of
from motionveil.audit_results import (
    Audit,
    Finding,
    ImageQuality,
    Measured,
    Recognition,
    Reconstruction,
    Retrieval,
)
from motionveil.datasets.manifest import Clip
from motionveil.evaluation.attacks.retrieve import RetrievalResult, retrieval
from motionveil.evaluation.suites import quick
from motionveil.evaluation.variants import Variant, recognition, strongest_of
from motionveil.results import Dataset
from motionveil.training.recipe import NetworkRecipe, Recipe, Schedule

ACTIONS = ("wave", "clap", "walk", "run", "squat", "jump")
PEOPLE = tuple(f"person {n:02d}" for n in range(1, 9))


def recipe() -> Recipe:
    schedule = Schedule(optimizer="adamw", epochs=24, batch=8, lr=0.003)
    return Recipe(
        privacy=NetworkRecipe(name="small2d"),
        action=NetworkRecipe(name="small3d"),
        validation=schedule,
    )


def attacks() -> list[Any]:
    """The quick suite."""
    return quick(recipe())


def labels_of(target: str, clips: int, classes: int) -> NDArray[np.int64]:
    """Eight clips per recording; each recording shows one person and all actions in turn."""
    if target == "action":
        return np.arange(clips) % classes
    return np.arange(clips) // 8 % classes


def answers_of(
    labels: NDArray[np.int64], classes: int, known: float, seed: int, restart: int = 0
) -> Variant:
    """Answers that are right so often; the others are random."""
    rng = np.random.default_rng(seed)
    predictions = rng.integers(0, classes, len(labels))
    right = rng.random(len(labels)) < known
    answered = np.where(right, labels, predictions)
    sure = np.where(right, rng.uniform(0.5, 0.98, len(labels)), rng.uniform(0.2, 0.5, len(labels)))
    others = ((1 - sure) / max(1, classes - 1))[:, None]
    probabilities = np.where(np.eye(classes)[answered] > 0, sure[:, None], others)
    frames = np.clip((answered == labels) * 0.8 + 0.1 * rng.random(len(labels)), 0, 1)
    surest = rng.integers(0, 15, len(labels))
    curve = tuple(np.linspace(1 / classes, max(known, 1 / classes), 12))
    return Variant(0.003, restart, "eval", 0, probabilities, frames, surest, curve)


def attacked(
    attack: Any,
    video: str,
    known: float,
    *,
    classes: Sequence[str] | None = None,
    clips: int = 192,
    label: str = "identity",
    seed: int = 0,
) -> Recognition:
    """What an attack finds that knows the label of so many clips."""
    names = classes or (ACTIONS if attack.target == "action" else PEOPLE)
    truth = labels_of(attack.target, clips, len(names))
    streams = range(len(attack.rates or (1,)) * attack.restarts)
    salt = 100 * seed + 1000 * sum(map(ord, attack.name + video))
    variants = [answers_of(truth, len(names), known, salt + k, restart=k) for k in streams]
    label = "action" if attack.target == "action" else label
    return recognition(
        origin_of(attack, video, label)
        | {"target": attack.target, "by_frame": attack.by_frame, "trained_on": 384},
        variants,
        clips=[
            Clip(f"day{n // 8:02d}/take{n % 8}.mkv", 0, 20, "wave", {}, f"day{n // 8:02d}", "x")
            for n in range(clips)
        ],
        labels=truth,
        classes=names,
    )


def searched(attack: Any, video: str, known: float, *, people: Sequence[str] = PEOPLE) -> Retrieval:
    """What a search finds in which clips of one person are more alike by so much."""
    results = []
    for half in range(2):
        rng = np.random.default_rng([half, sum(map(ord, attack.name + video))])
        who = [person for place, person in enumerate(people) if place % 2 == half]
        queries = [_clip(name, f"q{k}") for name in who for k in range(12)]
        gallery = [_clip(name, f"g{k}") for name in who for k in range(12)]
        same = np.array([[q.privacy == g.privacy for g in gallery] for q in queries])
        similarity = np.tanh(known * same + rng.normal(0, 0.5, same.shape))
        places = tuple(list(people).index(name) for name in who)
        results.append(RetrievalResult(places, tuple(queries), tuple(gallery), similarity))
    return retrieval(origin_of(attack, video, "identity"), results, people)


def _clip(person: str, take: str) -> Clip:
    path = f"{PEOPLE.index(person) if person in PEOPLE else 9}-{take}.mkv"
    return Clip(path, 0, 20, "wave", {"identity": person}, f"{person} {take}", "validation")


def computed(attack: Any, known: float) -> Reconstruction:
    """What a reconstruction finds that shows so much of the original."""
    groups = [
        ImageQuality(
            clips=clips,
            psnr=_measured(12.0 + 10 * known, 0.9),
            ssim=_measured(0.2 + 0.6 * known, 0.05),
            gmsd=_measured(0.3 - 0.2 * known, 0.02),
            recognised=_measured(chance + (0.9 - chance) * known, 0.06),
            baseline_psnr=12.4,
            baseline_ssim=0.22,
            baseline_gmsd=0.29,
            original_recognised=0.95,
            chance_level=chance,
        )
        for clips, chance in ((144, 1 / 6), (48, 0.5))
    ]
    return Reconstruction(
        **origin_of(attack, "veiled", "identity"),
        known=groups[0],
        unseen=groups[1],
        picture="reconstruction.png",
        picture_with_original="reconstruction-with-original.png",
        seconds=50.0,
    )


def _measured(value: float, reach: float) -> Measured:
    return Measured(value=value, interval=(value - reach, value + reach))


VEILED = {
    "frame": 0.35, "integrated": 0.42, "stacked": 0.3, "most-motion": 0.33, "clip": 0.5,
    "clip-integrated": 0.55, "retrieval": 0.4, "clip-retrieval": 0.5, "h264-28": 0.25,
    "persistent": 0.45, "action": 0.85, "reconstruction": 0.6,
}  # fmt: skip
"""How much each attack knows where identity leaks."""


def leaking(*, raw: bool = True, searches: bool = True, only: Sequence[str] = ()) -> Audit:
    """An audit in which identity leaks, also of people never learned from."""
    return _made(False, raw=raw, searches=searches, only=tuple(only)).model_copy(deep=True)


def at_chance_level(**changes: bool) -> Audit:
    """An audit in which nothing was learned of identity, and everything from raw video."""
    return _made(True, **changes).model_copy(deep=True)


@cache
def _made(at_chance_level: bool, **fields: Any) -> Audit:
    """Make an audit once: its intervals take a second."""
    chance = {name: 0.85 if name == "action" else 0.0 for name in VEILED}
    return audit(chance if at_chance_level else VEILED, **fields)


def audit(
    known: dict[str, float],
    *,
    raw: bool = True,
    searches: bool = True,
    rebuilt: bool = True,
    raw_known: float = 0.95,
    only: Sequence[str] = (),
    **fields: object,
) -> Audit:
    """An audit of the quick suite, in which each attack knows so much."""
    suite = [a for a in attacks() if not only or a.name in only]
    found: list[Finding] = []
    for video in ("raw", "veiled") if raw else ("veiled",):
        for attack in suite:
            knows = known[attack.name] if video == "veiled" else raw_known
            if video not in attack.videos:
                continue
            if attack.kind == "retrieve":
                found += [searched(attack, video, knows)] if searches else []
            elif attack.kind == "reconstruct":
                found += [computed(attack, knows)] if rebuilt else []
            else:
                found.append(attacked(attack, video, knows))
    return stored(found, **fields)


def stored(
    found: Sequence[Finding],
    people: Sequence[str] = PEOPLE,
    actions: Sequence[str] = ACTIONS,
    **fields: object,
) -> Audit:
    values: dict[str, object] = {
        "command": "motionveil audit runs/train actors/manifest.csv --jobs 2",
        "encoder": "/home/someone/runs/train",
        "spec": {"method": "bdq", "sigma": 1.4, "alpha": 2.0},
        "dataset": Dataset(
            name="actors",
            hash="sha256:5f3a9c0e12",
            actions=list(actions),
            privacy_label="identity",
            privacy_names=list(people),
            parts={"validation": (384, 192)},
        ),
        "split": "validation",
        "recipe": recipe().model_dump(mode="json"),
        "suite": "quick",
        "seed": 0,
        "environment": {"motionveil": "0.1", "python": "3.11.7", "torch": "2.13"},
        "findings": list(found),
        "seconds": 611.0,
    }
    made = Audit.model_validate(values | fields)
    for video, field in (("veiled", "strongest"), ("raw", "strongest_raw")):
        there = [f for f in made.of(Recognition) if (f.video, f.target) == (video, "privacy")]
        if field not in fields:
            setattr(made, field, strongest_of(there))
    return made
