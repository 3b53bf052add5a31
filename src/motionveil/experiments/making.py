"""How the encoder of each contender is made: read off its name, or trained in a run folder."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from motionveil.encoders.downsample import first_motions
from motionveil.encoders.variants import variant_of
from motionveil.errors import MotionveilError
from motionveil.experiments.contenders import HARD, MODULES, UNTRAINED, Contender
from motionveil.settings import RyooSettings, UnetSettings, VariantSettings
from motionveil.spec import EncoderSpec, load_spec
from motionveil.training.checkpoint import OtherTrainingError
from motionveil.training.recipe import Recipe
from motionveil.training.seeds import seed_for
from motionveil.training.trial import Trial


@dataclass(frozen=True)
class Made:
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


class Workshop:
    """Makes the encoders of one split and seed; what several share is made once.

    Args:
        trial: The split, recipe and seed.
        folder: For the run folders of what is trained.
        given: A trained BDQ to take apart; None to train one with the recipe's alpha.
    """

    def __init__(self, trial: Trial, folder: Path, given: EncoderSpec | None = None) -> None:
        self.trial, self.folder, self.given = trial, folder, given

    @cached_property
    def start(self) -> EncoderSpec:
        """BDQ before training, its range calibrated."""
        return self.trial.untrained()

    @cached_property
    def apart(self) -> EncoderSpec:
        """The BDQ that the ablation takes apart."""
        if self.given is not None:
            return self.given
        return self.make(Contender("bdq", self.trial.recipe.alpha)).spec

    def make(self, contender: Contender) -> Made:
        """Return a contender's encoder, trained if it must be.

        A training that was stopped goes on.

        Raises:
            MotionveilError: The training collapsed, or data cannot be read.
        """
        family, method = contender.family, contender.method
        if method == UNTRAINED:
            return Made(self.start)
        if method == "bdq" and self.given is not None and self._is_given(contender):
            return Made(self.given)
        if method == "bdq":
            return self._train(contender, self.start, alpha=contender.alpha)
        if family == "unet":
            return self._train_unet(contender)
        if family == "ryoo":
            return self._train_ryoo(contender)
        if method.removeprefix("bdq-") in MODULES:
            stages = next(s for s in MODULES if method == f"bdq-{s}")
            return Made(variant_of(self.apart, stages))
        if method == HARD:
            return Made(variant_of(self.apart, "BDQ", hard=True))
        if method.startswith("bdq-"):
            return self._train(contender, *self._variant(method))
        return Made(load_spec(method))

    def _is_given(self, contender: Contender) -> bool:
        return contender.alpha == self.trial.recipe.alpha

    def _train(
        self, contender: Contender, start: EncoderSpec, recipe: Recipe | None = None, **changes: Any
    ) -> Made:
        """Train an encoder in the contender's run folder, with the recipe changed."""
        began = time.monotonic()
        changed = (recipe or self.trial.recipe).model_copy(update=changes)
        trial, run = replace(self.trial, recipe=changed), self.folder / contender.folder
        try:
            spec, curves = trial.train(start, run, resume=True)
        except OtherTrainingError as error:
            print(f"{error}: trained anew", file=sys.stderr)
            spec, curves = trial.train(start, run)
        return Made(spec, run, curves, time.monotonic() - began)

    def _train_unet(self, contender: Contender) -> Made:
        recipe = self.trial.recipe
        own = recipe.unet
        settings = UnetSettings(widths=own.widths, blocks=own.blocks)
        game = recipe.game.model_copy(
            update={"adversaries": own.adversaries, "restart_every": own.restart_every}
        )
        start = EncoderSpec(method="unet", settings=settings)
        return self._train(contender, start, alpha=contender.alpha, game=game)

    def _train_ryoo(self, contender: Contender) -> Made:
        """Learn the transformations for the action network alone, as Ryoo et al. do."""
        size = int(contender.method.rpartition("-")[2])
        motions = first_motions(
            self.trial.recipe.ryoo.motions, seed_for(self.trial.seed, "motions")
        )
        start = EncoderSpec(method="ryoo", settings=RyooSettings(size=size, motions=motions))
        return self._train(contender, start, alpha=0.0)

    def _variant(self, method: str) -> tuple[EncoderSpec, Recipe]:
        """Return a changed BDQ before training, and the recipe to train it with."""
        recipe = self.trial.recipe
        whole = variant_of(self.start, "BDQ").settings
        assert isinstance(whole, VariantSettings)
        change = _change(method, whole)
        settings = VariantSettings.model_validate(whole.model_dump() | change)
        return EncoderSpec(method="bdq-variant", settings=settings), recipe


def _change(method: str, whole: VariantSettings) -> dict[str, Any]:
    """Return the settings in which a variant differs from BDQ."""
    name, _, value = method.removeprefix("bdq-").partition("-")
    if name == "range":
        return {"range_mode": value, "range": None}
    if name == "levels":
        return {"boundaries": [[n + 0.5 for n in range(int(value))]]}
    if name == "kernel":
        return {"kernel_size": int(value)}
    if method == "bdq-sigma-fixed":
        return {"learn_sigma": False}
    if name == "channels":
        return {"sigma": whole.sigma * 3, "boundaries": whole.boundaries * 3}
    raise MotionveilError(f"no variant {method!r} of BDQ")
