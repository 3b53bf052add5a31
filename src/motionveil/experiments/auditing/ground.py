"""What an audit's attacks stand on: the clips as filmed, veiled, and compressed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from lightning_fabric import Fabric

from motionveil.audit.attack import Attack, Ground
from motionveil.audit.compression import compressed_clips
from motionveil.audit.faces import Window, window_of
from motionveil.capture.geometry import area_average
from motionveil.data.cache import ClipCache, Frames
from motionveil.data.manifest import Clip, Manifest
from motionveil.experiments.auditing.plan import AuditPlan, Video
from motionveil.geometry import Geometry
from motionveil.training.trial import geometry_of
from motionveil.training.veiling import (
    Veil,
    clips_in,
    frames_left,
    original_clips,
    veil_clips,
    veil_of,
    working_clips,
)


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
    def geometry(self) -> Geometry:
        """Size and rate of the veiled video: the encoder's own, or the recipe's."""
        otherwise = geometry_of(self.manifest, self.plan.recipe)
        return otherwise if self.plan.veiled is not None else self.veil.geometry(otherwise)

    @cached_property
    def filmed(self) -> ClipCache:
        """The clips at the geometry, not veiled."""
        multiple = 2 if self.plan.veiled is not None else self.veil.multiple
        return working_clips(self.manifest, self.geometry, multiple=multiple, workers=self.workers)

    @cached_property
    def veil(self) -> Veil:
        """What veils; not where somebody else has veiled."""
        return veil_of(self.plan.encoder, str(self.fabric.device))

    @cached_property
    def veiled(self) -> ClipCache:
        """The veiled clips."""
        if self.plan.veiled is not None:
            return clips_in(self.plan.veiled, self.filmed, self.workers)
        return veil_clips(self.filmed, self.veil, workers=self._threads)

    @cached_property
    def original(self) -> ClipCache:
        """The clips as filmed, each with as many frames as its veiled one."""
        return original_clips(self.filmed, self.veiled)

    @property
    def frames(self) -> int:
        """Frames of a clip that attackers see: as many as are left of the recipe's.

        Raises:
            MotionveilError: Fewer than two are left.
        """
        return frames_left(self.plan.recipe.frames, self.filmed, self.veiled)

    def clips(self, video: Video, quality: int | None = None) -> ClipCache:
        """Return the clips that an attack of this kind sees."""
        if video == "raw":
            return self.original
        if quality is None:
            return self.veiled
        return compressed_clips(self.veiled, quality, workers=self._threads)

    def window(self, clip: Clip) -> Window:
        """Return a window of a clip, as it was filmed; see `motionveil.audit.faces.window_of`."""
        return self._window(self.manifest, clip)

    def _window(self, manifest: Manifest, clip: Clip) -> Window:
        rate = self.geometry.rate
        return window_of(manifest.root, clip, rate, picture_rate=manifest.rate)

    def veil_window(self, clip: Clip, window: Window) -> Frames:
        """Return a window of a clip as it is veiled.

        Veiled frames are enlarged to the size of the original, so that faces can be looked for at
        their places; pixels that are not square get their shape back.
        """
        if self.plan.veiled is not None:
            place = self.manifest.clips.index(clip)
            theirs = self.veiled.manifest
            return self._window(theirs, theirs.clips[place]).frames
        height, width = window.frames.shape[1:3]
        shape = self.geometry.shape(height, width, window.aspect, multiple=self.veil.multiple)
        small = np.stack([area_average(frame, shape) for frame in window.frames])
        veiled = self.veil.change(small, window.times)
        return np.stack([area_average(frame, (height, width)) for frame in veiled])

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
            self.plan.recipe.fit,
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
