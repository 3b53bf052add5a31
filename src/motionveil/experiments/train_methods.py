"""How the encoder of each method is had: read off its name, or trained in a run folder."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import ValidationError

from motionveil.errors import MotionveilError
from motionveil.methods import Choice
from motionveil.spec import EncoderSpec, describe
from motionveil.training.checkpoint import OtherTrainingError
from motionveil.training.experiment import Experiment


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
            raise MotionveilError(f"{choice.name}: {describe(error)}") from error

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
