"""One attack: a network is trained on veiled video to learn a label, and asked about other clips.

An attacker may try several learning rates and restarts, and read BatchNorm in three ways. Each
combination is a variant with answers of its own. Which one is reported is chosen without looking
at the clips that it is reported on, see `motionveil.audit.leak.strongest`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from lightning_fabric import Fabric
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from motionveil.audit.fitting import batches_of, fit
from motionveil.data.cache import ClipCache, Fit
from motionveil.data.dataset import Batch, ClipDataset
from motionveil.data.manifest import Clip
from motionveil.errors import MotionveilError
from motionveil.statistics import Floats, Integers
from motionveil.training.batchnorm import has_batchnorm, reestimate
from motionveil.training.privacy_view import all_frames, draw_frames
from motionveil.training.recipe import NetworkRecipe, Schedule
from motionveil.training.seeds import seed_for
from motionveil.training.views import VIEWS, View
from motionveil.training.watchers import make_watcher

Target = Literal["privacy", "action"]


class Attack(BaseModel):
    """What an attacker does.

    Attributes:
        name: Its name in reports and folders.
        kind: `"recognise"`: learns the classes of a label; `"retrieve"`: finds again people it has
            not learned from, see `motionveil.audit.retrieval`; `"reconstruct"`: computes the
            original video, see `motionveil.audit.reconstruction`; `"faces"`: looks for faces, see
            `motionveil.audit.faces`.
        target: Which label it tries to learn; `"action"` asks how useful the video is, by the
            same means.
        label: Which privacy label that is; the audit's own where it is empty.
        across: A label, or `"group"`: half of the clips is asked about by one who has learned from
            those that were filmed under its other values only, see `motionveil.audit.crossing`.
        control: With `across`: learn from as many clips of any value instead.
        view: What it makes of a clip before the network sees it, one of `VIEWS`.
        temporal: Whether the network sees the whole clip (an action network of the registry) or
            frame by frame (a privacy network).
        network: The network; for faces the detector with its file.
        schedule: How it is trained; not for faces.
        detector: Of a reconstruction: file of the detector that looks for faces in it.
        describer: Of faces: file of the network that describes them.
        rates: Learning rates to try; the schedule's own where there are none.
        restarts: How often each is tried, with other weights and draws.
        crops: Test-time averaging: so many cuts of a clip, drawn as in training, are seen besides
            its centre, as a further variant.
        quality: x264's crf of the video attacked; None for video that is not compressed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: Literal["recognise", "retrieve", "reconstruct", "faces"] = "recognise"
    target: Target = "privacy"
    label: str = ""
    across: str = ""
    control: bool = False
    view: str = "plain"
    temporal: bool = False
    network: NetworkRecipe
    schedule: Schedule
    rates: tuple[float, ...] = ()
    restarts: int = Field(default=1, ge=1)
    crops: int = Field(default=0, ge=0)
    quality: int | None = None
    detector: str = ""
    describer: str = ""

    @property
    def names_frames(self) -> bool:
        """Whether its answers are about single frames of the video, in their order."""
        return not self.temporal and self.view in ("plain", "integrated")


@dataclass(frozen=True)
class Ground:
    """What is attacked, and which clips an attacker may learn from.

    Attributes:
        cache: The clips, veiled or not.
        split: The part held out, one of the manifest's `splits()`.
        label: The privacy label.
        frames: Consecutive frames of a clip that an attacker sees.
        size: Width and height that networks see, in pixels.
        scales: Sides of the training crop as shares of the short side.
        seed: Decides everything that is drawn.
        fabric: Device and precision; one process.
        fit: How frames become squares, see `ClipDataset`.
        learned, asked: The clips to learn from, and those to be asked about, where they are not
            the whole parts of the split.
    """

    cache: ClipCache
    split: str
    label: str
    frames: int
    size: int
    scales: tuple[float, ...]
    seed: int
    fabric: Fabric
    fit: Fit = "short-side"
    learned: tuple[Clip, ...] | None = None
    asked: tuple[Clip, ...] | None = None

    def part(self, *, training: bool) -> Sequence[Clip]:
        """Return the clips to learn from, or those to be asked about."""
        chosen = self.learned if training else self.asked
        if chosen is not None:
            return chosen
        return self.cache.manifest.part(self.split, training=training)

    def clips(self, *, training: bool, drawn: bool) -> ClipDataset:
        """Return the clips to learn from or those held out, cut at random or at their centre."""
        return self.some(self.part(training=training), drawn=drawn)

    def some(self, clips: Sequence[Clip], *, drawn: bool) -> ClipDataset:
        """Return some clips, cut at random or at their centre."""
        return ClipDataset(
            self.cache,
            clips,
            t=self.frames,
            size=self.size,
            privacy_label=self.label,
            training=drawn,
            seed=self.seed,
            scales=self.scales,
            fit=self.fit,
        )


