"""From a reconstruction to what it shows, in figures and in a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from motionveil.audit.attack import Attack
from motionveil.audit.likeness import peak_signal_to_noise
from motionveil.audit.reconstruction import Rebuilt, Sample
from motionveil.files import atomic_path
from motionveil.findings import Likeness, Measured, ReconstructionFinding
from motionveil.statistics import bootstrap_means, interval_of, numbered

PICTURE, WITH_ORIGINAL = "reconstruction.png", "reconstruction-with-original.png"


def judge_reconstruction(
    attack: Attack, rebuilt: Rebuilt, samples: Sequence[Sample], out: Path, *, label: str
) -> ReconstructionFinding:
    """Return the finding of a reconstruction, and draw its two pictures into a folder.

    Raises:
        MotionveilError: The clips of known people, or those of strangers, come from one recording.
    """
    out.mkdir(parents=True, exist_ok=True)
    _draw(out / PICTURE, samples, original=False)
    _draw(out / WITH_ORIGINAL, samples, original=True)
    return ReconstructionFinding(
        name=attack.name,
        label=label,
        video="veiled",
        attack=attack.model_dump(mode="json"),
        known=_likeness(rebuilt, rebuilt.known),
        strangers=_likeness(rebuilt, ~rebuilt.known),
        picture=PICTURE,
        picture_with_original=WITH_ORIGINAL,
        seconds=0.0,
    )


def _likeness(rebuilt: Rebuilt, which: np.ndarray) -> Likeness:
    clips = [clip for clip, taken in zip(rebuilt.clips, which, strict=True) if taken]
    measures = (rebuilt.error, rebuilt.structure, rebuilt.gradients, rebuilt.recognised)
    values = np.column_stack([measure[which] for measure in measures])
    drawn = bootstrap_means(values, numbered([clip.group for clip in clips]))
    error, ssim, gmsd, recognised = (
        Measured(value=float(column.mean()), interval=interval_of(samples))
        for column, samples in zip(values.T, drawn.T, strict=True)
    )
    high, low = (peak_signal_to_noise(value) for value in error.interval)
    labels = rebuilt.labels[which]
    return Likeness(
        clips=len(clips),
        psnr=Measured(value=peak_signal_to_noise(error.value), interval=(low, high)),
        ssim=ssim,
        gmsd=gmsd,
        recognised=recognised,
        blank_psnr=peak_signal_to_noise(float(rebuilt.blank_error[which].mean())),
        blank_ssim=float(rebuilt.blank_structure[which].mean()),
        blank_gmsd=float(rebuilt.blank_gradients[which].mean()),
        original_recognised=float(rebuilt.recognised_original[which].mean()),
        floor=float(np.bincount(labels).max() / len(labels)),
    )


def _draw(file: Path, samples: Sequence[Sample], *, original: bool) -> None:
    """Draw a line a sample: veiled, reconstructed and, where wanted, the original."""
    columns = ["veiled", "reconstructed", *(["original"] if original else [])]
    figure = Figure(figsize=(1.8 * len(columns), 1.8 * len(samples)), layout="constrained")
    axes = figure.subplots(len(samples), len(columns), squeeze=False)
    for line, sample in zip(axes, samples, strict=True):
        line[0].set_ylabel("known" if sample.known else "never seen", fontsize=8)
        images = (sample.veiled, sample.rebuilt, sample.original)
        for cell, image, name in zip(line, images, columns, strict=False):
            cell.imshow(np.clip(image, 0, 1), interpolation="nearest")
            cell.set_xticks([])
            cell.set_yticks([])
            if line is axes[0]:
                cell.set_title(name, fontsize=9)
    with atomic_path(file) as part:
        figure.savefig(part, dpi=120, format="png", metadata={"Software": None})
