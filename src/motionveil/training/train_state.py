"""How far an adversarial training has come: its curves, and sums over the epoch that runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from motionveil.atomic_write import write_text_atomically
from motionveil.errors import MotionveilError
from motionveil.training.recipe import Recipe

PATIENCE = 3
"""Epochs without action recognition before the training is given up."""


@dataclass
class TrainState:
    """How far a training has come.

    Attributes:
        curves: A dictionary an epoch that is done.
        step: Steps done of the epoch that is running.
        clips: Clips seen in them.
        sums: What was measured in them, each step's mean times its clips.
    """

    curves: list[dict[str, float]] = field(default_factory=list)
    step: int = 0
    clips: int = 0
    sums: dict[str, float] = field(default_factory=dict)

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return len(self.curves)

    def add(self, measured: Mapping[str, float], clips: int) -> None:
        """Count a step of so many clips, with its means."""
        for name, value in measured.items():
            self.sums[name] = self.sums.get(name, 0.0) + value * clips
        self.step += 1
        self.clips += clips

    def close(self, numbers: Mapping[str, float]) -> None:
        """End the epoch; its row is `epoch`, the encoder's numbers and means over its clips."""
        means = {name: total / self.clips for name, total in self.sums.items()}
        self.curves.append({"epoch": self.epoch + 1, **numbers, **means})
        self.step, self.clips, self.sums = 0, 0, {}

    def facts(self) -> dict[str, Any]:
        """Return what a checkpoint says of it, in JSON's types."""
        return {
            "epoch": self.epoch,
            "curves": self.curves,
            "step": self.step,
            "clips": self.clips,
            "sums": self.sums,
        }

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> TrainState:
        """Return what a checkpoint's facts say."""
        return cls(facts["curves"], facts["step"], facts["clips"], facts["sums"])

    def write_curves(self, path: Path) -> None:
        """Write the curves as a CSV, whole or not at all."""
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(self.curves[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.curves)
        write_text_atomically(path, text.getvalue())


class CollapseError(MotionveilError):
    """A training in which actions are guessed, not recognised, so that its encoder is worthless."""


def refuse_collapse(rows: list[dict[str, float]], chance_level: float, recipe: Recipe) -> None:
    """Raise an error when actions have been guessed, not recognised, for `PATIENCE` epochs.

    Epochs before action recognition first succeeded (a quarter of the way from chance level to
    perfection) count only in the second half of the training: networks that start from scratch take
    their time.

    Args:
        rows: The curves so far; `epoch` and `accuracy_action` are used.
        chance_level: Share of the commonest action among the training clips.
        recipe: The recipe; names what to change.

    Raises:
        CollapseError: The training collapsed; says when and what to change.
    """
    schedule = recipe.adversarial
    accuracies = [row["accuracy_action"] for row in rows]
    lost = chance_level + 0.05 * (1 - chance_level)
    succeeded = chance_level + 0.25 * (1 - chance_level)
    last = accuracies[-PATIENCE:]
    if len(last) < PATIENCE or max(last) > lost:
        return
    if max(accuracies) > succeeded or len(accuracies) - PATIENCE >= schedule.epochs / 2:
        first = int(rows[-PATIENCE]["epoch"])
        raise CollapseError(
            f"action recognition collapsed: accuracy {max(last):.2f} or less on the training clips"
            f" in epochs {first} to {first + PATIENCE - 1}, chance level {chance_level:.2f};"
            f" lower alpha ({recipe.alpha:g}) or a learning rate (the networks'"
            f" {schedule.lr:g}, the encoder's {schedule.encoder_lr or schedule.lr:g})"
        )
