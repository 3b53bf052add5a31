"""Reconstruction: the original video computed from the veiled one (paper, section 5.4).

An attacker who has the encoder can veil any amount of video and learn to undo it. A 3D U-Net
(Çiçek et al., MICCAI 2016) is trained from veiled to original clips of some people, and scored on
clips held out, of these people and of others: by image quality, and by whom a network that was
trained on original video recognises in the reconstruction.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from motionveil.audit_results import Reconstruction
from motionveil.datasets.console import warn
from motionveil.datasets.dataset import Batch, ClipDataset
from motionveil.datasets.manifest import Clip
from motionveil.evaluation.attack import LearningAttack
from motionveil.evaluation.attacks.faces import Detect, face_detector, share_with_faces
from motionveil.evaluation.attacks.recognise import Recognise
from motionveil.evaluation.data import AttackData, Video, shuffled_people
from motionveil.evaluation.fit import Learner, as_stored, batches_of, fit, keep_back
from motionveil.evaluation.image_quality import (
    Images,
    gradient_deviation,
    mean_square,
    structural_similarity,
)
from motionveil.evaluation.rebuilt import (
    FIGURES,
    MEAN,
    PICTURE,
    WITH_ORIGINAL,
    Rebuilt,
    Sample,
    draw,
    quality,
    store_samples,
)
from motionveil.networks.backbones import ensure_torchvision
from motionveil.statistics import Floats
from motionveil.training.adversary_inputs import InputFormat, all_frames
from motionveil.training.loop import longest, saturated, seed_for
from motionveil.training.recipe import AttackerTraining

WIDTHS = (16, 32, 64, 128)
"""Channels of the U-Net at each of its scales: Çiçek et al.'s four, of half their widths."""

COARSEST = 8
"""Least side of the fourth scale, in pixels; smaller videos have three scales."""

LEFT_OUT = 4
"""Every how many-th person the U-Net never sees."""

SAMPLES = 4
"""Clips that are drawn, half of them of known people."""

_UNTIL_KNOWN = AttackerTraining(rates=(1.0,))
"""The network that recognises people needs fewer epochs than a U-Net, or more than a short one."""


