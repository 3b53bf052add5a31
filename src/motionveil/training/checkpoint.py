"""Checkpoints: tensors in safetensors, the rest in JSON, never a pickle.

The JSON names the tensors' file and is written last, so a checkpoint that was half-written is
never taken for a whole one.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from motionveil.atomic_write import atomic_path, write_text_atomically
from motionveil.errors import MotionveilError
from motionveil.job_store import differences
from motionveil.limits import load_json
from motionveil.results import present_recipe
from motionveil.training.recipe import Recipe

PATIENCE = 3
"""Epochs without action recognition before the training is given up."""


class OtherTrainingError(MotionveilError):
    """A checkpoint belongs to another training than the one that is to go on."""


class RandomState:
    """The state of torch's random generators, as something that a checkpoint holds."""

    def state_dict(self) -> dict[str, Tensor]:
        """Return the states of the CPU's generator and, where there is one, the current GPU's."""
        states = {"cpu": torch.get_rng_state()}
        if torch.cuda.is_available():
            states["cuda"] = torch.cuda.get_rng_state()
        return states

    def load_state_dict(self, states: Mapping[str, Tensor]) -> None:
        """Set the states; that of a GPU is left out where there is none."""
        torch.set_rng_state(states["cpu"])
        if "cuda" in states and torch.cuda.is_available():
            torch.cuda.set_rng_state(states["cuda"])


State = Mapping[str, nn.Module | Optimizer | RandomState]
"""What a checkpoint holds, by name."""


def save_checkpoint(
    folder: Path,
    state: State,
    *,
    epoch: int,
    curves: list[dict[str, float]],
    origin: dict[str, Any],
    step: int = 0,
    clips: int = 0,
    sums: dict[str, float] | None = None,
) -> None:
    """Write a checkpoint and remove the one before it.

    Args:
        state: Modules, optimisers and the like by name.
        curves: What was logged of each of them.
        step, clips, sums: Steps done of the next epoch, the clips seen in them, and what was
            measured, summed over them.
        origin: What decides the training (recipe, seed, data), for `refuse_other_training`; must be
            JSON.
    """
    # Each checkpoint has a name of its own: the JSON never names tensors of another one.
    file = folder / f"epoch-{epoch:04d}-step-{step:05d}.safetensors"
    tensors = {
        f"{name}/{key}": value.detach().cpu().contiguous().clone()
        for name, item in state.items()
        for key, value in _tensors(item).items()
    }
    with atomic_path(file) as part:
        save_file(tensors, part)
    description = {
        "epoch": epoch,
        "step": step,
        "clips": clips,
        "sums": sums or {},
        "tensors": file.name,
        "curves": curves,
        "origin": origin,
    }
    write_text_atomically(folder / "checkpoint.json", json.dumps(description, indent=1) + "\n")
    # What a killed process left of a temporary file goes too.
    for old in folder.glob("*.safetensors"):
        if old != file:
            old.unlink(missing_ok=True)


def read_facts(folder: Path) -> dict[str, Any] | None:
    """Return a checkpoint's JSON: what `save_checkpoint` was given, and `tensors`, a file's name.

    Returns:
        The facts, or None where there is no checkpoint.

    Raises:
        MotionveilError: The file is damaged.
    """
    file = folder / "checkpoint.json"
    if not file.exists():
        return None
    try:
        facts = load_json(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise MotionveilError(_unreadable(file, error)) from error
    kinds = {
        "epoch": int,
        "step": int,
        "clips": int,
        "sums": dict,
        "tensors": str,
        "curves": list,
        "origin": dict,
    }
    for name, kind in kinds.items():
        if not isinstance(facts, dict) or not isinstance(facts.get(name), kind):
            raise MotionveilError(_unreadable(file, f"it has no {name!r}"))
    if Path(facts["tensors"]).name != facts["tensors"]:  # a checkpoint may come from a stranger
        raise MotionveilError(_unreadable(file, f"{facts['tensors']!r} is no file beside it"))
    if len(facts["curves"]) != facts["epoch"]:
        epochs = f"{facts['epoch']} epochs but curves of {len(facts['curves'])}"
        raise MotionveilError(_unreadable(file, epochs))
    return dict(facts)


def refuse_other_training(folder: Path, facts: dict[str, Any], origin: dict[str, Any]) -> None:
    """Raise an error when a checkpoint was made by another training.

    Args:
        folder: Where the checkpoint lies, for the message.
        facts: What `read_facts` found.
        origin: The origin of the training that is to go on, see `save_checkpoint`.

    Raises:
        OtherTrainingError: The origins differ; names what was and what is.
    """
    begun = facts["origin"] | {"recipe": present_recipe(facts["origin"].get("recipe"))}
    if other := differences(begun, origin):
        raise OtherTrainingError(
            f"{folder}: the checkpoint is of another training: {other};"
            " resume with the same settings, or start over in another folder"
        )


def load_checkpoint(folder: Path, state: State) -> None:
    """Load modules and optimisers from the checkpoint that `read_facts` found.

    Raises:
        MotionveilError: The tensors are missing, damaged or do not fit.
    """
    facts = read_facts(folder)
    if facts is None:
        raise MotionveilError(f"{folder}: no checkpoint here")
    file = folder / str(facts["tensors"])
    try:
        tensors = load_file(file)
    except (OSError, SafetensorError) as error:
        raise MotionveilError(_unreadable(file, error)) from error
    for name, item in state.items():
        own = {
            key.removeprefix(f"{name}/"): value
            for key, value in tensors.items()
            if key.startswith(f"{name}/")
        }
        try:
            _restore(item, own)
        except (RuntimeError, KeyError, ValueError) as error:
            fault = " ".join(str(error).split())
            raise MotionveilError(f"{file}: does not fit {name}: {fault}") from error


def _unreadable(file: Path, fault: object) -> str:
    return f"{file}: cannot read the checkpoint: {fault}; delete {file.parent} to start over"


def _tensors(item: nn.Module | Optimizer | RandomState) -> dict[str, Tensor]:
    if not isinstance(item, Optimizer):
        return dict(item.state_dict())
    return {
        f"{parameter}.{key}": value
        for parameter, values in item.state_dict()["state"].items()
        for key, value in values.items()
        if isinstance(value, Tensor)
    }


def _restore(item: nn.Module | Optimizer | RandomState, tensors: dict[str, Tensor]) -> None:
    if not isinstance(item, Optimizer):
        item.load_state_dict(tensors)
        return
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        parameter, _, name = key.partition(".")
        state.setdefault(int(parameter), {})[name] = value
    item.load_state_dict({**item.state_dict(), "state": state})


@dataclass
class TrainState:
    """How far a training has come.

    Attributes:
        curves: A dictionary per epoch that is done.
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
    """A training whose action accuracy stays at chance level, so that its encoder is worthless."""


def refuse_collapse(rows: list[dict[str, float]], chance_level: float, recipe: Recipe) -> None:
    """Raise an error when action accuracy was at chance level for `PATIENCE` epochs.

    Epochs before action recognition first succeeded (a quarter of the way from chance level to
    perfection) count only in the second half of the training: networks that start from scratch take
    their time.

    Args:
        rows: The curves so far; `epoch` and `accuracy_action` are used.
        chance_level: Share of the commonest action among the training clips.

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
