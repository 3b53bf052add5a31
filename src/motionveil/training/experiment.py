"""One experiment: data, split, method, recipe and seed, from names or from objects."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from pydantic import ValidationError
from torch import nn

from motionveil._version import __version__
from motionveil.datasets.cache import ClipCache, Fit
from motionveil.datasets.console import warn
from motionveil.datasets.dataset import ClipDataset, batches
from motionveil.datasets.loaders import median_rate
from motionveil.datasets.loaders.folder import index
from motionveil.datasets.manifest import Clip, Manifest, choose_label, choose_name
from motionveil.datasets.validate_manifest import refuse_unlearnable
from motionveil.encoders import Encoder, build_encoder, calibrate_range
from motionveil.errors import MotionveilError, describe_faults
from motionveil.geometry import Geometry
from motionveil.methods import Choice, Start, choose
from motionveil.networks.weights import source_of_weights
from motionveil.results import Dataset, Order
from motionveil.spec import UNTRAINED_NOTE, EncoderSpec
from motionveil.training.adversarial import AdversarialModels, train_adversarial
from motionveil.training.adversaries import Adversary, Networks, create_network
from motionveil.training.adversary_inputs import InputFormat
from motionveil.training.distributed import first_process_first, loading_threads, make_fabric
from motionveil.training.loop import ADVERSARIAL, Tracker, seed_for
from motionveil.training.recipe import NetworkRecipe, Recipe, load_recipe

LEAST_MOVE = 0.5
"""Levels that some boundary has to move for a training to have done something: half a step."""


def warn_unless_moved(start: EncoderSpec, trained: EncoderSpec) -> None:
    """Warn when training hardly moved an encoder's boundaries: it protects as little as before.

    What protects is that boundaries move together and leave wide steps.
    """
    before, after = (
        np.asarray(getattr(spec.settings, "boundaries", ())).ravel() for spec in (start, trained)
    )
    if not before.size or before.shape != after.shape:
        return
    moved = np.abs(after - before)
    if moved.max() < LEAST_MOVE:
        sigmas = [getattr(spec.settings, "sigma", None) for spec in (start, trained)]
        blur = " to ".join(f"{s:.2f}" for s in sigmas if isinstance(s, float))
        warn(
            f"the encoder hardly moved: no boundary by more than {moved.max():.2f} of a level"
            f"{f', sigma {blur}' if blur else ''}; it hides little more than before training."
            " Train longer, or give the encoder a rate of its own, as the recipe sbu-encoder-lr"
            " does: --set adversarial.encoder_lr=0.05"
        )


def describe_weights(recipe: Recipe) -> dict[str, str]:
    """Return what a recipe's action and privacy networks start from, see `Result.weights`."""
    networks = {"action": recipe.action, "privacy": recipe.privacy}
    return {role: source_of_weights(one.name, one.weights) for role, one in networks.items()}


def decode_clips(
    manifest: Manifest, recipe: Recipe, fabric: Fabric, workers: int | None = None
) -> ClipCache:
    """Return a manifest's clips as a recipe wants them, decoded once on each machine.

    Args:
        recipe: Its `cache_size` and `fit` are used.
        workers: Videos decoded in parallel; None for one per core.

    Raises:
        MotionveilError: A video cannot be read, or the cache cannot be written.
    """
    with first_process_first(fabric):
        return ClipCache.build(
            manifest, size=recipe.cache_size, fit=recipe.fit, rate=recipe.rate, workers=workers
        )


def geometry_of(manifest: Manifest, recipe: Recipe) -> Geometry:
    """Return the size and rate of an experiment: the recipe's, or the rate of the data.

    Raises:
        MotionveilError: A video cannot be read.
    """
    return Geometry(size=recipe.size, rate=recipe.rate or median_rate(manifest))


def describe_dataset(manifest: Manifest, splits: Sequence[str], privacy_label: str) -> Dataset:
    """Return what a result says of its data set."""
    return Dataset(
        name=manifest.name,
        hash=manifest.hash,
        actions=list(manifest.actions),
        privacy_label=privacy_label,
        privacy_names=list(manifest.names_of(privacy_label)),
        attributes=len(manifest.columns_of(privacy_label)) > 1,
        parts={
            split: (
                len(manifest.part(split, training=True)),
                len(manifest.part(split, training=False)),
            )
            for split in splits
        },
        split_rule=manifest.split_rule,
    )