class Reconstruct(LearningAttack):
    """Computes the original video.

    Attributes:
        network: Recognises people in the reconstruction; its schedule is the U-Net's too, but it
            learns until it knows the training clips (`AttackerTraining`).
        until: Ends the U-Net's training when its error on a part of the training clips
            (`held_out`) has not fallen for `patience` epochs, or after `longest`; the weights of
            the least error count. `accuracy`, `rates` and `trial` mean nothing here. None for the
            schedule's epochs, on all training clips.
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
        clips = data.as_filmed(rebuilt.clips)
        found = Reconstruction(
            **self.origin(data),
            known=quality(rebuilt, data.label, known=True),
            unseen=quality(rebuilt, data.label, known=False),
            **rebuilt.training,
            samples=store_samples(rebuilt, [clip.key for clip in clips], data.folder),
            mean_picture=MEAN,
            picture=PICTURE,
            picture_with_original=WITH_ORIGINAL,
            seconds=time.monotonic() - began,
        )
        if not found.converged:
            warn(
                f"{self.name}: had the U-Net converged after {len(found.losses)} epochs:"
                f" {found.convergence}; longer training may reconstruct more"
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
        rebuild, training = self._train_unet(data, original, unseen)
        torch.manual_seed(seed_for(data.seed, "audit", self.name, "recognise"))
        # On original video of everybody: the attacker's own images of them.
        recogniser = Recognise(
            name=f"{self.name}, recogniser",
            network=self.network,
            schedule=self.schedule,
            until=_UNTIL_KNOWN,
        )
        classifier = recogniser.trained(original).classifier
        networks = (rebuild, classifier.network)
        return replace(self._measure(data, original, unseen, networks, detect), training=training)

    def _train_unet(
        self, data: AttackData, original: AttackData, unseen: set[str]
    ) -> tuple[nn.Module, dict[str, Any]]:
        """Return the U-Net, and the fields of the finding that say how it was trained."""
        learned, kept = _of_known(data, unseen), None
        if self.until is not None:
            learned, asked = keep_back(learned, self.until.held_out, data.seed)
            kept = _KeptBack(data, original, asked, self.schedule.batch)
        veiled, partner = (part.some(learned, drawn=True) for part in (data, original))

        def loss(
            network: nn.Module, seen: Tensor, batch: Batch, epoch: int
        ) -> tuple[Tensor, dict[str, Tensor]]:
            # Cut as the veiled clips were: cuts depend on seed, epoch and position only.
            wanted = partner.load(batch.positions.tolist(), seed=veiled.seed, epoch=epoch)
            return l1_loss(network(seen), wanted.clips.to(seen.device)), {}

        learner = Learner(unet(data.size), "reconstruction", InputFormat(temporal=True), loss)
        (network,), curve = fit(
            *(f"{self.name}, U-Net", [learner], veiled, self.schedule, data.fabric),
            rule=self.until,
            error=None if kept is None else kept.error,
        )
        training: dict[str, Any] = {"losses": [epoch["loss_reconstruction"] for epoch in curve]}
        if self.until is not None and kept is not None:
            network.load_state_dict(kept.best)
            most = longest(self.schedule, self.until)
            training["held_out"] = kept.errors
            training["stopped"] = stopped_falling(kept.errors[:most], self.until)
            mean = _mean_clip(original, unseen, self.schedule.batch)
            training["held_out_mean"] = kept.error_of(lambda seen: mean.to(seen).expand_as(seen))
        return network, training

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
        veiled, filmed = (part.clips(training=False, drawn=False) for part in (data, original))
        clips = veiled.clips
        known = np.array([clip.privacy[data.label] not in unseen for clip in clips])
        chosen = _evenly(known)
        mean = _mean_clip(original, unseen, size)
        columns: list[Floats] = []
        samples: list[Sample] = []
        for batch, wanted in _pairs(data.fabric, veiled, filmed, size):
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
                    samples.append(Sample(position, *frames))
        figures = dict(zip(FIGURES, np.concatenate(columns).T, strict=True))
        return Rebuilt(clips, known, figures, samples, _middle(mean))


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


def _of_known(data: AttackData, unseen: set[str]) -> list[Clip]:
    part = data.manifest.part(data.split, training=True)
    return [clip for clip in part if clip.privacy[data.label] not in unseen]


class _KeptBack:
    """A U-Net's error on clips kept back from its training, and its weights where it was least.

    Args:
        clips: The clips.
        size: Clips in a batch.

    Attributes:
        errors: Mean absolute difference after each epoch.
        best: The weights of the least of them.
    """

    def __init__(
        self, data: AttackData, original: AttackData, clips: Sequence[Clip], size: int
    ) -> None:
        self._veiled, self._original = (p.some(clips, drawn=False) for p in (data, original))
        self._fabric, self._size = data.fabric, size
        self.errors: list[float] = []
        self.best: dict[str, Tensor] = {}

    @torch.no_grad()
    def error_of(self, rebuild: Callable[[Tensor], Tensor]) -> float:
        """Return the mean absolute difference of what is made of the veiled clips."""
        total = 0.0
        for batch, wanted in _pairs(self._fabric, self._veiled, self._original, self._size):
            total += float(l1_loss(rebuild(as_stored(batch.clips)), wanted)) * len(wanted)
        return total / len(self._veiled)

    def error(self, network: nn.Module) -> float:
        """Measure a network in evaluation mode, and keep its weights if none was better."""
        self.errors.append(self.error_of(network))
        if self.errors[-1] == min(self.errors):
            weights = network.state_dict()
            self.best = {name: value.detach().clone() for name, value in weights.items()}
        return self.errors[-1]


def stopped_falling(errors: Sequence[float], rule: AttackerTraining) -> bool:
    """Return whether an error had stopped falling at some epoch, as the rule means it."""
    return any(
        saturated([-error for error in errors[:done]], rule) for done in range(1, len(errors) + 1)
    )


def _pairs(
    fabric: Fabric, veiled: ClipDataset, original: ClipDataset, size: int
) -> Iterator[tuple[Batch, Tensor]]:
    """Yield clips in batches, veiled and original."""
    for batch in batches_of(fabric, veiled, size, 0, shuffle=False):
        wanted = original.load(batch.positions.tolist(), seed=veiled.seed, epoch=0)
        yield batch, wanted.clips.to(batch.clips.device)


@torch.no_grad()
def _mean_clip(original: AttackData, unseen: set[str], size: int) -> Tensor:
    """Return the mean original frame of the clips learned from, (3, 1, H, W)."""
    data = original.some(_of_known(original, unseen), drawn=False)
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
    predictions = network(all_frames(as_stored(clips))).argmax(1).reshape(len(clips), -1)
    shares: Floats = (predictions == labels[:, None]).double().mean(1).cpu().numpy()
    return shares


def _with_faces(clips: Tensor, detect: Detect | None) -> Floats:
    """Return the share of each clip's moments with a face, (B,); NaN without a detector."""
    if detect is None:
        return np.full(len(clips), np.nan)
    frames = (clips.permute(0, 2, 3, 4, 1) * 255).round().to(torch.uint8).cpu().numpy()
    return np.array([share_with_faces(list(clip), detect) for clip in frames])


def _middle(clip: Tensor) -> Images:
    """Return a clip's middle frame: (3, T, H, W) to (H, W, 3)."""
    frame: Images = clip[:, clip.shape[1] // 2].permute(1, 2, 0).float().cpu().numpy()
    return frame