@dataclass(frozen=True)
class Answers:
    """What one variant of an attack says of the clips held out.

    Attributes:
        rate: Learning rate it was trained with.
        restart: Number of the restart, from 0.
        batchnorm: `"eval"`: statistics of the training; `"reestimated"`: of all clips held out;
            `"batch"`: of each batch of them.
        cuts: Number of cuts averaged over besides the centre.
        probabilities: Means over a clip's frames and cuts, (clips, classes).
        frames: Share of each clip's frames that the answer was right on, (clips,).
        surest: The frame of each clip's centre cut on which the true class was likeliest, (clips,).
        curve: Accuracy in training, on the clips as drawn, for each epoch.
    """

    rate: float
    restart: int
    batchnorm: str
    cuts: int
    probabilities: Floats
    frames: Floats
    surest: Integers
    curve: tuple[float, ...] = ()


def labels_of(ground: Ground, target: Target) -> Integers:
    """Return the true classes of the clips held out."""
    data = ground.clips(training=False, drawn=False)
    return np.asarray(data.actions if target == "action" else data.privacy)


def carry_out(attack: Attack, ground: Ground) -> list[Answers]:
    """Train an attack's networks and return the answers of every variant.

    Raises:
        MotionveilError: A loss is not finite, or the view or network is unknown.
    """
    view_of(attack)  # raises where there is none
    found: list[Answers] = []
    for rate in attack.rates or (attack.schedule.lr,):
        for restart in range(attack.restarts):
            torch.manual_seed(seed_for(ground.seed, "audit", attack.name, restart))
            schedule = attack.schedule.model_copy(update={"lr": rate})
            trained, rows = train(attack.model_copy(update={"schedule": schedule}), ground)
            curve = tuple(row[f"accuracy_{attack.target}"] for row in rows)
            asked = _ask(attack, ground, trained, rate, restart)
            found += [replace(answers, curve=curve) for answers in asked]
    return found


def network_of(attack: Attack, outputs: int) -> nn.Module:
    """Return an attack's network with so many outputs, drawn from torch's global generator."""
    return make_watcher(attack.network, outputs, temporal=attack.temporal)


def view_of(attack: Attack) -> View:
    """Return an attack's view.

    Raises:
        MotionveilError: There is no such view.
    """
    if attack.view not in VIEWS:
        raise MotionveilError(
            f"{attack.name}: no view {attack.view!r}; there are {', '.join(VIEWS)}"
        )
    return VIEWS[attack.view]


def _classes(attack: Attack, ground: Ground) -> int:
    manifest = ground.cache.manifest
    names = manifest.actions if attack.target == "action" else manifest.names_of(ground.label)
    return len(names)


def _truth(attack: Attack, batch: Batch) -> Tensor:
    return batch.actions if attack.target == "action" else batch.privacy


def look(attack: Attack, clips: Tensor) -> Tensor:
    """Return the attack's view of clips `(B, 3, T, H, W)` in [0, 1]."""
    return view_of(attack)(clips * 2 - 1)


