"""Reconstruction: the video as it was filmed, computed from the veiled one (paper, section 5.4).

An attacker who has the encoder can veil any amount of video and learn to undo it. A 3D U-Net
(Çiçek et al., MICCAI 2016) is trained from veiled to original clips of some people, and judged on
clips held out, of these people and of others. How good a reconstruction is, is not only how near
its pixels are to the original's: a network that has learned who is who from original video is
asked whom it sees in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from motionveil.audit.attack import Attack, Ground, train
from motionveil.audit.faces import Detect, share_with_faces
from motionveil.audit.fitting import batches_of, fit
from motionveil.audit.likeness import gradient_deviation, mean_square, structure
from motionveil.audit.pictures import Images
from motionveil.audit.retrieval import shuffled_people
from motionveil.data.cache import ClipCache
from motionveil.data.dataset import Batch, ClipDataset
from motionveil.data.manifest import Clip
from motionveil.networks.backbones import ensure_torchvision
from motionveil.statistics import Floats, Integers
from motionveil.training.privacy_view import all_frames
from motionveil.training.seeds import seed_for

WIDTHS = (16, 32, 64)
"""Channels of the U-Net at each of its scales."""

LEFT_OUT = 4
"""Every how many-th person the U-Net never sees."""


@dataclass(frozen=True)
class Rebuilt:
    """What became of the clips held out.

    Attributes:
        clips: The clips.
        known: Whether the U-Net has learned from clips of the same person, (clips,).
        error: Mean square error of each clip, values in [0, 1], (clips,).
        structure: Mean SSIM over a clip's frames, (clips,).
        gradients: Mean GMSD over a clip's frames, (clips,).
        blank_error, blank_structure, blank_gradients: The same for the mean of all clips learned
            from, as if nothing had been seen of the clip.
        recognised, recognised_original: Share of each clip's frames in which a network trained on
            original video names the person, in the reconstruction and in the original, (clips,).
        labels: Who each clip shows, (clips,).
        faces, original_faces: Share of each clip's frames in which a face is found, in the
            reconstruction and in the original, (clips,); not a number where none was looked for.
    """

    clips: tuple[Clip, ...]
    known: NDArray[np.bool_]
    error: Floats
    structure: Floats
    gradients: Floats
    blank_error: Floats
    blank_structure: Floats
    blank_gradients: Floats
    recognised: Floats
    recognised_original: Floats
    labels: Integers
    faces: Floats
    original_faces: Floats


@dataclass(frozen=True)
class Sample:
    """One moment of a clip: what was filmed, what was veiled, and what was computed of that.

    Attributes:
        clip: The clip.
        known: Whether the U-Net has learned from clips of the same person.
        original, veiled, rebuilt: float32 (H, W, 3) in [0, 1].
    """

    clip: Clip
    known: bool
    original: Images
    veiled: Images
    rebuilt: Images


def reconstruct(
    attack: Attack,
    ground: Ground,
    filmed: ClipCache,
    samples: int = 4,
    detect: Detect | None = None,
) -> tuple[Rebuilt, list[Sample]]:
    """Train a U-Net and a network that recognises people, and judge what the first makes.

    Args:
        attack: Its `network` is the one that recognises; its schedule is that of both.
        ground: The veiled clips.
        filmed: The same clips as they were filmed, each with as many frames.
        samples: How many clips to return a moment of, half of them of known people.
        detect: Looks for faces in what was computed; None for not.

    Raises:
        MotionveilError: There are fewer than four people in both parts, or a loss is not finite.
    """
    original = replace(ground, cache=filmed)
    strangers = _strangers(ground)
    torch.manual_seed(seed_for(ground.seed, "audit", attack.name, "u-net"))
    rebuild = _train_unet(attack, ground, original, strangers)
    torch.manual_seed(seed_for(ground.seed, "audit", attack.name, "recognise"))
    # On original video of everybody: the attacker's own pictures of them.
    recogniser = attack.model_copy(update={"name": f"{attack.name}, recogniser"})
    recognise, _ = train(recogniser, original)
    return _judge(attack, ground, original, strangers, (rebuild, recognise), samples, detect)


def _strangers(ground: Ground) -> set[str]:
    """Return the people whom the U-Net never sees."""
    drawn = shuffled_people(ground, "reconstruction")
    return set(drawn[: max(1, len(drawn) // LEFT_OUT)])


def _unet() -> nn.Module:
    """Return MONAI's U-Net for clips; time keeps its length, since clips are short.

    With BatchNorm: MONAI's usual instance normalisation forgets how bright a clip is.
    """
    ensure_torchvision()
    from monai.networks.nets import UNet

    strides = [(1, 2, 2)] * (len(WIDTHS) - 1)
    return UNet(
        spatial_dims=3,
        in_channels=3,
        out_channels=3,
        channels=WIDTHS,
        strides=strides,  # type: ignore[arg-type]  # MONAI's hint means any tuple
        num_res_units=1,
        norm="batch",
    )


def _train_unet(attack: Attack, veiled: Ground, original: Ground, strangers: set[str]) -> nn.Module:
    def step(network: nn.Module, batch: Batch, epoch: int) -> tuple[Tensor, dict[str, float]]:
        # Cut as the veiled clips were: cuts depend on seed, epoch and position only.
        wanted = partner.load(batch.positions.tolist(), seed=data.seed, epoch=epoch)
        target = wanted.clips.to(batch.clips.device)
        loss = l1_loss(network(batch.clips * 2 - 1), target)
        return loss, {"loss_reconstruction": loss.item()}

    data, partner = (_of_known(ground, strangers, drawn=True) for ground in (veiled, original))
    return fit(f"{attack.name}, U-Net", _unet(), data, attack.schedule, veiled.fabric, step)[0]


def _of_known(ground: Ground, strangers: set[str], *, drawn: bool) -> ClipDataset:
    part = ground.cache.manifest.part(ground.split, training=True)
    clips = [clip for clip in part if clip.privacy[ground.label] not in strangers]
    return ground.some(clips, drawn=drawn)


def _pairs(veiled: Ground, original: Ground, size: int) -> Iterator[tuple[Batch, Tensor]]:
    """Yield the clips held out in batches, veiled and original."""
    data, partner = (ground.clips(training=False, drawn=False) for ground in (veiled, original))
    for batch in batches_of(veiled.fabric, data, size, 0, shuffle=False):
        wanted = partner.load(batch.positions.tolist(), seed=data.seed, epoch=0)
        yield batch, wanted.clips.to(batch.clips.device)


@torch.no_grad()
def _mean_clip(original: Ground, strangers: set[str], size: int) -> Tensor:
    """Return the mean original frame of the clips learned from, (3, 1, H, W)."""
    data = _of_known(original, strangers, drawn=False)
    total = torch.zeros(3, 1, original.size, original.size)
    for batch in batches_of(original.fabric, data, size, 0, shuffle=False):
        total += batch.clips.mean(2, keepdim=True).sum(0).cpu()
    return total / len(data)


@torch.no_grad()
def _judge(
    attack: Attack,
    veiled: Ground,
    original: Ground,
    strangers: set[str],
    networks: tuple[nn.Module, nn.Module],
    samples: int,
    detect: Detect | None,
) -> tuple[Rebuilt, list[Sample]]:
    rebuild, recognise = networks
    size = attack.schedule.batch
    held_out = veiled.clips(training=False, drawn=False)
    known = np.array([clip.privacy[veiled.label] not in strangers for clip in held_out.clips])
    chosen = _evenly(known, samples)
    blank = _mean_clip(original, strangers, size)
    columns: list[Floats] = []
    shown: list[Sample] = []
    for batch, wanted in _pairs(veiled, original, size):
        found = rebuild(batch.clips * 2 - 1).float().clamp(0, 1)
        nothing = blank.to(found.device).expand_as(found)
        columns.append(
            np.column_stack(
                [
                    *_likeness(found, wanted),
                    *_likeness(nothing, wanted),
                    _named(recognise, found, batch.privacy),
                    _named(recognise, wanted, batch.privacy),
                    _with_faces(found, detect),
                    _with_faces(wanted, detect),
                ]
            )
        )
        for row, position in enumerate(batch.positions.tolist()):
            if position in chosen:
                images = [_moment(clips[row]) for clips in (wanted, batch.clips, found)]
                clip = held_out.clips[position]
                shown.append(Sample(clip, bool(known[position]), *images))
    measured = np.concatenate(columns)
    error, alike, apart, *of_blank = measured.T[:6]
    named, original_named, faces, original_faces = measured.T[6:]
    rebuilt = Rebuilt(
        clips=held_out.clips,
        known=known,
        error=error,
        structure=alike,
        gradients=apart,
        blank_error=of_blank[0],
        blank_structure=of_blank[1],
        blank_gradients=of_blank[2],
        recognised=named,
        recognised_original=original_named,
        labels=np.asarray(held_out.privacy),
        faces=faces,
        original_faces=original_faces,
    )
    return rebuilt, shown


def _evenly(known: NDArray[np.bool_], samples: int) -> set[int]:
    """Return places of clips, half of them of known people, spread over the data set."""
    chosen: set[int] = set()
    for group in (np.flatnonzero(known), np.flatnonzero(~known)):
        spread = np.linspace(0, len(group) - 1, min(len(group), samples // 2)).round()
        chosen.update(group[spread.astype(int)].tolist())
    return chosen


def _likeness(found: Tensor, wanted: Tensor) -> tuple[Floats, Floats, Floats]:
    """Return for each clip its mean square error, SSIM and GMSD: (B,) each."""
    clips, frames = len(found), found.shape[2]
    pair = (all_frames(found), all_frames(wanted))
    each = (mean_square(*pair), structure(*pair), gradient_deviation(*pair))
    error, alike, apart = (
        values.reshape(clips, frames).mean(1).double().cpu().numpy() for values in each
    )
    return error, alike, apart


def _named(network: nn.Module, clips: Tensor, labels: Tensor) -> Floats:
    """Return the share of each clip's frames in which a network names the person: (B,)."""
    guesses = network(all_frames(clips * 2 - 1)).argmax(1).reshape(len(clips), -1)
    shares: Floats = (guesses == labels[:, None]).double().mean(1).cpu().numpy()
    return shares


def _with_faces(clips: Tensor, detect: Detect | None) -> Floats:
    """Return the share of each clip's moments with a face, (B,); NaN where nobody looks."""
    if detect is None:
        return np.full(len(clips), np.nan)
    frames = (clips.permute(0, 2, 3, 4, 1) * 255).round().to(torch.uint8).cpu().numpy()
    return np.array([share_with_faces(list(clip), detect) for clip in frames])


def _moment(clip: Tensor) -> Images:
    """Return a clip's middle frame: (3, T, H, W) to (H, W, 3)."""
    frame: Images = clip[:, clip.shape[1] // 2].permute(1, 2, 0).float().cpu().numpy()
    return frame
