"""Reconstruction: the original video computed from the veiled one (paper, section 5.4).

An attacker who has the encoder can veil any amount of video and learn to undo it. A 3D U-Net
(Çiçek et al., MICCAI 2016) is trained from veiled to original clips of some people, and scored on
clips held out, of these people and of others: by image quality, and by whom a network that was
trained on original video recognises in the reconstruction.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from motionveil.audit_results import CONVERGED, ImageQuality, Measured, Reconstruction
from motionveil.datasets.console import warn
from motionveil.datasets.dataset import Batch, ClipDataset
from motionveil.datasets.manifest import Clip
from motionveil.evaluation.attack import LearningAttack
from motionveil.evaluation.attacks.faces import Detect, face_detector, share_with_faces
from motionveil.evaluation.attacks.recognise import Recognise
from motionveil.evaluation.data import AttackData, Video, shuffled_people
from motionveil.evaluation.fit import Learner, as_stored, batches_of, fit
from motionveil.evaluation.image_quality import (
    Images,
    draw_grid,
    gradient_deviation,
    mean_square,
    peak_signal_to_noise,
    structural_similarity,
)
from motionveil.networks.backbones import ensure_torchvision
from motionveil.statistics import Floats, bootstrap_means, interval_of, numbered
from motionveil.training.adversary_inputs import Look, all_frames
from motionveil.training.loop import seed_for

PICTURE, WITH_ORIGINAL = "reconstruction.png", "reconstruction-with-original.png"

WIDTHS = (16, 32, 64, 128)
"""Channels of the U-Net at each of its scales: Çiçek et al.'s four, of half their widths."""

COARSEST = 8
"""Least side of the fourth scale, in pixels; smaller videos have three scales."""

LEFT_OUT = 4
"""Every how many-th person the U-Net never sees."""

SAMPLES = 4
"""Clips that are drawn, half of them of known people."""

FIGURES = (
    *("error", "ssim", "gmsd", "mean_error", "mean_ssim", "mean_gmsd"),
    *("recognised", "original_recognised", "faces", "original_faces"),
)
"""What is measured of each clip: mean square error, SSIM and GMSD of the reconstruction and of the
mean of the training clips; shares of frames in which the person is named and a face is detected."""


@dataclass(frozen=True)
class Rebuilt:
    """What became of the clips held out.

    Attributes:
        clips: The clips.
        known: Whether the U-Net has learned from clips of the same person, (clips,).
        figures: Each of `FIGURES` for each clip, (clips,); NaN where no faces were looked for.
        samples: For some clips whether they are known, and a veiled, a reconstructed and an
            original frame.
        losses: The U-Net's loss in each epoch.
    """

    clips: tuple[Clip, ...]
    known: NDArray[np.bool_]
    figures: dict[str, Floats]
    samples: list[tuple[bool, tuple[Images, Images, Images]]]
    losses: list[float] = field(default_factory=list)


