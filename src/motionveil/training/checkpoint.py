"""Checkpoints: tensors in safetensors, the rest in JSON, never a pickle.

The JSON names the tensors' file and is written last, so a checkpoint that was half-written is
never taken for a whole one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from motionveil.errors import MotionveilError
from motionveil.files import atomic_path, write_text_atomically

State = Mapping[str, nn.Module | Optimizer]
"""What a checkpoint holds, by name."""


def save_checkpoint(folder: Path, state: State, *, epoch: int, facts: dict[str, Any]) -> None:
    """Write a checkpoint and remove the one before it.

    Args:
        folder: Where checkpoints lie.
        state: Modules and optimisers by name.
        epoch: Epochs done.
        facts: What else is to be kept; must be JSON.
    """
    file = folder / f"epoch-{epoch:04d}.safetensors"
    tensors = {
        f"{name}/{key}": value.detach().cpu().contiguous().clone()
        for name, item in state.items()
        for key, value in _tensors(item).items()
    }
    with atomic_path(file) as part:
        save_file(tensors, part)
    description = {"epoch": epoch, "tensors": file.name, **facts}
    write_text_atomically(folder / "checkpoint.json", json.dumps(description, indent=1) + "\n")
    for old in folder.glob("epoch-*.safetensors"):
        if old != file:
            old.unlink(missing_ok=True)


def read_facts(folder: Path) -> dict[str, Any] | None:
    """Return the checkpoint's facts (`epoch` among them), or None where there is none.

    Raises:
        MotionveilError: The file is damaged.
    """
    file = folder / "checkpoint.json"
    if not file.exists():
        return None
    try:
        facts: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return facts
    except (OSError, ValueError) as error:
        raise MotionveilError(
            f"{file}: cannot read the checkpoint: {error}; delete {folder} to begin anew"
        ) from error


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
        raise MotionveilError(
            f"{file}: cannot read the checkpoint: {error}; delete {folder} to begin anew"
        ) from error
    for name, item in state.items():
        own = {
            key.removeprefix(f"{name}/"): value
            for key, value in tensors.items()
            if key.startswith(f"{name}/")
        }
        try:
            _restore(item, own)
        except (RuntimeError, KeyError, ValueError) as error:
            raise MotionveilError(f"{file}: does not fit {name}: {error}") from error


def _tensors(item: nn.Module | Optimizer) -> dict[str, Tensor]:
    if isinstance(item, nn.Module):
        return dict(item.state_dict())
    return {
        f"{parameter}.{key}": value
        for parameter, values in item.state_dict()["state"].items()
        for key, value in values.items()
        if isinstance(value, Tensor)
    }


def _restore(item: nn.Module | Optimizer, tensors: dict[str, Tensor]) -> None:
    if isinstance(item, nn.Module):
        item.load_state_dict(tensors)
        return
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        parameter, _, name = key.partition(".")
        state.setdefault(int(parameter), {})[name] = value
    item.load_state_dict({**item.state_dict(), "state": state})
