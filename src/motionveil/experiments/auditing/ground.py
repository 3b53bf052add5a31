"""What an audit's attacks stand on: the clips as filmed, veiled, and compressed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from lightning_fabric import Fabric

from motionveil.audit.attack import Attack, Ground
from motionveil.audit.faces import Frames, window_of
from motionveil.audit.veiling import (
    Veil,
    clips_in,
    compressed_clips,
    frames_lost,
    original_clips,
    veil_clips,
    veil_of,
)
from motionveil.data.cache import ClipCache
from motionveil.data.manifest import Clip, Manifest
from motionveil.errors import MotionveilError
from motionveil.experiments.auditing.plan import AuditPlan, Video


@dataclass(frozen=True)
class Field:
    """A plan's clips, made once on disk and shared by all its attacks.

    Attributes:
        plan: The plan.
        fabric: Device and precision.
        workers: Clips made at once; by default one for each processor.
    """

    plan: AuditPlan
    fabric: Fabric
    workers: int | None = None

    @cached_property
    def manifest(self) -> Manifest:
        """The data set."""
        return Manifest.read(self.plan.manifest)

    @cached_property
    def filmed(self) -> ClipCache:
        """The clips as they were filmed."""
        recipe = self.plan.recipe
        return ClipCache.build(
            self.manifest, size=recipe.cache_size, fit=recipe.fit, workers=self.workers
        )

    @cached_property
    def veil(self) -> Veil:
        """What veils; not where somebody else has veiled."""
        return veil_of(self.plan.encoder, str(self.fabric.device))

    @cached_property
    def veiled(self) -> ClipCache:
        """The veiled clips."""
        if self.plan.veiled is not None:
            theirs = clips_in(self.plan.veiled, self.filmed, self.workers)
            step = self.plan.recipe.frame_step
            # Every frame of theirs has one of ours beside it.
            return theirs if step == 1 else theirs.derive(f"step {step}", lambda f: f[::step])
        return veil_clips(
            self.filmed, self.veil, step=self.plan.recipe.frame_step, workers=self._threads
        )

    @cached_property
    def original(self) -> ClipCache:
        """The clips as filmed, each with as many frames as its veiled one."""
        return original_clips(self.filmed, self.veiled, step=self.plan.recipe.frame_step)

    @property
    def frames(self) -> int:
        """Frames of a clip that attackers see: as many as are left of the recipe's.

        Raises:
            MotionveilError: Fewer than two are left.
        """
        lost = frames_lost(self.filmed, self.veiled, step=self.plan.recipe.frame_step)
        left = self.plan.recipe.frames - lost
        if left < 2:
            raise MotionveilError(
                f"{self.plan.encoder}: {left} veiled frames are left of the recipe's"
                f" {self.plan.recipe.frames}; set frames={2 + lost} or more"
            )
        return left

    def clips(self, video: Video, quality: int | None = None) -> ClipCache:
        """Return the clips that an attack of this kind sees."""
        if video == "raw":
            return self.original
        if quality is None:
            return self.veiled
        return compressed_clips(self.veiled, quality, workers=self._threads)

    def veil_window(self, clip: Clip, filmed: Frames) -> Frames:
        """Return a window of a clip, see `motionveil.audit.faces.window_of`, as it is veiled."""
        if self.plan.veiled is None:
            return self.veil.change(filmed)
        place = self.manifest.clips.index(clip)
        theirs = self.veiled.manifest
        return window_of(theirs.root, theirs.clips[place], self.plan.recipe.frame_step)

    def as_filmed(self, clips: Sequence[Clip]) -> list[Clip]:
        """Return clips under the names that they have in the data set, whoever has veiled them."""
        names = {
            theirs.key: ours
            for theirs, ours in zip(self.veiled.manifest.clips, self.manifest.clips, strict=True)
        }
        ours = {clip.key: clip for clip in self.manifest.clips}
        return [names.get(clip.key) or ours[clip.key] for clip in clips]

    def ground(self, attack: Attack, video: Video) -> Ground:
        """Return what an attack stands on."""
        return Ground(
            self.clips(video, attack.quality),
            self.plan.split,
            attack.label or self.plan.label,
            self.frames,
            self.plan.recipe.size,
            self.plan.recipe.scales,
            self.plan.seed,
            self.fabric,
        )

    def make(self) -> None:
        """Decode, veil and compress everything that the plan's attacks will see."""
        _ = self.frames  # raises where too few are left
        qualities = {attack.quality for attack in self.plan.attacks}
        for quality in sorted(q for q in qualities if q is not None):
            self.clips("veiled", quality)
        self.clips("raw")

    @property
    def _threads(self) -> int:
        return self.workers or os.cpu_count() or 1
