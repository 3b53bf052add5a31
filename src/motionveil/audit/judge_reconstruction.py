"""From a reconstruction to what it shows, in figures and in a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from motionveil.audit.attack import Attack
from motionveil.audit.likeness import peak_signal_to_noise
from motionveil.audit.pictures import draw_grid
from motionveil.audit.reconstruction import Rebuilt, Sample
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
    columns = ("veiled", "reconstructed", "original")
    lines = [
        ("known" if s.known else "never seen", (s.veiled, s.rebuilt, s.original)) for s in samples
    ]
    draw_grid(out / PICTURE, columns[:2], [(name, images[:2]) for name, images in lines])
    draw_grid(out / WITH_ORIGINAL, columns, lines)
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
    looked = not np.isnan(rebuilt.faces).any()
    measures = [rebuilt.error, rebuilt.structure, rebuilt.gradients, rebuilt.recognised]
    values = np.column_stack([m[which] for m in [*measures, *([rebuilt.faces] if looked else [])]])
    drawn = bootstrap_means(values, numbered([clip.group for clip in clips]))
    error, ssim, gmsd, recognised, *faces = (
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
        faces=faces[0] if looked else None,
        original_faces=float(rebuilt.original_faces[which].mean()) if looked else None,
        floor=float(np.bincount(labels).max() / len(labels)),
    )
