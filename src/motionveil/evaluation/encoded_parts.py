"""What networks see of an experiment's clips behind an encoder."""

from __future__ import annotations

from dataclasses import dataclass

from motionveil.datasets.dataset import ClipDataset
from motionveil.encoders import Encoder, Raw
from motionveil.evaluation.encode_clips import (
    frames_left,
    veil_clips,
    veil_of_encoder,
    working_clips,
)
from motionveil.geometry import Geometry
from motionveil.results import Order
from motionveil.training.adversary_inputs import Look
from motionveil.training.distributed import first_process_first
from motionveil.training.experiment import Experiment

ACTION, PRIVACY = Look(temporal=True), Look()
"""What the action network and the privacy network are shown: whole clips, and frames."""


@dataclass(frozen=True)
class EncodedParts:
    """What networks see of the clips behind an encoder.

    Attributes:
        encoder: Veils a batch; the identity where the clips are veiled already.
        training: The clips that networks are trained on.
        validation: The clips held out.
        geometry: Size and rate at which the clips were veiled; None in the paper's order.
    """

    encoder: Encoder
    training: ClipDataset
    validation: ClipDataset
    geometry: Geometry | None = None


def encode_parts(experiment: Experiment, encoder: Encoder, *, order: Order) -> EncodedParts:
    """Return what networks see of an experiment's clips behind an encoder.

    Args:
        experiment: The experiment.
        encoder: The encoder.
        order: See `motionveil.training.recipe.Recipe.order`.

    Raises:
        MotionveilError: A video cannot be read, fewer than two frames of a clip are left, or the
            cache cannot be written.
    """
    if order == "paper":
        return EncodedParts(
            encoder, experiment.clips(training=True), experiment.clips(training=False)
        )
    veil = veil_of_encoder(encoder, encoder.spec.name, str(experiment.fabric.device))
    geometry = veil.geometry(experiment.geometry)
    with first_process_first(experiment.fabric):
        filmed = working_clips(
            experiment.cache.manifest,
            geometry,
            multiple=veil.multiple,
            folder=experiment.cache.folder.parent,
        )
        veiled = veil_clips(filmed, veil)
    frames = frames_left(experiment.recipe.frames, filmed, veiled)
    training, validation = (
        experiment.dataset(veiled, training=part, frames=frames, fit=experiment.recipe.fit)
        for part in (True, False)
    )
    return EncodedParts(Raw(), training, validation, geometry)
