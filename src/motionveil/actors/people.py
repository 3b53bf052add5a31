"""Synthetic people: build, clothes and way of moving."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]
"""RGB in [0, 1]."""

PATTERNS = ("plain", "hoops", "stripes", "checks", "dots")
"""What cloth can look like; hoops run around a limb, stripes along it."""


@dataclass(frozen=True)
class Cloth:
    """A piece of clothing: two colours and how they are mixed.

    Attributes:
        base, accent: The two colours.
        pattern: One of `PATTERNS`.
        period: Length of one repetition, in body heights.
    """

    base: Colour
    accent: Colour
    pattern: str
    period: float


@dataclass(frozen=True)
class Build:
    """Lengths in units of an average body height."""

    height: float
    shoulder: float
    hip: float
    torso: float
    arm: float
    leg: float
    head: float
    girth: float


@dataclass(frozen=True)
class Manner:
    """A personal way of moving; all numbers are factors about 1 or angles in radians.

    Attributes:
        amplitude: How far movements reach.
        tempo: How fast they are.
        sway: Sideways swing of the torso.
        lean: Forward lean of the torso.
        elbow: Bend of the elbows.
        stance: Angle between the legs when standing.
        asymmetry: By how much the left side does less than the right.
    """

    amplitude: float
    tempo: float
    sway: float
    lean: float
    elbow: float
    stance: float
    asymmetry: float


@dataclass(frozen=True)
class Person:
    """One identity."""

    build: Build
    manner: Manner
    shirt: Cloth
    trousers: Cloth
    shoes: Colour
    skin: Colour
    hair: Colour
    long_hair: bool
    long_sleeves: bool
    shorts: bool

    @property
    def attributes(self) -> dict[str, str]:
        """What can be said of the person in words: attributes, each `yes` or `no`."""
        found = {
            "tall": self.build.height > 1,
            "long_hair": self.long_hair,
            "long_sleeves": self.long_sleeves,
            "shorts": self.shorts,
        }
        return {name: "yes" if there else "no" for name, there in found.items()}


def make_people(count: int, seed: int) -> list[Person]:
    """Return `count` people who differ in everything; the same for the same seed.

    Colours are spread around the colour circle and then shuffled, so that no two people are dressed
    alike by accident.
    """
    rng = np.random.default_rng([seed, 0])
    shirt_hues = _spread(count, rng)
    trouser_hues = _spread(count, rng)
    heights = np.linspace(0.88, 1.1, count)[rng.permutation(count)]
    girths = np.linspace(0.82, 1.3, count)[rng.permutation(count)]
    return [
        _make_person(rng, number, shirt_hues[number], trouser_hues[number], height, girth)
        for number, (height, girth) in enumerate(zip(heights, girths, strict=True))
    ]


def _spread(count: int, rng: np.random.Generator) -> np.ndarray:
    return ((rng.permutation(count) + rng.uniform(-0.25, 0.25, count)) / count) % 1.0


def _make_person(
    rng: np.random.Generator,
    number: int,
    shirt_hue: float,
    trouser_hue: float,
    height: float,
    girth: float,
) -> Person:
    build = Build(
        height=float(height),
        shoulder=float(rng.uniform(0.19, 0.26)),
        hip=float(rng.uniform(0.11, 0.16)),
        torso=float(rng.uniform(0.28, 0.33)),
        arm=float(rng.uniform(0.31, 0.37)),
        leg=float(rng.uniform(0.44, 0.5)),
        head=float(rng.uniform(0.062, 0.08)),
        girth=float(girth),
    )
    manner = Manner(
        amplitude=float(rng.uniform(0.85, 1.1)),
        tempo=float(rng.uniform(0.85, 1.15)),
        sway=float(rng.uniform(0.0, 0.12)),
        lean=float(rng.uniform(-0.04, 0.12)),
        elbow=float(rng.uniform(0.05, 0.6)),
        stance=float(rng.uniform(0.03, 0.16)),
        asymmetry=float(rng.uniform(0.0, 0.25)),
    )
    skin_tone = rng.uniform(0.0, 1.0)
    return Person(
        build=build,
        manner=manner,
        shirt=_cloth(rng, shirt_hue, PATTERNS[number % len(PATTERNS)]),
        trousers=_cloth(rng, trouser_hue, PATTERNS[int(rng.integers(0, 3)) if number % 2 else 0]),
        shoes=_hsv(rng.uniform(), 0.5, rng.choice([0.15, 0.9])),
        skin=(0.95 - 0.5 * skin_tone, 0.78 - 0.5 * skin_tone, 0.66 - 0.46 * skin_tone),
        hair=_hsv(rng.uniform(0.02, 0.14), rng.uniform(0.2, 0.8), rng.choice([0.1, 0.35, 0.8])),
        long_hair=bool(rng.integers(0, 2)),
        long_sleeves=bool(rng.integers(0, 2)),
        shorts=bool(rng.integers(0, 2)),
    )


def _cloth(rng: np.random.Generator, hue: float, pattern: str) -> Cloth:
    light = rng.uniform() < 0.5
    base = _hsv(hue, rng.uniform(0.55, 0.95), 0.9 if light else 0.4)
    accent = _hsv(hue + rng.uniform(0.3, 0.7), rng.uniform(0.3, 0.9), 0.25 if light else 0.95)
    return Cloth(base, accent, pattern, period=float(rng.uniform(0.07, 0.12)))


def _hsv(hue: float, saturation: float, value: float) -> Colour:
    return colorsys.hsv_to_rgb(float(hue) % 1.0, float(saturation), float(value))
