"""Re-identification: finding people again whom the attacker's network has never been trained on.

A network learns, on some people, to put clips of one person near each other; then clips of other
people are searched for among clips of other recordings. Half of the people are left out of the
training, then the other half, so that everybody is searched for once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from motionveil.audit.attack import Attack, Ground, drawn_view, look, network_of, shown
from motionveil.audit.fitting import batches_of, fit
from motionveil.data.dataset import Batch
from motionveil.data.manifest import Clip, Manifest
from motionveil.errors import MotionveilError
from motionveil.training.batchnorm import reestimate
from motionveil.training.seeds import seed_for

SIZE = 64
"""Numbers that describe a clip."""

_SCALE = 16.0  # of the cosines that the softmax sees, as in Wang et al., CosFace (CVPR 2018)
_LEAST_PEOPLE = 4


@dataclass(frozen=True)
class Hunt:
    """The searches for one half of the people.

    Attributes:
        people: The people searched for, as places in the label's names.
        queries, gallery: The clips held out, and those of the training part, of these people.
        similarity: Cosines of their descriptions, (queries, gallery).
    """

    people: tuple[int, ...]
    queries: tuple[Clip, ...]
    gallery: tuple[Clip, ...]
    similarity: NDArray[np.float64]


def retrieve(attack: Attack, ground: Ground) -> list[Hunt]:
    """Train on one half of the people and search for the other, and the other way round.

    Raises:
        MotionveilError: There are fewer than four people with clips in both parts, or a loss is
            not finite.
    """
    people = shuffled_people(ground, "retrieval")
    halves = (people[::2], people[1::2])
    return [_hunt(attack, ground, half, people) for half, people in enumerate(halves)]


def people_in_both(manifest: Manifest, split: str, label: str) -> list[str]:
    """Return the people of whom there are clips in both parts, in alphabetical order.

    Raises:
        MotionveilError: They are fewer than four.
    """
    both = set(manifest.names_of(label))
    for training in (False, True):
        both &= {clip.privacy[label] for clip in manifest.part(split, training=training)}
    if len(both) < _LEAST_PEOPLE:
        raise MotionveilError(
            f"{manifest.name}: {len(both)} values of {label!r} are in both parts; finding people"
            f" again needs {_LEAST_PEOPLE}, two to learn from and two to find"
        )
    return sorted(both)


def shuffled_people(ground: Ground, purpose: str) -> list[str]:
    """Return the people who are in both parts, in an order drawn for a purpose.

    Raises:
        MotionveilError: They are fewer than four.
    """
    people = people_in_both(ground.cache.manifest, ground.split, ground.label)
    rng = np.random.default_rng(seed_for(ground.seed, purpose))
    return [people[place] for place in rng.permutation(len(people))]


def _hunt(attack: Attack, ground: Ground, half: int, people: list[str]) -> Hunt:
    manifest = ground.cache.manifest
    learned: list[Clip] = []
    gallery: list[Clip] = []
    for clip in manifest.part(ground.split, training=True):
        (gallery if clip.privacy[ground.label] in people else learned).append(clip)
    queries = [
        clip
        for clip in manifest.part(ground.split, training=False)
        if clip.privacy[ground.label] in people
    ]
    torch.manual_seed(seed_for(ground.seed, "audit", attack.name, half))
    network = _train(attack, ground, learned)
    # The attacker has the gallery, if not its names: BatchNorm is estimated again on it.
    drawn = ground.some(gallery, drawn=False)
    shuffled = batches_of(ground.fabric, drawn, attack.schedule.batch, 0, shuffle=True)
    reestimate(network, (shown(attack, look(attack, batch.clips)) for batch in shuffled))
    found = [_describe(attack, ground, network, clips) for clips in (queries, gallery)]
    names = manifest.names_of(ground.label)
    return Hunt(
        tuple(names.index(person) for person in people),
        tuple(queries),
        tuple(gallery),
        (found[0] @ found[1].T).double().numpy(),
    )


class _Describer(nn.Module):
    """A network whose outputs describe, and the people that it learns from as directions."""

    def __init__(self, network: nn.Module, people: int) -> None:
        super().__init__()
        self.network = network
        self.directions = nn.Parameter(torch.randn(people, SIZE))

    def forward(self, frames: Tensor) -> Tensor:
        """Return descriptions of length 1, (N, SIZE)."""
        return normalize(self.network(frames))


def _train(attack: Attack, ground: Ground, clips: list[Clip]) -> nn.Module:
    """Train a network to tell people apart by the direction of its output, and return it."""
    data = ground.some(clips, drawn=True)
    known = {label: place for place, label in enumerate(sorted(set(data.privacy.tolist())))}
    model = _Describer(network_of(attack, SIZE), len(known))

    def step(network: nn.Module, batch: Batch, epoch: int) -> tuple[Tensor, dict[str, float]]:
        labels = torch.tensor([known[label] for label in batch.privacy.tolist()])
        labels = labels.to(batch.clips.device)
        view, truth = drawn_view(attack, batch, labels)
        cosines = network(view) @ normalize(model.directions).T
        loss = cross_entropy(_SCALE * cosines, truth)
        return loss, {
            "loss_privacy": loss.item(),
            "accuracy_privacy": float((cosines.argmax(1) == truth).float().mean()),
        }

    return fit(attack.name, model, data, attack.schedule, ground.fabric, step)[0]


@torch.no_grad()
def _describe(attack: Attack, ground: Ground, network: nn.Module, clips: list[Clip]) -> Tensor:
    """Return a description of each clip, the mean over its frames, of length 1: (clips, SIZE)."""
    data = ground.some(clips, drawn=False)
    found = []
    for batch in batches_of(ground.fabric, data, attack.schedule.batch, 0, shuffle=False):
        outputs = network(shown(attack, look(attack, batch.clips))).float()
        found.append(normalize(outputs.reshape(len(batch.clips), -1, SIZE).mean(1)).cpu())
    return torch.cat(found)
