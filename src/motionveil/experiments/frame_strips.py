"""Pictures of frames: every stage of BDQ, and what networks see of any method."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.image import imsave
from numpy.typing import NDArray

from motionveil.atomic_write import atomic_path
from motionveil.datasets.dataset import batches
from motionveil.encoders import build_encoder, functional
from motionveil.evaluation.encode_clips import encode_parts
from motionveil.methods import LEVELS
from motionveil.methods.bdq import BDQSettings
from motionveil.spec import EncoderSpec
from motionveil.training.experiment import Experiment

COLUMNS = 6
VEILED = 4
"""Frames in an image of veiled video."""


def save_strip(path: Path, frames: NDArray[np.uint8], spec: EncoderSpec) -> Path:
    """Draw original, blurred, difference and veiled frames below each other.

    Args:
        frames: uint8 (T, H, W, 3), RGB, T >= 2.
    """
    rows = _stages(frames, spec)
    shown = np.linspace(0, len(frames) - 2, COLUMNS).round().astype(int)
    height, width = frames.shape[1:3]
    figure = Figure(figsize=(COLUMNS * 1.3, len(rows) * 1.3 * height / width), layout="constrained")
    axes = figure.subplots(len(rows), COLUMNS, squeeze=False)
    for line, (name, images) in zip(axes, rows.items(), strict=True):
        line[0].set_ylabel(name, fontsize=8)
        for cell, index in zip(line, shown, strict=True):
            cell.imshow(np.clip(images[index], 0, 1), interpolation="nearest")
            cell.set_xticks([])
            cell.set_yticks([])
    with atomic_path(path) as part:
        figure.savefig(part, dpi=150, format="png", metadata={"Software": None})
    return path


@torch.no_grad()
def save_veiled(
    path: Path, experiment: Experiment, spec: EncoderSpec, folder: Path | None = None
) -> Path:
    """Draw frames of the first held-out clip as networks see them, beside each other.

    Args:
        experiment: The split, and the recipe for the frames' size.
        folder: Where its weights lie, if it has any.
    """
    encoder = build_encoder(spec, folder).eval()
    encoded = encode_parts(experiment, encoder, order=experiment.order_of(encoder))
    batch = next(batches(encoded.validation, 1, epoch=0))
    veiled = encoded.encoder(batch.clips)[0] / LEVELS  # (3, T', H, W)
    shown = np.linspace(0, veiled.shape[1] - 1, VEILED).round().astype(int)
    strip = np.concatenate([veiled[:, index].permute(1, 2, 0).numpy() for index in shown], axis=1)
    with atomic_path(path) as part:
        # An empty text keeps matplotlib's version out: equal frames give equal bytes.
        imsave(part, np.clip(strip, 0, 1), format="png", metadata={"Software": ""})
    return path


def _stages(frames: NDArray[np.uint8], spec: EncoderSpec) -> dict[str, NDArray[np.float32]]:
    """Return what each stage gives for frames 1 ... T - 1, each (T - 1, H, W, 3) in [0, 1]."""
    clip = torch.from_numpy(frames).permute(3, 0, 1, 2)[None].float() / 255  # (1, 3, T, H, W)
    settings = spec.settings
    assert isinstance(settings, BDQSettings)
    assert settings.range is not None
    sigma = torch.tensor(settings.sigma)
    blurred = functional.blur(clip, sigma)
    difference = functional.difference(blurred)
    veiled = functional.quantise(
        functional.normalise(difference, "fixed", settings.range),
        torch.tensor(settings.boundaries),
        settings.hardness,
    )
    stages = {
        "original": clip[:, :, 1:],
        "blurred": blurred[:, :, 1:],
        "difference": (difference + settings.range) / (2 * settings.range),
        "veiled": veiled / LEVELS,
    }
    return {name: stage[0].permute(1, 2, 3, 0).numpy() for name, stage in stages.items()}
