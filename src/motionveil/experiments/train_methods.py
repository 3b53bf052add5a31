"""The methods of a comparison, and their encoders, trained or read."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import get_args

from pydantic import ValidationError

from motionveil.errors import MotionveilError, describe_faults
from motionveil.methods import Choice, method, method_names, parse_choices, with_strengths
from motionveil.methods.bdq import Modules
from motionveil.spec import EncoderSpec
from motionveil.training.checkpoint import OtherTrainingError
from motionveil.training.experiment import Experiment
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


@dataclass(frozen=True)
class TrainedEncoder:
    """An encoder ready to be validated.

    Attributes:
        spec: The encoder.
        folder: Where its weights lie; None where it has none.
        curves: Of its training.
        seconds: How long that took.
    """

    spec: EncoderSpec
    folder: Path | None = None
    curves: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class MethodTrainer:
    """Makes the encoders of one split and seed.

    Attributes:
        experiment: The split, recipe and seed.
        folder: For the run folders of what is trained.
        given: A trained encoder that stands for its method trained with the recipe's alpha; None
            to train one.
    """

    experiment: Experiment
    folder: Path
    given: EncoderSpec | None = None
    _trained: dict[Choice, TrainedEncoder] = field(default_factory=dict, init=False)

    def make(self, choice: Choice) -> TrainedEncoder:
        """Return a method's encoder, trained if it must be; an interrupted training resumes.

        Raises:
            MotionveilError: The training collapsed, data cannot be read, or a setting is wrong.
        """
        kind = choice.method
        if choice.untrained:
            return TrainedEncoder(self.experiment.untrained(choice))
        if not kind.learned:
            settings = kind.change(None, choice.settings)
            return TrainedEncoder(EncoderSpec(method=kind.name, settings=settings))
        after = {k: v for k, v in choice.settings.items() if k in kind.after_training}
        if after:
            return self._changed(choice, after)
        if self.given is not None and self._is_given(choice):
            return TrainedEncoder(self.given)
        if choice not in self._trained:
            self._trained[choice] = self._train(choice)
        return self._trained[choice]

    def _changed(self, choice: Choice, after: dict[str, object]) -> TrainedEncoder:
        """Return the trained encoder with settings changed that take no training."""
        rest = {k: v for k, v in choice.settings.items() if k not in after}
        # With its alpha it is the row, and the run, of the encoder that is trained anyway.
        alpha = self._alpha(choice) if choice.method.adversarial else None
        trained = self.make(replace(choice, settings=rest, alpha=alpha)).spec
        try:
            return TrainedEncoder(trained.change(**after))
        except ValidationError as error:
            raise MotionveilError(f"{choice.name}: {describe_faults(error.errors())}") from error

    def _is_given(self, choice: Choice) -> bool:
        alpha = self._alpha(choice)
        return (
            self.given is not None
            and self.given.method == choice.method.name
            and not choice.settings
            and alpha == self.experiment.recipe.alpha
        )

    def _alpha(self, choice: Choice) -> float:
        return self.experiment.recipe.alpha if choice.alpha is None else choice.alpha

    def _train(self, choice: Choice) -> TrainedEncoder:
        """Train an encoder in its run folder."""
        began = time.monotonic()
        weighted = self.experiment.recipe.model_copy(update={"alpha": self._alpha(choice)})
        experiment = replace(self.experiment, recipe=weighted.for_method(choice.method))
        # Of the experiment that all methods share, which reads the clips for the range once.
        start, run = self.experiment.untrained(choice), self.folder / choice.folder
        try:
            spec, curves = experiment.train(start, run, resume=True)
        except OtherTrainingError as error:
            print(f"{error}: trained anew", file=sys.stderr)
            spec, curves = experiment.train(start, run)
        return TrainedEncoder(spec, run, curves, time.monotonic() - began)


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
