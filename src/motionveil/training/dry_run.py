"""A dry run: a few real training steps, which show what a long training needs.

Both moves are made with the recipe's networks and sizes on clips of the data set. Only the clips
that these steps need are decoded, and of each no more frames than the recipe takes, into a
temporary folder: nothing is kept.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count, islice
from statistics import mean
from tempfile import TemporaryDirectory

import torch
from lightning_fabric import Fabric

from motionveil.datasets.cache import ClipCache
from motionveil.datasets.dataset import Batch, ClipDataset, batch_count, batches
from motionveil.datasets.manifest import Manifest
from motionveil.encoders import build_encoder
from motionveil.methods import Choice
from motionveil.training.adversarial import AdversarialTraining
from motionveil.training.adversary_inputs import draw_frames
from motionveil.training.experiment import Experiment
from motionveil.training.recipe import NetworkRecipe, Recipe

WARM_UP = 1
"""Steps that are not timed: kernels are compiled and memory is taken in them."""

STEPS = 3
"""Steps that are timed."""


@dataclass(frozen=True)
class DryRun:
    """What the steps showed.

    Attributes:
        recipe: The recipe.
        training_clips: Number of clips to train on, in the whole data set.
        clip: Shape of a batch of clips, `(B, 3, T, H, W)`.
        veiled: Shape of the veiled batch, `(B, 3, T - 1, H, W)`.
        frames: Shape of what the privacy network is given, `(B * privacy_frames, 3, H, W)`.
        parameters: Number of parameters of `"E"`, `"T"` and `"P"`, and of further adversaries,
            `"P2"` and so on.
        device: Where it ran, such as `"cuda:0"`.
        memory: Most bytes in use at once: on the device for CUDA, else of the whole process; None
            where that cannot be told.
        computing: Seconds that each timed step took to compute.
        loading: Seconds that it took to draw, cut and resize each of their batches, which a
            training does beside the computing.
    """

    recipe: Recipe
    training_clips: int
    clip: tuple[int, ...]
    veiled: tuple[int, ...]
    frames: tuple[int, ...]
    parameters: dict[str, int]
    device: str
    memory: int | None
    computing: tuple[float, ...]
    loading: tuple[float, ...]

    @property
    def fresh(self) -> list[str]:
        """Names of the networks that had fresh weights in place of pretrained ones."""
        further = [
            self.recipe.network_of(adversary) for adversary in self.recipe.adversarial.further
        ]
        networks = [self.recipe.action, self.recipe.privacy, *further]
        return list(dict.fromkeys(n.name for n in networks if _is_download(n)))

    @property
    def steps(self) -> int:
        """Steps an epoch."""
        return batch_count(self.training_clips, self.recipe.adversarial.batch)

    @property
    def step_seconds(self) -> float:
        """Seconds a step: the slower of computing it and loading the next batch."""
        return max(mean(self.computing), mean(self.loading))

    @property
    def epoch_seconds(self) -> float:
        """Seconds an epoch."""
        return self.steps * self.step_seconds

    @property
    def training_seconds(self) -> float:
        """Seconds of all epochs."""
        return self.recipe.adversarial.epochs * self.epoch_seconds

    @property
    def validation_seconds(self) -> float:
        """Seconds to train the validation's networks, at the adversarial training's time per clip.

        It costs less: no gradient reaches the encoder, the privacy network runs once and further
        adversaries not at all. Scoring is not counted.
        """
        clips = self.recipe.validation.epochs * self.training_clips
        return clips * self.step_seconds / self.recipe.adversarial.batch


def dry_run(
    manifest: Manifest,
    recipe: Recipe,
    *,
    choice: Choice | None = None,
    split: str,
    privacy_label: str,
    seed: int,
    fabric: Fabric,
    workers: int | None = None,
) -> DryRun:
    """Make one step to warm up and three that are timed.

    Weights that the recipe calls `pretrained` are not fetched: fresh ones have the same size and
    take the same time. A file of weights is read, and must fit.

    Args:
        choice: The method to train; BDQ if None.
        split: The part held out, one of the manifest's `splits()`.
        privacy_label: The label that the adversary tries to learn.
        seed: Decides everything that is drawn.
        workers: Videos decoded in parallel.

    Raises:
        MotionveilError: A clip cannot be read, nothing moves in the clips, or the networks cannot
            be made.
    """
    few = _few_clips(manifest, recipe, split, privacy_label)
    with TemporaryDirectory(prefix="motionveil-", ignore_cleanup_errors=True) as folder:
        cache = ClipCache.build(
            few,
            size=recipe.cache_size,
            fit=recipe.fit,
            rate=recipe.rate,
            folder=folder,
            workers=workers,
        )
        experiment = Experiment(
            cache, _without_download(recipe), split, privacy_label, seed, fabric
        )
        return _measure(experiment, recipe, choice, len(manifest.part(split, training=True)))


def _is_download(network: NetworkRecipe) -> bool:
    return network.weights == "pretrained"


def _without_download(recipe: Recipe) -> Recipe:
    further = tuple(
        adversary.model_copy(update={"network": _fresh(recipe.network_of(adversary))})
        for adversary in recipe.adversarial.further
    )
    return recipe.model_copy(
        update={
            "action": _fresh(recipe.action),
            "privacy": _fresh(recipe.privacy),
            "adversarial": recipe.adversarial.model_copy(update={"further": further}),
        }
    )


def _fresh(network: NetworkRecipe) -> NetworkRecipe:
    return NetworkRecipe(name=network.name) if _is_download(network) else network


def _few_clips(manifest: Manifest, recipe: Recipe, split: str, privacy_label: str) -> Manifest:
    """Return a manifest of the clips that the steps need, each cut to what a step takes of it.

    It has every action and every name of the label, so that the networks get their real size, and
    a clip that is held out, so that it has the split.
    """
    needed = (WARM_UP + STEPS) * recipe.adversarial.batch
    first = {clip.action: clip for clip in reversed(manifest.clips)}
    columns = manifest.columns_of(privacy_label)
    named = {(c, clip.privacy[c]): clip for clip in reversed(manifest.clips) for c in columns}
    chosen = [
        *manifest.part(split, training=True)[:needed],
        *manifest.part(split, training=False)[:1],
        *first.values(),
        *named.values(),
    ]
    # Nobody has asked the videos yet how many of their frames a rate takes.
    cut = [
        clip if recipe.rate else replace(clip, end=min(clip.end, clip.start + recipe.frames))
        for clip in chosen
    ]
    unique = {clip.key: clip for clip in cut}
    return replace(manifest, clips=tuple(unique.values()), file=None)


def _measure(
    experiment: Experiment, recipe: Recipe, choice: Choice | None, training_clips: int
) -> DryRun:
    models = experiment.models(build_encoder(experiment.untrained(choice)))
    data = experiment.clips(training=True)
    training = AdversarialTraining(
        experiment.fabric, models, data, experiment.recipe, experiment.seed
    )
    computing, loading = [], []
    drawn = _batches(experiment, data)
    for _ in range(WARM_UP + STEPS):
        began = time.perf_counter()
        loaded = next(drawn)
        between = time.perf_counter()
        batch = Batch(*experiment.fabric.to_device(tuple(loaded)))
        training.step_encoder(batch)
        training.step_privacy(batch)
        _wait_for(experiment.fabric.device)
        loading.append(between - began)
        computing.append(time.perf_counter() - between)
    memory = _peak_memory(experiment.fabric.device)
    with torch.no_grad():
        veiled = models.encoder(batch.clips)
    roles = {"E": models.encoder, "T": models.action, "P": models.privacy}
    roles |= {f"P{n}": adversary.network for n, adversary in enumerate(models.further, 2)}
    return DryRun(
        recipe=recipe,
        training_clips=training_clips,
        clip=tuple(batch.clips.shape),
        veiled=tuple(veiled.shape),
        frames=tuple(draw_frames(veiled, recipe.adversarial.privacy_frames).shape),
        parameters={role: sum(p.numel() for p in net.parameters()) for role, net in roles.items()},
        device=str(experiment.fabric.device),
        memory=memory,
        computing=tuple(computing[WARM_UP:]),
        loading=tuple(loading[WARM_UP:]),
    )


def _batches(experiment: Experiment, data: ClipDataset) -> Iterator[Batch]:
    """Yield whole batches without end."""
    size, fabric = experiment.recipe.adversarial.batch, experiment.fabric
    for epoch in count():
        drawn = batches(
            data,
            size,
            epoch=epoch,
            seed=experiment.seed,
            rank=fabric.global_rank,
            ranks=fabric.world_size,
        )
        # Without the last one, if it is short.
        yield from islice(drawn, max(1, len(data) // size))


def _wait_for(device: torch.device) -> None:
    """Wait until the device has done what it was given; a CPU has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _peak_memory(device: torch.device) -> int | None:
    """Return the most bytes in use at once so far."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # kibibytes on Linux
