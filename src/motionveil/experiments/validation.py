"""One encoder, validated: a result of one row."""

from __future__ import annotations

from pathlib import Path

from motionveil.experiments.tradeoff import describe_dataset
from motionveil.results import Result
from motionveil.spec import EncoderSpec
from motionveil.training.processes import describe_environment
from motionveil.training.trial import Trial


def validate_encoder(
    trial: Trial, spec: EncoderSpec, *, folder: Path | None, command: str
) -> Result:
    """Train fresh networks on an encoder's output and return the result.

    Args:
        trial: The split, recipe and seed.
        spec: The encoder.
        folder: Where its weights lie, if it has any.
        command: The command line, for the result.

    Raises:
        MotionveilError: The data cannot be read or a loss is not finite.
    """
    alpha = spec.provenance.get("alpha")
    row = trial.validate(
        spec,
        method=spec.name,
        folder=folder,
        alpha=float(alpha) if alpha is not None else None,
    )
    return Result(
        kind="validate",
        command=command,
        dataset=describe_dataset(trial.cache.manifest, [trial.split], trial.privacy_label),
        recipe=trial.recipe.model_dump(mode="json"),
        seed=trial.seed,
        environment=describe_environment(trial.fabric),
        rows=[row],
        seconds=row.seconds,
    )
