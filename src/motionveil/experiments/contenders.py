"""What a comparison compares: methods, how strong each is, and the names they go by."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

from motionveil.errors import MotionveilError
from motionveil.settings import STRENGTHS, Stages
from motionveil.spec import named_spec
from motionveil.training.recipe import Recipe

FACE_BLUR = "face-blur"
UNTRAINED = "bdq-untrained"
ADVERSARIAL = ("bdq", "unet")
"""Methods that are trained against an adversary: their strength is alpha."""

MODULES: tuple[Stages, ...] = tuple(s for s in get_args(Stages) if s != "BDQ")
"""The combinations of BDQ's modules that lack one, in the paper's order."""

VARIANTS = (
    "bdq-range-clip",
    "bdq-range-batch",
    "bdq-levels-3",
    "bdq-levels-7",
    "bdq-levels-31",
    "bdq-kernel-3",
    "bdq-kernel-9",
    "bdq-sigma-fixed",
    "bdq-channels",
)
"""Changes to BDQ that the paper does not ask about, each trained as BDQ is.

Normalisation by clip or batch; 3, 7 or 31 boundaries; windows of 3 or 9 pixels; sigma kept at 1; a
sigma and boundaries for each colour channel.
"""

HARD = "bdq-hard"
"""The trained BDQ with hard steps at test time."""


@dataclass(frozen=True)
class Contender:
    """One row of a comparison.

    Attributes:
        method: What the row is called: `bdq`, `unet`, `downsample-28`, `bdq-BD`, ...
        alpha: The adversarial weight that the encoder is trained with; None where there is none.
    """

    method: str
    alpha: float | None = None

    @property
    def family(self) -> str:
        """The method without its strength: `downsample` of `downsample-28`."""
        head, dash, _ = self.method.rpartition("-")
        return head if dash and head in STRENGTHS else self.method

    @property
    def folder(self) -> str:
        """Name of the folder of its run: `bdq-alpha2`, `downsample-28`."""
        return self.method if self.alpha is None else f"{self.method}-alpha{self.alpha:g}"


def families() -> tuple[str, ...]:
    """Return what `--methods` knows."""
    return ("raw", UNTRAINED, *ADVERSARIAL, *STRENGTHS, FACE_BLUR)


def usual(recipe: Recipe, alphas: Iterable[float] | None = None) -> list[Contender]:
    """Return raw video, untrained BDQ, and BDQ with alphas: 0 and the recipe's if None is given."""
    chosen = alphas or sorted({0.0, recipe.alpha})
    return [Contender("raw"), Contender(UNTRAINED), *(Contender("bdq", _alpha(a)) for a in chosen)]


def ablation(
    recipe: Recipe, alphas: Iterable[float] = (), variants: Iterable[str] = ()
) -> list[Contender]:
    """Return raw video, BDQ's modules alone and together, BDQ with soft and hard steps, and more.

    Args:
        recipe: Gives the alpha of the encoder that is taken apart.
        alphas: Weights to train BDQ with besides.
        variants: Of `VARIANTS`.

    Raises:
        MotionveilError: An alpha is out of range.
    """
    found = [Contender("raw"), *(Contender(f"bdq-{stages}") for stages in MODULES)]
    found += [Contender("bdq", _alpha(alpha)) for alpha in (recipe.alpha, *alphas)]
    found += [Contender(HARD), *(Contender(variant) for variant in variants)]
    return list(dict.fromkeys(found))


def read_variants(words: Sequence[str]) -> list[str]:
    """Read names of variants, with or without `bdq-`; `all` stands for every one.

    Raises:
        MotionveilError: There is no such variant; names the nearest.
    """
    found: list[str] = []
    for word in words:
        name = word if word.startswith("bdq-") else f"bdq-{word}"
        if word == "all":
            found += VARIANTS
        elif name in VARIANTS:
            found.append(name)
        else:
            short = [variant.removeprefix("bdq-") for variant in VARIANTS]
            near = difflib.get_close_matches(word, short, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise MotionveilError(f"no variant {word!r}; there are {', '.join(short)}{hint}")
    return found


def read_contenders(words: Sequence[str], recipe: Recipe) -> list[Contender]:
    """Read `METHOD` or `METHOD:STRENGTH,STRENGTH...` such as `raw`, `bdq:0,2`, `downsample:28,14`.

    Without strengths a method has its usual ones, see `usual_strengths`; `all` stands for every
    method but `face-blur`, which needs a detector. A complete name such as `downsample-28` will do
    too.

    Args:
        words: What was typed.
        recipe: Gives the usual strengths.

    Returns:
        Contenders in the order given, each once.

    Raises:
        MotionveilError: A method is unknown (names the nearest) or a strength is out of range.
    """
    spelled: list[str] = []
    for word in words:
        spelled += [f for f in families() if f != FACE_BLUR] if word == "all" else [word]
    found = [contender for word in spelled for contender in _read(word, recipe)]
    return list(dict.fromkeys(found))


def _read(word: str, recipe: Recipe) -> list[Contender]:
    family, colon, listed = word.partition(":")
    if not colon and named_spec(family) is not None:
        return [Contender(family)]
    if family not in families():
        near = difflib.get_close_matches(family, families(), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise MotionveilError(f"no method {family!r}; there are {', '.join(families())}{hint}")
    has_strength = family in STRENGTHS or family in ADVERSARIAL
    if colon and not has_strength:
        raise MotionveilError(f"{word}: {family} has no strengths")
    if not has_strength:
        return [Contender(family)]
    strengths = [_number(word, text) for text in listed.split(",")] if colon else None
    return of_strengths(family, strengths or usual_strengths(family, recipe))


def of_strengths(family: str, strengths: Iterable[float]) -> list[Contender]:
    """Return a contender for each strength of a method.

    Raises:
        MotionveilError: A strength is out of range.
    """
    if family in ADVERSARIAL:
        return [Contender(family, _alpha(strength)) for strength in strengths]
    found = [f"{family}-{strength:g}" for strength in strengths]
    for name in found:
        named_spec(name.replace("ryoo", "downsample"))  # which has the same range
    return [Contender(name) for name in found]


def usual_strengths(family: str, recipe: Recipe) -> list[float]:
    """Return how strong a method is by default.

    Down-sampling: the paper's sides of 112, 56, 28, 14, 7 and 4 of 224, as shares of the recipe's.
    Event thresholds include the paper's 2.4. Trained methods: alpha 0 and the recipe's.
    """
    sides = [max(1, round(recipe.size / share)) for share in (2, 4, 8, 16, 32, 56)]
    usual: dict[str, list[float]] = {
        "downsample": list(dict.fromkeys(sides)),
        "ryoo": list(dict.fromkeys(sides)),
        "blur": [1, 2, 4, 8],
        "pixelate": [4, 8, 16],
        "dvs": [0.1, 0.2, 0.4, 0.8, 2.4],
    }
    return usual.get(family) or sorted({0.0, recipe.alpha})


def _alpha(value: float) -> float:
    if not 0 <= value < math.inf:
        raise MotionveilError(f"alpha {value:g}: the weight must be 0 or more, and finite")
    return float(value)


def _number(word: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise MotionveilError(f"{word}: {text!r} is no number") from None