@dataclass(frozen=True)
class Experiment:
    """One split, one recipe, one seed.

    Attributes:
        cache: The decoded clips of the manifest.
        recipe: The recipe.
        split: The part held out, one of the manifest's `splits()`.
        privacy_label: The label that the adversary tries to learn; `face+gender` for several
            attributes.
        seed: Decides everything that is drawn.
        fabric: Device, precision and processes.
    """

    cache: ClipCache
    recipe: Recipe
    split: str
    privacy_label: str
    seed: int
    fabric: Fabric

    @cached_property
    def geometry(self) -> Geometry:
        """The size and rate at which encoders are trained, and work where they have none."""
        return geometry_of(self.cache.manifest, self.recipe)

    def clips(self, *, training: bool) -> ClipDataset:
        """Return the clips to train on, or those held out, as filmed."""
        return self.dataset(self.cache, training=training, frames=self.recipe.frames)

    def dataset(
        self,
        cache: ClipCache,
        *,
        training: bool,
        frames: int,
        fit: Fit = "short-side",
        clips: Sequence[Clip] | None = None,
    ) -> ClipDataset:
        """Return one part of a cache of the experiment's clips, `frames` frames of each.

        Args:
            training: The part, and whether frames are drawn at random or from the middle.
            fit: How frames become squares.
        """
        return ClipDataset(
            cache,
            cache.manifest.part(self.split, training=training) if clips is None else clips,
            t=frames,
            size=self.recipe.size,
            privacy_label=self.privacy_label,
            training=training,
            seed=self.seed,
            scales=self.recipe.scales,
            fit=fit,
            threads=loading_threads(self.fabric),
        )

    def order_of(self, encoder: Encoder) -> Order:
        """Return the order in which an encoder is validated: the recipe's, where it can be."""
        return "paper" if encoder.varies_training else self.recipe.order

    @cached_property
    def calibrated_range(self) -> float:
        """The range of the training clips' blurred differences, see `calibrate_range`."""
        drawn = batches(self.clips(training=True), self.recipe.adversarial.batch, epoch=0)
        clips = (batch.clips for batch in drawn)
        return calibrate_range(clips, quantile=self.recipe.range_quantile)

    def untrained(self, choice: Choice | None = None) -> EncoderSpec:
        """Return a method, or BDQ, before training, its range calibrated on the training clips.

        Raises:
            MotionveilError: A setting that the choice names is missing or out of range.
        """
        choice = choice or choose("bdq")
        kind = choice.method
        start = Start(
            calibrate=lambda: self.calibrated_range,
            hardness=self.recipe.hardness,
            range_mode=self.recipe.range_mode,
            options=self.recipe.options_of(kind),
            seed=seed_for(self.seed, "start", kind.name),
        )
        try:
            settings = kind.start(start, choice.settings)
        except ValidationError as error:
            raise MotionveilError(f"{choice.name}: {describe_faults(error.errors())}") from error
        return EncoderSpec(
            method=kind.name,
            settings=settings,
            geometry=self.geometry,
            provenance=self.provenance() | {"note": UNTRAINED_NOTE},
        )

    def provenance(self) -> dict[str, object]:
        """Return where an encoder made in this experiment comes from."""
        manifest = self.cache.manifest
        return {
            "data": manifest.name,
            "manifest": manifest.hash,
            "split": self.split,
            "privacy_label": self.privacy_label,
            "seed": self.seed,
            "motionveil": __version__,
        }

    def train(
        self,
        start: EncoderSpec,
        run: Path,
        *,
        resume: bool = False,
        checkpoint_every: int | None = None,
        tracker: Tracker = lambda row: None,
    ) -> tuple[EncoderSpec, list[dict[str, float]]]:
        """Train an encoder against its adversary and return it with its curves.

        Raises:
            MotionveilError: The training collapsed, or `run` holds another training.
        """
        provenance = {
            **self.provenance(),
            "alpha": self.recipe.alpha,
            "epochs": self.recipe.adversarial.epochs,
            "action_network": self.recipe.action.name,
            "privacy_network": self.recipe.privacy.name,
        }
        left_out = {"validation", "attackers", "transformer", "methods", "weights", "order"}
        provenance["weights"] = describe_weights(self.recipe)
        provenance["recipe"] = self.recipe.model_dump(mode="json", exclude=left_out)
        if self.recipe.adversarial.further:
            provenance["further_adversaries"] = self.recipe.further_adversaries()
        torch.manual_seed(seed_for(self.seed, "encoder"))  # of an encoder with fresh weights
        changes = {"provenance": provenance, "geometry": self.geometry}
        encoder = build_encoder(start.model_copy(update=changes))
        curves = train_adversarial(
            self.fabric,
            self.models(encoder),
            self.clips(training=True),
            self.recipe,
            run=run,
            seed=self.seed,
            resume=resume,
            checkpoint_every=checkpoint_every,
            tracker=tracker,
        )
        trained = encoder.spec
        if self.recipe.alpha > 0 and self.fabric.is_global_zero:
            warn_unless_moved(start, trained)
        return trained, curves

    def models(self, encoder: Encoder) -> AdversarialModels:
        """Return an encoder with fresh networks to train it against, as many as the recipe says."""
        networks = self.networks(ADVERSARIAL)
        more = tuple(
            self.networks(f"adversary {number}").privacy
            for number in range(2, self.recipe.adversarial.adversaries + 1)
        )
        further = tuple(self._further())
        return AdversarialModels(
            encoder, networks.action, networks.privacy, more, self._adversary, further
        )

    def _further(self) -> Iterator[Adversary]:
        """Yield the recipe's further adversaries; P is number 1."""
        for number, adversary in enumerate(self.recipe.adversarial.further, 2):
            network, temporal = self.recipe.network_of(adversary), adversary.temporal
            fresh = partial(self._network, network, self._identities, temporal=temporal)
            torch.manual_seed(seed_for(self.seed, f"further {number}", "networks"))
            yield Adversary(
                fresh(), InputFormat(adversary.view, temporal), fresh, mark=f"_{number}"
            )

    def networks(self, purpose: str) -> Networks:
        """Return new networks, the same for the same seed and purpose."""
        torch.manual_seed(seed_for(self.seed, purpose, "networks"))
        T = self._network(self.recipe.action, len(self.cache.manifest.actions), temporal=True)
        return Networks(T, self._adversary())

    @property
    def _identities(self) -> int:
        return len(self.cache.manifest.names_of(self.privacy_label))

    def _adversary(self) -> nn.Module:
        """Return a new privacy network, drawn from torch's global generator."""
        return self._network(self.recipe.privacy, self._identities, temporal=False)

    def _network(self, network: NetworkRecipe, outputs: int, *, temporal: bool) -> nn.Module:
        checkpointing = self.recipe.activation_checkpointing
        return create_network(network, outputs, temporal=temporal, checkpointing=checkpointing)


