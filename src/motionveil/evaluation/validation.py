"""Validation: fresh networks on a frozen encoder (paper, section 4.2).

Two attackers are trained on the encoder's output for the training clips and scored on the clips
held out: an action network on whole clips, and a privacy network frame by frame.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from lightning_fabric import Fabric
from torch import Tensor

from motionveil.datasets.console import warn
from motionveil.datasets.dataset import ClipDataset
from motionveil.datasets.manifest import Manifest
from motionveil.encoders import Encoder, build_encoder
from motionveil.encoders.functional import for_networks
from motionveil.evaluation.encode_clips import ACTION, PRIVACY, EncodedParts, encode_parts
from motionveil.evaluation.fit import Classifier, Learner, fit
from motionveil.evaluation.recogniser import leave_recogniser
from motionveil.results import (
    Accuracy,
    AttributeScores,
    ClipPrediction,
    Privacy,
    PrivacyScore,
    Reading,
    Result,
    Row,
    score_attributes,
)
from motionveil.spec import EncoderSpec
from motionveil.statistics import Floats, numbered
from motionveil.training.adversaries import Networks
from motionveil.training.distributed import describe_environment
from motionveil.training.experiment import Experiment, describe_dataset, describe_weights
from motionveil.training.heads import ONE_CLASS, Head, head_of
from motionveil.training.loop import seed_for
from motionveil.training.recipe import Schedule

_DIGITS = 9  # keep apart what float32 keeps apart: the argmax is that of the accuracy


class ValidationScores(NamedTuple):
    """What validation measures: both accuracies and the answers behind them."""

    action: Accuracy
    privacy: Privacy
    predictions: list[ClipPrediction]


def validate_encoder(
    experiment: Experiment,
    spec: EncoderSpec,
    *,
    method: str,
    folder: Path | None = None,
    alpha: float | None = None,
    curves: list[dict[str, float]] | None = None,
    trained_seconds: float = 0.0,
    recogniser: Path | None = None,
) -> Row:
    """Train fresh networks on a frozen encoder's output, score them, and return the row.

    Args:
        method: What the row calls it.
        folder: Where its weights lie, if it has any.
        alpha: The weight that it was trained with.
        recogniser: Folder for the action network as a recogniser; None to leave none.

    Raises:
        MotionveilError: A loss is not finite, the encoder's weights cannot be read, or the
            recogniser cannot be written, see `leave_recogniser`.
    """
    began = time.monotonic()
    encoder = build_encoder(spec, folder)
    order = experiment.order_of(encoder)
    parts = encode_parts(experiment, encoder, order=order)
    networks = experiment.networks("validation")
    scores = validate(
        experiment.fabric,
        parts,
        networks,
        experiment.recipe.validation,
        privacy_label=experiment.privacy_label,
        seed=experiment.seed,
        title=f"validate {method if alpha is None else f'{method}, alpha {alpha:g}'}",
    )
    if recogniser is not None:
        leave_recogniser(experiment, encoder, parts, networks.action, recogniser)
    return Row(
        method=method,
        alpha=alpha,
        seed=experiment.seed,
        split=experiment.split,
        order=order,
        geometry=parts.geometry,
        action=scores.action,
        privacy=scores.privacy,
        encoder=spec,
        predictions=scores.predictions,
        curves=curves or [],
        seconds=trained_seconds + time.monotonic() - began,
    )


def validation_result(
    experiment: Experiment,
    spec: EncoderSpec,
    *,
    folder: Path | None,
    command: str,
    recogniser: Path | None = None,
) -> Result:
    """Validate one encoder and return a result of one row; see `validate_encoder`.

    Args:
        folder: Where its weights lie, if it has any.
        recogniser: As in `validate_encoder`.
    """
    alpha = spec.provenance.get("alpha")
    row = validate_encoder(
        experiment,
        spec,
        method=spec.name,
        folder=folder,
        alpha=float(alpha) if alpha is not None else None,
        recogniser=recogniser,
    )
    return Result(
        kind="validate",
        command=command,
        dataset=describe_dataset(
            experiment.cache.manifest, [experiment.split], experiment.privacy_label
        ),
        recipe=experiment.recipe.model_dump(mode="json"),
        seed=experiment.seed,
        environment=describe_environment(experiment.fabric),
        weights=describe_weights(experiment.recipe),
        rows=[row],
        seconds=row.seconds,
    )


def warn_of_leak(spec: EncoderSpec, manifest: Manifest, split: str) -> None:
    """Say so when an encoder was trained on the clips of the split that it is scored on."""
    origin = spec.provenance
    if origin.get("manifest") == manifest.hash and origin.get("split") != split:
        warn(
            f"the encoder was trained with --split {origin.get('split')}, so it has seen"
            f" the clips of {split} on which it is scored now"
        )


def validate(
    fabric: Fabric,
    parts: EncodedParts,
    networks: Networks,
    schedule: Schedule,
    *,
    privacy_label: str,
    seed: int,
    title: str,
) -> ValidationScores:
    """Train networks on a frozen encoder's output and score them.

    Both see the same batches, which are encoded once.

    Args:
        parts: The clips and their encoder, whose parameters get no gradient. Networks are trained
            on its `views`.
        networks: Freshly made networks; trained in place.
        schedule: How the networks are trained.
        privacy_label: The label's name, stored with the score.
        seed: Seed of the draws.
        title: What the log calls this.

    Raises:
        MotionveilError: A loss is not finite.
    """
    # What was drawn before must not decide what these networks see.
    torch.manual_seed(seed_for(seed, "validation"))
    encoder = parts.encoder
    # Not `setup`, by which Fabric would round the encoder's input to a mixed precision.
    fabric.to_device(encoder)
    encoder.eval()
    learners = [
        Learner(networks.action, "action", ACTION),
        Learner(networks.privacy, "privacy", PRIVACY),
    ]

    def encode(clips: Tensor) -> Tensor:
        return for_networks(encoder.views(clips))

    fit(title, learners, parts.training, schedule, fabric, encode)
    return score(fabric, encoder, networks, parts.validation, schedule.batch, privacy_label)


def score(
    fabric: Fabric,
    encoder: Encoder,
    networks: Networks,
    data: ClipDataset,
    batch_size: int,
    privacy_label: str,
) -> ValidationScores:
    """Score trained networks: actions on one clip and one crop, privacy by frame and by clip.

    The privacy network is scored with the BatchNorm statistics of its training, and with
    statistics estimated again on the clips that it attacks. The higher frame accuracy is reported.
    """

    def encode(clips: Tensor) -> Tensor:
        return for_networks(encoder(clips))

    head = head_of(data.privacy)
    action, privacy = (
        Classifier(network.eval(), shown, fabric, batch_size, encode, means)
        for network, shown, means in zip(
            networks, (ACTION, PRIVACY), (ONE_CLASS, head), strict=True
        )
    )
    actions = action.probabilities(data)[:, 0]  # (clips, actions)
    found = {
        mode: privacy.probabilities(data)  # (clips, T', outputs)
        for mode in privacy.batchnorm_modes(data)
        if mode != "batch"
    }
    labels = data.privacy.numpy()
    modes = {
        mode: PrivacyScore(
            frame=Accuracy.of(head.right(frames, labels).mean(1), labels),
            clip=Accuracy.of(head.right(frames.mean(1, keepdims=True), labels)[:, 0], labels),
            attributes=_attributes(data, privacy_label, frames) if labels.ndim > 1 else {},
        )
        for mode, frames in found.items()
    }
    reported = max(modes, key=lambda mode: modes[mode].strength)
    return ValidationScores(
        action=Accuracy.of(actions.argmax(1) == data.actions.numpy(), data.actions.numpy()),
        privacy=Privacy(
            label=privacy_label,
            batchnorm=reported,
            modes=modes,
            frame=modes[reported].frame,
            clip=modes[reported].clip,
            attributes=modes[reported].attributes,
        ),
        predictions=_predictions(data, actions, found[reported], head),
    )


def _attributes(data: ClipDataset, label: str, frames: Floats) -> dict[Reading, AttributeScores]:
    """Score the answers about attributes, (clips, frames, attributes), by frame and by clip."""
    return score_attributes(
        data.cache.manifest.names_of(label),
        list(frames),
        data.privacy.numpy(),
        numbered([clip.group for clip in data.clips]),
    )


def _predictions(
    data: ClipDataset, actions: Floats, frames: Floats, head: Head
) -> list[ClipPrediction]:
    right = head.right(frames, data.privacy.numpy()).mean(1)
    return [
        ClipPrediction(
            clip=clip.key,
            action=int(data.actions[position]),
            privacy=data.privacy[position].tolist(),
            action_probabilities=_rounded(actions[position]),
            privacy_probabilities=_rounded(frames[position].mean(0)),
            privacy_frames=right[position].tolist(),
        )
        for position, clip in enumerate(data.clips)
    ]


def _rounded(probabilities: Sequence[float] | Floats) -> list[float]:
    return [round(float(value), _DIGITS) for value in probabilities]