class Reconstruct(LearningAttack):
    """Computes the original video.

    Attributes:
        network: Recognises people in the reconstruction; its schedule is the U-Net's too.
        detector: File of the detector that looks for faces in it; empty for none.
    """

    description: ClassVar[str] = (
        "A 3D U-Net is trained from veiled to original clips; a network trained on original video"
        " is asked whom it recognises in the reconstruction."
    )
    needs_people: ClassVar[bool] = True
    kind: str = "reconstruct"
    detector: str = ""

    @property
    def videos(self) -> tuple[Video, ...]:
        """What it is carried out on."""
        return ("veiled",)

    def run(self, data: AttackData) -> Reconstruction:
        """Train, reconstruct and score; see `Attack.run`."""
        began = time.monotonic()
        assert data.folder is not None
        detect = face_detector(self.detector) if self.detector else None
        rebuilt = self.rebuild(data, data.original(), detect)
        draw(rebuilt, data.folder)
        found = Reconstruction(
            **self.origin(data),
            known=quality(rebuilt, data.label, known=True),
            unseen=quality(rebuilt, data.label, known=False),
            losses=rebuilt.losses,
            picture=PICTURE,
            picture_with_original=WITH_ORIGINAL,
            seconds=time.monotonic() - began,
        )
        falling = found.still_falling
        if falling is None or falling > CONVERGED:
            share = "unknown" if falling is None else f"{100 * falling:.0f} %"
            warn(
                f"{self.name}: the U-Net had not converged in {len(found.losses)} epochs (its loss"
                f" fell in their third quarter by: {share}); longer training may reconstruct more"
            )
        return found

    def rebuild(
        self, data: AttackData, original: AttackData, detect: Detect | None = None
    ) -> Rebuilt:
        """Train a U-Net and a network that recognises people, and measure what the first makes.

        Args:
            original: The same clips as filmed, each with as many frames.
            detect: Looks for faces in the reconstruction; None for not.

        Raises:
            MotionveilError: There are fewer than four people in both parts, or a loss is not
                finite.
        """
        drawn = shuffled_people(data, "reconstruction")
        unseen = set(drawn[: max(1, len(drawn) // LEFT_OUT)])
        torch.manual_seed(seed_for(data.seed, "audit", self.name, "u-net"))
        rebuild, losses = self._train_unet(data, original, unseen)
        torch.manual_seed(seed_for(data.seed, "audit", self.name, "recognise"))
        # On original video of everybody: the attacker's own images of them.
        recogniser = Recognise(
            name=f"{self.name}, recogniser", network=self.network, schedule=self.schedule
        )
        classifier = recogniser.trained(original).classifier
        networks = (rebuild, classifier.network)
        return replace(self._measure(data, original, unseen, networks, detect), losses=losses)

    def _train_unet(
        self, data: AttackData, original: AttackData, unseen: set[str]
    ) -> tuple[nn.Module, list[float]]:
        """Return the U-Net, and its loss in each epoch."""
        veiled, partner = (_of_known(part, unseen, drawn=True) for part in (data, original))

        def loss(
            network: nn.Module, seen: Tensor, batch: Batch, epoch: int
        ) -> tuple[Tensor, dict[str, Tensor]]:
            # Cut as the veiled clips were: cuts depend on seed, epoch and position only.
            wanted = partner.load(batch.positions.tolist(), seed=veiled.seed, epoch=epoch)
            return l1_loss(network(seen), wanted.clips.to(seen.device)), {}

        learner = Learner(unet(data.size), "reconstruction", Look(temporal=True), loss)
        title = f"{self.name}, U-Net"
        (network,), curve = fit(title, [learner], veiled, self.schedule, data.fabric)
        return network, [epoch["loss_reconstruction"] for epoch in curve]

    @torch.no_grad()
    def _measure(
        self,
        data: AttackData,
        original: AttackData,
        unseen: set[str],
        networks: tuple[nn.Module, nn.Module],
        detect: Detect | None,
    ) -> Rebuilt:
        rebuild, recognise = networks
        size = self.schedule.batch
        clips = data.clips(training=False, drawn=False).clips
        known = np.array([clip.privacy[data.label] not in unseen for clip in clips])
        chosen = _evenly(known)
        mean = _mean_clip(original, unseen, size)
        columns: list[Floats] = []
        samples = []
        for batch, wanted in _pairs(data, original, size):
            found = rebuild(as_stored(batch.clips)).float().clamp(0, 1)
            constant = mean.to(found.device).expand_as(found)
            columns.append(
                np.column_stack(
                    [
                        *_similarity(found, wanted),
                        *_similarity(constant, wanted),
                        _named(recognise, found, batch.privacy),
                        _named(recognise, wanted, batch.privacy),
                        _with_faces(found, detect),
                        _with_faces(wanted, detect),
                    ]
                )
            )
            for row, position in enumerate(batch.positions.tolist()):
                if position in chosen:
                    frames = (_middle(c[row]) for c in (batch.clips, found, wanted))
                    veiled_frame, rebuilt_frame, original_frame = frames
                    images = (veiled_frame, rebuilt_frame, original_frame)
                    samples.append((bool(known[position]), images))
        figures = dict(zip(FIGURES, np.concatenate(columns).T, strict=True))
        return Rebuilt(clips, known, figures, samples)


def draw(rebuilt: Rebuilt, folder: Path) -> None:
    """Draw the samples into a folder, with originals and without."""
    columns = ("veiled", "reconstructed", "original")
    lines = [("known" if known else "unseen", images) for known, images in rebuilt.samples]
    draw_grid(folder / PICTURE, columns[:2], [(name, images[:2]) for name, images in lines])
    draw_grid(folder / WITH_ORIGINAL, columns, lines)


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


def unet(size: int) -> nn.Module:
    """Return MONAI's U-Net for clips of a size; time keeps its length, since clips are short.

    With BatchNorm: MONAI's usual instance normalisation forgets how bright a clip is.
    """
    coarsest, rest = divmod(size, 2 ** (len(WIDTHS) - 1))
    widths = WIDTHS if coarsest >= COARSEST and not rest else WIDTHS[:-1]
    ensure_torchvision()
    from monai.networks.nets import UNet

    strides = [(1, 2, 2)] * (len(widths) - 1)
    return UNet(
        spatial_dims=3,
        in_channels=3,
        out_channels=3,
        channels=widths,
        strides=strides,  # type: ignore[arg-type]  # MONAI's hint means any tuple
        num_res_units=1,
        norm="batch",
    )


def _of_known(data: AttackData, unseen: set[str], *, drawn: bool) -> ClipDataset:
    part = data.manifest.part(data.split, training=True)
    clips = [clip for clip in part if clip.privacy[data.label] not in unseen]
    return data.some(clips, drawn=drawn)


def _pairs(veiled: AttackData, original: AttackData, size: int) -> Iterator[tuple[Batch, Tensor]]:
    """Yield the clips held out in batches, veiled and original."""
    data, partner = (part.clips(training=False, drawn=False) for part in (veiled, original))
    for batch in batches_of(veiled.fabric, data, size, 0, shuffle=False):
        wanted = partner.load(batch.positions.tolist(), seed=data.seed, epoch=0)
        yield batch, wanted.clips.to(batch.clips.device)


@torch.no_grad()
def _mean_clip(original: AttackData, unseen: set[str], size: int) -> Tensor:
    """Return the mean original frame of the clips learned from, (3, 1, H, W)."""
    data = _of_known(original, unseen, drawn=False)
    total = torch.zeros(3, 1, original.size, original.size)
    for batch in batches_of(original.fabric, data, size, 0, shuffle=False):
        total += batch.clips.mean(2, keepdim=True).sum(0).cpu()
    return total / len(data)


def _evenly(known: NDArray[np.bool_]) -> set[int]:
    """Return places of clips, half of them of known people, spread over the data set."""
    chosen: set[int] = set()
    for group in (np.flatnonzero(known), np.flatnonzero(~known)):
        spread = np.linspace(0, len(group) - 1, min(len(group), SAMPLES // 2)).round()
        chosen.update(group[spread.astype(int)].tolist())
    return chosen


def _similarity(found: Tensor, wanted: Tensor) -> tuple[Floats, Floats, Floats]:
    """Return for each clip its mean square error, SSIM and GMSD: (B,) each."""
    clips, frames = len(found), found.shape[2]
    pair = (all_frames(found), all_frames(wanted))
    each = (mean_square(*pair), structural_similarity(*pair), gradient_deviation(*pair))
    error, alike, apart = (
        values.reshape(clips, frames).mean(1).double().cpu().numpy() for values in each
    )
    return error, alike, apart


def _named(network: nn.Module, clips: Tensor, labels: Tensor) -> Floats:
    """Return the share of each clip's frames in which a network names the person: (B,)."""
    guesses = network(all_frames(as_stored(clips))).argmax(1).reshape(len(clips), -1)
    shares: Floats = (guesses == labels[:, None]).double().mean(1).cpu().numpy()
    return shares


def _with_faces(clips: Tensor, detect: Detect | None) -> Floats:
    """Return the share of each clip's moments with a face, (B,); NaN where nobody looks."""
    if detect is None:
        return np.full(len(clips), np.nan)
    frames = (clips.permute(0, 2, 3, 4, 1) * 255).round().to(torch.uint8).cpu().numpy()
    return np.array([share_with_faces(list(clip), detect) for clip in frames])


def _middle(clip: Tensor) -> Images:
    """Return a clip's middle frame: (3, T, H, W) to (H, W, 3)."""
    frame: Images = clip[:, clip.shape[1] // 2].permute(1, 2, 0).float().cpu().numpy()
    return frame