def open_data(
    data: Manifest | str | os.PathLike[str], split: str | None = None, label: str | None = None
) -> tuple[Manifest, str, str]:
    """Return a data set, with the part held out and the privacy label: those named, or the first.

    Args:
        data: A `manifest.csv`, what was read from one, or a folder. A folder without a
            `manifest.csv` is indexed as `FOLDER/<action>/<person>/<video>`, and gets one; delete
            it when videos have come or gone.
        split: One of its `splits()`.
        label: One of its `privacy_labels`, or several with two values each: `face+gender`.

    Raises:
        MotionveilError: There is no such thing, or nothing can be recognised under the split.
    """
    if isinstance(data, Manifest):
        manifest = data
    else:
        file = Path(data)
        if file.is_dir():
            file = file / "manifest.csv"
            if not file.exists():
                index(file.parent).write(file)
        manifest = Manifest.read(file)
    if manifest.file is None:
        raise MotionveilError(f"{manifest.name}: in no file yet; read it from where you write it")
    label = choose_label(label, manifest)
    split = choose_name(split, manifest.splits(), "--split", manifest.file)
    refuse_unlearnable(manifest, split, label)
    return manifest, split, label


def open_experiment(
    data: Manifest | str | os.PathLike[str],
    recipe: Recipe,
    split: str | None,
    label: str | None,
    seed: int,
    device: str,
    precision: str,
    workers: int | None,
) -> Experiment:
    """Return what is trained and scored on: a split, a recipe and a seed, the clips decoded."""
    manifest, split, label = open_data(data, split, label)
    fabric = make_fabric(device, precision)
    cache = decode_clips(manifest, recipe, fabric, workers)
    return Experiment(cache, recipe, split, label, seed, fabric)


def training_of(
    method: str,
    recipe: str | os.PathLike[str],
    settings: Mapping[str, Any] | None,
    alpha: float | None,
) -> tuple[Choice, Recipe]:
    """Return the method that a training names, and the recipe with what it changes.

    Raises:
        MotionveilError: There is no such method or recipe, or nothing to train.
    """
    choice = choose(method)
    if not choice.method.learned or choice.untrained:
        raise MotionveilError(f"--method {method}: there is nothing to train")
    weight = alpha if choice.alpha is None else choice.alpha
    changes = dict(settings or {}) | ({} if weight is None else {"alpha": weight})
    return choice, load_recipe(recipe, changes).for_method(choice.method)
