"""A trial: one split of a data set, one recipe, one seed; train encoders on it, validate them."""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from lightning_fabric import Fabric

from motionveil._version import __version__
from motionveil.data.cache import ClipCache
from motionveil.data.dataset import ClipDataset, batches
from motionveil.encoders import BDQ, build_encoder, calibrate_range
from motionveil.errors import MotionveilError
from motionveil.networks import create_action_network, create_privacy_network
from motionveil.results import Row
from motionveil.spec import EncoderSpec, untrained_boundaries
from motionveil.training.game import Players, play
from motionveil.training.recipe import Recipe
from motionveil.training.seeds import seed_for
from motionveil.training.validation import Watchers, validate


def make_fabric(device: str = "auto", precision: str = "32-true") -> Fabric:
    """Return Lightning Fabric on one device.

    Args:
        device: `"auto"`, `"cpu"`, `"cuda"`, `"mps"`, or one of several such as `"cuda:1"`.
        precision: Fabric's name of a precision, such as `"bf16-mixed"`.

    Raises:
        MotionveilError: There is no such device here.
    """
    kind, _, number = device.partition(":")
    try:
        devices: list[int] | int = [int(number)] if number else 1
        fabric = Fabric(accelerator=kind, devices=devices, precision=precision)  # type: ignore[arg-type]
        fabric.launch()
    except Exception as error:
        # Fabric raises errors of many kinds, some its own, for a device that is not there.
        raise MotionveilError(f"--device {device}: cannot be used here: {error}") from error
    return fabric


def describe_environment(fabric: Fabric) -> dict[str, str]:
    """Return versions, processor and device, for a result."""
    packages = ("torch", "numpy", "timm", "monai", "lightning-fabric", "av", "numba")
    versions = {}
    for package in packages:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "motionveil": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": str(fabric.device),
        "threads": str(torch.get_num_threads()),
        **versions,
    }


@dataclass(frozen=True)
class Trial:
    """One split, one recipe, one seed.

    Attributes:
        cache: The decoded clips of the manifest.
        recipe: The recipe.
        split: The part held out, one of the manifest's `splits()`.
        privacy_label: The label that the adversary tries to learn.
        seed: Decides everything that is drawn.
        fabric: Device and precision.
    """

    cache: ClipCache
    recipe: Recipe
    split: str
    privacy_label: str
    seed: int
    fabric: Fabric

    def clips(self, *, training: bool) -> ClipDataset:
        """Return the clips to train on, or those held out."""
        return ClipDataset(
            self.cache,
            self.cache.manifest.part(self.split, training=training),
            t=self.recipe.frames,
            size=self.recipe.size,
            privacy_label=self.privacy_label,
            training=training,
            seed=self.seed,
            scales=self.recipe.scales,
            step=self.recipe.frame_step,
        )

    def untrained(self) -> EncoderSpec:
        """Return BDQ before training, its range calibrated on the training clips."""
        fixed = self.recipe.range_mode == "fixed"
        drawn = batches(self.clips(training=True), self.recipe.game.batch, epoch=0)
        clips = (batch.clips for batch in drawn)
        spread = calibrate_range(clips, quantile=self.recipe.range_quantile) if fixed else None
        return EncoderSpec(
            method="bdq",
            sigma=1.0,
            boundaries=untrained_boundaries(),
            hardness=self.recipe.hardness,
            range_mode=self.recipe.range_mode,
            range=spread,
            provenance=self.provenance() | {"note": "untrained: protects nothing"},
        )

    def provenance(self) -> dict[str, object]:
        """Return where an encoder made in this trial comes from."""
        manifest = self.cache.manifest
        return {
            "data": manifest.name,
            "manifest": manifest.hash,
            "split": self.split,
            "privacy_label": self.privacy_label,
            "size": self.recipe.size,
            "frame_step": self.recipe.frame_step,
            "seed": self.seed,
            "motionveil": __version__,
        }

    def train(
        self, start: EncoderSpec, run: Path, *, resume: bool = False
    ) -> tuple[EncoderSpec, list[dict[str, float]]]:
        """Train an encoder against its adversary and return it with its curves.

        Raises:
            MotionveilError: The training collapsed, or `run` holds another training.
        """
        networks = self.watchers("game")
        provenance = {
            **self.provenance(),
            "alpha": self.recipe.alpha,
            "epochs": self.recipe.game.epochs,
            "action_network": self.recipe.action.name,
            "privacy_network": self.recipe.privacy.name,
        }
        encoder = BDQ(start.model_copy(update={"provenance": provenance}))
        players = Players(encoder, networks.action, networks.privacy)
        data = self.clips(training=True)
        curves = play(
            self.fabric, players, data, self.recipe, run=run, seed=self.seed, resume=resume
        )
        return encoder.spec, curves

    def validate(
        self,
        spec: EncoderSpec,
        *,
        method: str,
        alpha: float | None = None,
        curves: list[dict[str, float]] | None = None,
        trained_seconds: float = 0.0,
    ) -> Row:
        """Train fresh networks on a frozen encoder's output, score them, and return the row."""
        began = time.monotonic()
        encoder = self.fabric.to_device(build_encoder(spec))
        title = method if alpha is None else f"{method}, alpha {alpha:g}"
        scores = validate(
            self.fabric,
            encoder,
            self.watchers("validation"),
            self.clips(training=True),
            self.clips(training=False),
            self.recipe.validation,
            privacy_label=self.privacy_label,
            seed=self.seed,
            title=f"validate {title}",
        )
        return Row(
            method=method,
            alpha=alpha,
            seed=self.seed,
            split=self.split,
            action=scores.action,
            privacy=scores.privacy,
            encoder=spec,
            predictions=scores.predictions,
            curves=curves or [],
            seconds=trained_seconds + time.monotonic() - began,
        )

    def watchers(self, purpose: str) -> Watchers:
        """Return new networks, the same for the same seed and purpose."""
        manifest = self.cache.manifest
        torch.manual_seed(seed_for(self.seed, purpose, "networks"))
        action, privacy = self.recipe.action, self.recipe.privacy
        T = create_action_network(action.name, len(manifest.actions), weights=action.weights)
        P = create_privacy_network(
            privacy.name, len(manifest.names_of(self.privacy_label)), weights=privacy.weights
        )
        # Channels last is the faster layout for convolutions, on CPUs and GPUs.
        T.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        P.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return Watchers(T, P)
