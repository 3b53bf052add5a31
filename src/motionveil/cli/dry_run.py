"""What `motionveil train --dry-run` prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import mean
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from motionveil.training.dry_run import DryRun


def print_dry_run(found: DryRun) -> None:
    """Print shapes, parameters, memory and time, a line each."""
    for name, told in _lines(found):
        print(f"{name:<16}{told}")


def _lines(found: DryRun) -> Iterator[tuple[str, str]]:
    adversarial, validation = found.recipe.adversarial, found.recipe.validation
    yield "clip", f"{_shape(found.clip)} (B, 3, T, H, W)"
    yield "veiled clip", _shape(found.veiled)
    yield "privacy frames", _shape(found.frames)
    yield "parameters", ", ".join(f"{who} {n:,}" for who, n in found.parameters.items())
    if found.fresh:
        yield "weights", f"fresh for {' and '.join(found.fresh)}, as large and fast as pretrained"
    yield "memory", _memory(found)
    yield "step", f"{found.step_seconds:.3g} s: {_parts_of_a_step(found)}"
    yield "epoch", f"{found.steps} steps, {duration(found.epoch_seconds)}"
    yield "training", f"{adversarial.epochs} epochs, {duration(found.training_seconds)}"
    longest = duration(found.validation_seconds)
    yield "validation", f"{validation.epochs} epochs, up to about {longest}, and the scoring"


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _memory(found: DryRun) -> str:
    if found.memory is None:
        return "cannot be told on this system"
    where = f"on {found.device}" if found.device.startswith("cuda") else "by the whole process"
    return f"{found.memory / 2**30:.2f} GiB at most {where}"


def _parts_of_a_step(found: DryRun) -> str:
    steps = ", ".join(f"{seconds:.3g}" for seconds in found.computing)
    loading = f"{mean(found.loading):.3g}"
    return f"computing on {found.device} {steps} s, beside it loading {loading} s"


def duration(seconds: float) -> str:
    """Return `41 s`, `8 min 14 s` or `6 h 52 min`."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
