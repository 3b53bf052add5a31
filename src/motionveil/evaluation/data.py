"""What attacks are given: an audit's clips, original and veiled, and which are held out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from lightning_fabric import Fabric

from motionveil.datasets.cache import ClipCache, Fit, Frames, Times
from motionveil.datasets.dataset import ClipDataset
from motionveil.datasets.manifest import Clip, Manifest
from motionveil.errors import MotionveilError
from motionveil.evaluation.encode_clips import (
    Veil,
    clips_in,
    compressed_clips,
    frames_left,
    original_clips,
    veil_clips,
    veil_of,
    working_clips,
)
from motionveil.geometry import FrameRate, Geometry
from motionveil.processes import usable_cores
from motionveil.streaming.geometry import area_average
from motionveil.training.experiment import geometry_of
from motionveil.training.loop import seed_for
from motionveil.video import Frame, read_frames
from motionveil.video.reader import FOLDER_RATE

if TYPE_CHECKING:
    from motionveil.evaluation.audit import AuditPlan

Video = Literal["veiled", "raw"]

LEAST_PEOPLE = 4
"""People that re-identification needs in both parts."""

WINDOW = 16
"""Frames of a video that are read, and veiled, around the moments that are searched for faces."""


class Window(NamedTuple):
    """Consecutive frames of a clip.

    Attributes:
        frames: As they were filmed, uint8 (T, H, W, 3).
        times: When each is shown, in seconds, (T,).
        aspect: Sample aspect ratio: how much wider than high a pixel is shown.
    """

    frames: Frames
    times: Times
    aspect: Fraction = Fraction(1)


@dataclass(frozen=True)
class AttackData:
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
        video: Whether the clips are veiled.
        learned, asked: The clips to learn from, and those to be asked about, where they are not
            the whole parts of the split.
        audit: The audit's data: original clips, and windows of the videos at full size.
        folder: Folder for images.
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
    video: Video = "veiled"
    learned: tuple[Clip, ...] | None = None
    asked: tuple[Clip, ...] | None = None
    audit: AuditData | None = None
    folder: Path | None = None

    @property
    def manifest(self) -> Manifest:
        """The data set."""
        return self.cache.manifest

    def part(self, *, training: bool) -> Sequence[Clip]:
        """Return the clips to learn from, or those to be asked about."""
        chosen = self.learned if training else self.asked
        if chosen is not None:
            return chosen
        return self.manifest.part(self.split, training=training)

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

    def compressed(self, quality: int) -> AttackData:
        """Return the same clips after H.264 at x264's crf `quality`."""
        cache = compressed_clips(self.cache, quality, workers=usable_cores())
        return replace(self, cache=cache)

    def original(self) -> AttackData:
        """Return the same clips as filmed, each with as many frames as its veiled one."""
        assert self.audit is not None
        return replace(self, cache=self.audit.original, video="raw")

    def as_filmed(self, clips: Sequence[Clip]) -> list[Clip]:
        """Return clips under the names that they have in the data set, whoever has veiled them."""
        if self.audit is None:
            return list(clips)
        ours = self.audit.manifest.clips
        names = dict(zip((c.key for c in self.audit.veiled.manifest.clips), ours, strict=True))
        names |= {clip.key: clip for clip in ours}
        return [names[clip.key] for clip in clips]


