"""What a training says while it runs: a line an epoch, and one more for the boundaries."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

from motionveil.methods import LEVELS

FIGURES = (
    "sigma",
    "loss_action",
    "loss_privacy",
    "entropy",
    "accuracy_action",
    "accuracy_privacy",
)
"""What is printed of an epoch's row, where it has it; then further adversaries' accuracies."""


class Log:
    """Prints each epoch's figures to the standard error, with the time that is left.

    Args:
        title: What is trained.
        epochs: How many epochs there will be.
        quiet: Print nothing, since another process does.
    """

    def __init__(self, title: str, epochs: int, *, quiet: bool = False) -> None:
        self._title, self._epochs, self._quiet = title, epochs, quiet
        self._began, self._first = time.monotonic(), 0

    def epoch(self, row: Mapping[str, float], epochs: int | None = None) -> None:
        """Print one epoch's figures; `row["epoch"]` is its number, from 1.

        Args:
            row: The figures.
            epochs: How many epochs there will be, where that has changed.
        """
        self._epochs = epochs or self._epochs
        if self._quiet:
            return
        epoch = int(row["epoch"])
        self._first = self._first or epoch
        spent = time.monotonic() - self._began
        left = spent / (epoch - self._first + 1) * (self._epochs - epoch)
        further = [name for name in row if name.startswith("accuracy_privacy_")]
        figures = "  ".join(
            f"{name.replace('_', ' ')} {row[name]:.3f}"
            for name in (*FIGURES, *further)
            if name in row
        )
        boundaries = " ".join(f"{row[f'b{n}']:.1f}" for n in range(1, LEVELS + 1) if f"b{n}" in row)
        print(
            f"{self._title}: epoch {epoch}/{self._epochs}  {figures}  ({left:.0f} s left)"
            + (f"\n  boundaries {boundaries}" if boundaries else ""),
            file=sys.stderr,
            flush=True,
        )