def drawn_view(attack: Attack, batch: Batch, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Return what a network is shown of a batch in training, and the class of each of it.

    Whole clips, or some frames of each, drawn from torch's global generator.
    """
    view = look(attack, batch.clips)
    if attack.temporal:
        return view, truth
    frames = draw_frames(view, attack.schedule.privacy_frames)
    return frames, truth.repeat_interleave(len(frames) // len(truth))


def shown(attack: Attack, view: Tensor) -> Tensor:
    """Return what a network is shown of a view when it is asked: whole clips or every frame."""
    return view if attack.temporal else all_frames(view)


def train(attack: Attack, ground: Ground) -> tuple[nn.Module, list[dict[str, float]]]:
    """Train an attack's network on the clips to learn from; see `fit` for what is returned.

    Its weights are drawn from torch's global generator.

    Raises:
        MotionveilError: A loss is not finite, or there is no such network.
    """

    def step(network: nn.Module, batch: Batch, epoch: int) -> tuple[Tensor, dict[str, float]]:
        view, truth = drawn_view(attack, batch, _truth(attack, batch))
        answers = network(view)
        loss = cross_entropy(answers, truth)
        return loss, {
            f"loss_{attack.target}": loss.item(),
            f"accuracy_{attack.target}": float((answers.argmax(1) == truth).float().mean()),
        }

    network = network_of(attack, _classes(attack, ground))
    data = ground.clips(training=True, drawn=True)
    return fit(attack.name, network, data, attack.schedule, ground.fabric, step)


def _ask(
    attack: Attack, ground: Ground, network: nn.Module, rate: float, restart: int
) -> list[Answers]:
    """Return a trained network's answers, BatchNorm read in each way."""
    found = _answers(attack, ground, network, rate, restart, "eval")
    if has_batchnorm(network):
        # Wu et al. warn that the training's statistics alone can make video look far too private.
        network.train()
        found += _answers(attack, ground, network, rate, restart, "batch")
        network.eval()
        held_out = ground.clips(training=False, drawn=False)
        shuffled = batches_of(ground.fabric, held_out, attack.schedule.batch, 0, shuffle=True)
        reestimate(network, (shown(attack, look(attack, batch.clips)) for batch in shuffled))
        found += _answers(attack, ground, network, rate, restart, "reestimated")
    return found


@torch.no_grad()
def _answers(
    attack: Attack, ground: Ground, network: nn.Module, rate: float, restart: int, mode: str
) -> list[Answers]:
    """Return the answers for the clips' centres, and for the mean over more cuts."""
    seen = [_probabilities(attack, ground, network, drawn=False, epoch=0, mode=mode)]
    found = [_pooled(attack, ground, seen, rate, restart, mode)]
    if attack.crops:
        seen += [
            _probabilities(attack, ground, network, drawn=True, epoch=cut, mode=mode)
            for cut in range(attack.crops)
        ]
        found.append(_pooled(attack, ground, seen, rate, restart, mode))
    return found


def _pooled(
    attack: Attack, ground: Ground, seen: list[Floats], rate: float, restart: int, mode: str
) -> Answers:
    labels = labels_of(ground, attack.target)
    right = [(cut.argmax(axis=2) == labels[:, None]).mean(axis=1) for cut in seen]
    return Answers(
        rate=rate,
        restart=restart,
        batchnorm=mode,
        cuts=len(seen) - 1,
        probabilities=np.mean([cut.mean(axis=1) for cut in seen], axis=0),
        frames=np.mean(right, axis=0),
        surest=seen[0][np.arange(len(labels)), :, labels].argmax(axis=1),
    )


def _probabilities(
    attack: Attack, ground: Ground, network: nn.Module, *, drawn: bool, epoch: int, mode: str
) -> Floats:
    """Return the softmax for every frame, or for every clip as for one frame: (clips, T', K)."""
    data = ground.clips(training=False, drawn=drawn)
    found = np.empty(0)
    # BatchNorm of each batch must see a mixture, not one person's clips in the manifest's order.
    for batch in batches_of(
        ground.fabric, data, attack.schedule.batch, epoch, shuffle=mode == "batch"
    ):
        seen = shown(attack, look(attack, batch.clips))
        softmax = network(seen).float().softmax(1).cpu().double().numpy()
        answers = softmax.reshape(len(batch.clips), -1, softmax.shape[1])
        if not found.size:
            found = np.empty((len(data), *answers.shape[1:]))
        found[batch.positions.cpu().numpy()] = answers
    return found
