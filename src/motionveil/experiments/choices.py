"""Which methods a comparison compares, and how strong each is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import get_args

from motionveil.methods import Choice, method, method_names, parse_choices, with_strengths
from motionveil.methods.bdq import Modules
from motionveil.training.recipe import Recipe

MODULES = tuple(modules for modules in get_args(Modules) if modules != "BDQ")
"""The combinations of BDQ's modules that lack one, in the paper's order."""

VARIANTS = (
    "range_mode=clip",
    "range_mode=batch",
    "levels=3",
    "levels=7",
    "levels=31",
    "kernel_size=3",
    "kernel_size=9",
    "learn_sigma=false",
    "channels=3",
)
"""Settings of BDQ that the paper does not ask about, each trained as BDQ is."""


def default_choices(recipe: Recipe, alphas: Iterable[float] | None = None) -> list[Choice]:
    """Return raw video, untrained BDQ, and BDQ with alphas: 0 and the recipe's if None is given.

    Raises:
        MotionveilError: An alpha is out of range.
    """
    return read_choices(["raw", "bdq-untrained", "bdq"], recipe, alphas)


def ablation_choices(
    recipe: Recipe, alphas: Iterable[float] = (), variants: Iterable[str] = ()
) -> list[Choice]:
    """Return raw video, BDQ's modules alone and together, BDQ with soft and hard steps, and more.

    Args:
        recipe: Gives the alpha of the encoder that is ablated.
        alphas: Weights to train BDQ with besides.
        variants: Settings such as `levels=31`; `all` stands for every one of `VARIANTS`.

    Raises:
        MotionveilError: An alpha is out of range, or there is no such setting.
    """
    chosen = [one for name in variants for one in (VARIANTS if name == "all" else [name])]
    words = ["raw", *(f"bdq:modules={modules}" for modules in MODULES)]
    words += [f"bdq:{alpha:g}" for alpha in (recipe.alpha, *alphas)]
    words += ["bdq:hard=true", *(f"bdq:{setting.removeprefix('bdq:')}" for setting in chosen)]
    return parse_choices(words)


def read_choices(
    words: Sequence[str], recipe: Recipe, alphas: Iterable[float] | None = None
) -> list[Choice]:
    """Read names of methods, see `motionveil.methods.parse_choices`; all their usual strengths.

    Args:
        words: What was typed; `all` stands for every method but `face-blur`, which needs a
            detector.
        recipe: Gives the usual strengths: its alpha and 0, and shares of its size.
        alphas: Those of methods that are trained against an adversary, where a name gives none.

    Returns:
        Choices in the order given, each once.

    Raises:
        MotionveilError: A method is unknown (names the nearest) or a strength is out of range.
    """
    every = [name for name in method_names() if not method(name).blurs_faces]
    named = [one for word in words for one in (every if word == "all" else [word])]
    usual = list(alphas or sorted({0.0, recipe.alpha}))
    found = [full for one in parse_choices(named) for full in _full(one, recipe, usual)]
    return list(dict.fromkeys(found))


def _full(choice: Choice, recipe: Recipe, alphas: Sequence[float]) -> list[Choice]:
    """Return a choice with each of its usual strengths, where it has none."""
    kind = choice.method
    if choice.strength is not None:
        return [choice]
    if kind.strength is not None:
        return with_strengths(choice, kind.usual_strengths(recipe.size))
    if kind.adversarial and not choice.untrained and not choice.changes:
        return with_strengths(choice, alphas)
    return [choice]
