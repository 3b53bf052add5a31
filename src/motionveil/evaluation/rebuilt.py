"""What a reconstruction made of the clips held out: its figures, and the images that it leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.image import imsave
from numpy.typing import NDArray

from motionveil.atomic_write import atomic_path
from motionveil.audit_results import ImageQuality, Measured, RebuiltClip
from motionveil.datasets.manifest import Clip
from motionveil.evaluation.image_quality import Images, draw_grid, peak_signal_to_noise
from motionveil.statistics import Floats, bootstrap_means, interval_of, numbered

PICTURE, WITH_ORIGINAL = "reconstruction.png", "reconstruction-with-original.png"
MEAN = "mean.png"

FIGURES = (
    *("error", "ssim", "gmsd", "mean_error", "mean_ssim", "mean_gmsd"),
    *("recognised", "original_recognised", "faces", "original_faces"),
)
"""What is measured of each clip: mean square error, SSIM and GMSD of the reconstruction and of the
mean of the training clips; shares of frames in which the person is named and a face is detected."""


class Sample(NamedTuple):
    """A clip that is drawn: its place among the clips, and its middle frame three times."""

    place: int
    veiled: Images
    rebuilt: Images
    original: Images


@dataclass(frozen=True)
class Rebuilt:
    """What became of the clips held out.

    Attributes:
        clips: The clips.
        known: Whether the U-Net has learned from clips of the same person, (clips,).
        figures: Each of `FIGURES` for each clip, (clips,); NaN where no faces were looked for.
        samples: Clips that are drawn.
        mean: The mean original frame of the training clips.
        training: Fields of `Reconstruction` that say how the U-Net was trained.
    """

    clips: tuple[Clip, ...]
    known: NDArray[np.bool_]
    figures: dict[str, Floats]
    samples: list[Sample]
    mean: Images
    training: dict[str, Any] = field(default_factory=dict)


def draw(rebuilt: Rebuilt, folder: Path) -> None:
    """Draw the samples into a folder, with originals and without."""
    columns = ("veiled", "reconstructed", "original")
    lines = [
        ("known" if rebuilt.known[place] else "unseen", images)
        for place, *images in rebuilt.samples
    ]
    draw_grid(folder / PICTURE, columns[:2], [(name, images[:2]) for name, images in lines])
    draw_grid(folder / WITH_ORIGINAL, columns, lines)


def store_samples(rebuilt: Rebuilt, keys: Sequence[str], folder: Path) -> list[RebuiltClip]:
    """Store the samples' frames and the mean frame as PNGs of their own pixels.

    Args:
        keys: The clips' keys in the data set.
    """
    _store(rebuilt.mean, folder / MEAN)
    found = []
    for number, sample in enumerate(rebuilt.samples, 1):
        names = [f"clip-{number}.png", f"clip-{number}-original.png"]
        for image, name in zip((sample.rebuilt, sample.original), names, strict=True):
            _store(image, folder / name)
        figures = {name: float(values[sample.place]) for name, values in rebuilt.figures.items()}
        found.append(
            RebuiltClip(
                clip=keys[sample.place],
                known=bool(rebuilt.known[sample.place]),
                psnr=peak_signal_to_noise(figures["error"]),
                ssim=figures["ssim"],
                baseline_psnr=peak_signal_to_noise(figures["mean_error"]),
                baseline_ssim=figures["mean_ssim"],
                picture=names[0],
                original=names[1],
            )
        )
    return found


def _store(image: Images, file: Path) -> None:
    pixels = (np.clip(image, 0, 1) * 255).round().astype(np.uint8)
    with atomic_path(file) as part:
        # matplotlib's hint knows no None, which leaves its name out of the file
        told: dict[str, Any] = {"Software": None}
        imsave(part, pixels, format="png", metadata=told)


def quality(rebuilt: Rebuilt, label: str, *, known: bool) -> ImageQuality:
    """Return the means over the clips of known or of unseen people, with intervals.

    Raises:
        MotionveilError: They come from one recording.
    """
    which = rebuilt.known == known
    clips = [clip for clip, taken in zip(rebuilt.clips, which, strict=True) if taken]
    figures = {name: values[which] for name, values in rebuilt.figures.items()}
    looked = not np.isnan(figures["faces"]).any()
    names = ["error", "ssim", "gmsd", "recognised", *(["faces"] if looked else [])]
    values = np.column_stack([figures[name] for name in names])
    drawn = bootstrap_means(values, numbered([clip.group for clip in clips]))
    measured = {
        name: Measured(value=float(column.mean()), interval=interval_of(samples))
        for name, column, samples in zip(names, values.T, drawn.T, strict=True)
    }
    error = measured["error"]
    high, low = (peak_signal_to_noise(value) for value in error.interval)
    mean = {name: float(column.mean()) for name, column in figures.items()}
    people = [clip.privacy[label] for clip in clips]
    return ImageQuality(
        clips=len(clips),
        psnr=Measured(value=peak_signal_to_noise(error.value), interval=(low, high)),
        ssim=measured["ssim"],
        gmsd=measured["gmsd"],
        recognised=measured["recognised"],
        baseline_psnr=peak_signal_to_noise(mean["mean_error"]),
        baseline_ssim=mean["mean_ssim"],
        baseline_gmsd=mean["mean_gmsd"],
        original_recognised=mean["original_recognised"],
        faces=measured.get("faces"),
        original_faces=mean["original_faces"] if looked else None,
        chance_level=max(people.count(person) for person in set(people)) / len(people),
    )