@dataclass(frozen=True)
class AuditData:
    """A plan's clips, made once on disk and shared by all its attacks.

    Attributes:
        plan: The plan.
        fabric: Device and precision.
        workers: Clips made in parallel; by default one for each processor.
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
    def veil(self) -> Veil:
        """The encoder; not where `plan.veiled` is given."""
        return veil_of(self.plan.encoder, str(self.fabric.device))

    @cached_property
    def filmed(self) -> ClipCache:
        """The clips at the geometry, not veiled."""
        multiple = 2 if self.plan.veiled is not None else self.veil.multiple
        return working_clips(self.manifest, self.geometry, multiple=multiple, workers=self.workers)

    @cached_property
    def veiled(self) -> ClipCache:
        """The veiled clips."""
        if self.plan.veiled is not None:
            return clips_in(self.plan.veiled, self.filmed, self.workers)
        return veil_clips(self.filmed, self.veil, workers=self.workers or usable_cores())

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

    def make(self) -> None:
        """Decode and veil every clip.

        Raises:
            MotionveilError: A video cannot be read, or the encoder leaves too few frames.
        """
        _ = self.frames, self.original

    def attack_data(self, video: Video, folder: Path | None = None) -> AttackData:
        """Return what an attack on one kind of video is given."""
        return AttackData(
            self.veiled if video == "veiled" else self.original,
            self.plan.split,
            self.plan.label,
            self.frames,
            self.plan.recipe.size,
            self.plan.recipe.scales,
            self.plan.seed,
            self.fabric,
            self.plan.recipe.fit,
            video,
            audit=self,
            folder=folder,
        )

    def window(self, clip: Clip) -> Window:
        """Return frames from a clip's middle at full size; see `window_of`."""
        return self._window(self.manifest, clip)

    def _window(self, manifest: Manifest, clip: Clip) -> Window:
        return window_of(manifest.root, clip, self.geometry.rate, image_rate=manifest.rate)

    def veil_window(self, clip: Clip, window: Window) -> Frames:
        """Return a window of a clip veiled, enlarged to the size of the original.

        So faces can be looked for at their places; pixels that are not square get their shape back.
        """
        if self.plan.veiled is not None:
            theirs = self.veiled.manifest
            return self._window(theirs, theirs.clips[self.manifest.clips.index(clip)]).frames
        height, width = window.frames.shape[1:3]
        shape = self.geometry.shape(height, width, window.aspect, multiple=self.veil.multiple)
        small = np.stack([area_average(frame, shape) for frame in window.frames])
        veiled = self.veil.change(small, window.times)
        return np.stack([area_average(frame, (height, width)) for frame in veiled])


def window_of(
    root: Path, clip: Clip, rate: float | None = None, *, image_rate: float | None = None
) -> Window:
    """Return frames from a clip's middle.

    Args:
        rate: Frames a second that are taken at the most; None for all.
        image_rate: Frames a second of a folder of frames; see `Manifest.rate`.

    Raises:
        MotionveilError: The video cannot be read, or ends before the clip begins.
    """

    def taken() -> Iterator[Frame]:
        takes, of = FrameRate(rate).takes, Fraction(image_rate or FOLDER_RATE)
        # Reading to a given end would refuse a video that ends before it.
        there = islice(read_frames(root / clip.path, clip.start, rate=of), clip.length)
        return (frame for frame in there if takes(frame.time))

    count = sum(1 for _ in taken())  # read twice: a long clip of large frames fits no memory
    if not count:
        raise MotionveilError(f"{root / clip.path}: ends before frame {clip.start}")
    first = (count - min(count, WINDOW)) // 2
    window = list(islice(taken(), first, first + WINDOW))
    return Window(
        np.stack([frame.image for frame in window]),
        np.array([frame.time for frame in window]),
        window[0].aspect,
    )


def people_in_both(manifest: Manifest, split: str, label: str) -> list[str]:
    """Return the people of whom there are clips in both parts, in alphabetical order.

    Raises:
        MotionveilError: They are fewer than four.
    """
    both = set(manifest.names_of(label))
    for training in (False, True):
        both &= {clip.privacy[label] for clip in manifest.part(split, training=training)}
    if len(both) < LEAST_PEOPLE:
        raise MotionveilError(
            f"{manifest.name}: {len(both)} values of {label!r} are in both parts;"
            f" re-identification needs {LEAST_PEOPLE}, two to learn from and two to find"
        )
    return sorted(both)


def shuffled_people(data: AttackData, purpose: str) -> list[str]:
    """Return the people who are in both parts, in an order drawn for a purpose.

    Raises:
        MotionveilError: They are fewer than four.
    """
    people = people_in_both(data.manifest, data.split, data.label)
    rng = np.random.default_rng(seed_for(data.seed, purpose))
    return [people[place] for place in rng.permutation(len(people))]
