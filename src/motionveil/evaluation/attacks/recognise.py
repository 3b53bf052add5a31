"""Recognition: a network is trained to name a label, and asked about clips held out.

An attacker may try several learning rates and restarts, and read BatchNorm in three ways. Each
combination is a variant with answers of its own. Which one is reported is chosen without looking at
the clips that it is reported on, see `motionveil.evaluation.mutual_information.chosen_elsewhere`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar, Literal

import torch
from pydantic import Field

from motionveil.audit_results import AttributeRecognition, Recognition
from motionveil.datasets.manifest import Clip
from motionveil.evaluation.attack import LearningAttack, true_classes
from motionveil.evaluation.confounds import crossed_halves
from motionveil.evaluation.data import AttackData, Video
from motionveil.evaluation.fit import Learned, Learner, learn
from motionveil.evaluation.image_quality import Images, draw_grid
from motionveil.evaluation.variants import (
    Variant,
    attribute_recognition,
    joined_variant,
    recognition,
    variant_of,
)
from motionveil.training.adversaries import create_network
from motionveil.training.loop import seed_for

SUREST, SUREST_WITH_ORIGINAL = "surest.png", "surest-with-original.png"
SHOWN = 6
"""Clips that are drawn of those that an attack was surest of."""


class Recognise(LearningAttack):
    """Learns the classes of a label.

    Attributes:
        target: Which label it learns; `"action"` measures utility by the same means.
        label: Which privacy label that is, or several attributes (`face+gender`); the audit's own
            where it is empty.
        across: A label, or `"group"`: half of the clips is asked about by one who has learned from
            those that were filmed under its other values only, see
            `motionveil.evaluation.confounds`.
        control: With `across`: learn from as many clips of any value instead.
        rates: Learning rates to try; the schedule's own where there are none.
        restarts: How often each is tried, with other weights and draws.
        crops: Test-time averaging: the number of random cuts of a clip that are seen besides its
            centre, as a further variant.
        quality: x264's crf of the video attacked; None for video that is not compressed.
    """

    description: ClassVar[str] = (
        "A network is trained to name the label and asked about clips held out; learning rate,"
        " restart and BatchNorm mode are chosen on other recordings than they are scored on."
    )
    takes_attributes: ClassVar[bool] = True
    kind: str = "recognise"
    target: Literal["privacy", "action"] = "privacy"
    label: str = ""
    across: str = ""
    control: bool = False
    rates: tuple[float, ...] = ()
    restarts: int = Field(default=1, ge=1)
    crops: int = Field(default=0, ge=0)
    quality: int | None = None

    @property
    def videos(self) -> tuple[Video, ...]:
        """What it is carried out on: only veiled video is compressed."""
        return ("veiled", "raw") if self.quality is None else ("veiled",)

    @property
    def by_frame(self) -> bool:
        """Whether its answers are about single frames of the video, in their order."""
        return not self.temporal and self.view in ("plain", "integrated")

    def run(self, data: AttackData) -> Recognition | AttributeRecognition:
        """Train, ask and score; see `Attack.run`."""
        began = time.monotonic()
        data = replace(data, label=self.label or data.label)
        if self.quality is not None:
            data = data.compressed(self.quality)
        if self.across:
            data, variants, trained_on = self.run_across(data)
        else:
            variants, trained_on = self.variants(data), len(data.part(training=True))
        found = self.scored(data, variants, trained_on)
        drawn = data.video == "veiled" and self.target == "privacy" and not self.across
        if drawn and isinstance(found, Recognition):
            found = self._draw_surest(found, data)
        return found.model_copy(update={"seconds": time.monotonic() - began})

    def variants(self, data: AttackData) -> list[Variant]:
        """Train the networks and return the answers of every variant.

        Raises:
            MotionveilError: A loss is not finite, or the view or network is unknown.
        """
        _ = self.input_format  # raises where there is no such view
        found: list[Variant] = []
        for rate in self.rates or (self.schedule.lr,):
            for restart in range(self.restarts):
                torch.manual_seed(seed_for(data.seed, "audit", self.name, restart))
                learned = self.trained(data, rate)
                asked = self._ask(data, learned, restart)
                curve, training = learned.curve, learned.training
                found += [replace(v, curve=curve, training=training) for v in asked]
        return found

    def trained(self, data: AttackData, rate: float | None = None) -> Learned:
        """Train a network drawn from torch's global generator.

        Raises:
            MotionveilError: A loss is not finite, or there is no such network.
        """
        schedule = self.schedule.model_copy(update={} if rate is None else {"lr": rate})
        classes = len(self.classes(data))

        def make() -> Learner:
            network = create_network(self.network, classes, temporal=self.temporal)
            return Learner(network, self.target, self.input_format)

        return learn(self.name, make, data, data.part(training=True), schedule, self.until)

    def classes(self, data: AttackData) -> Sequence[str]:
        """Return the names of the classes, or of the attributes."""
        manifest = data.manifest
        return manifest.actions if self.target == "action" else manifest.names_of(data.label)

    def _ask(self, data: AttackData, learned: Learned, restart: int) -> Iterator[Variant]:
        """Yield answers for the clips' centres, and for the mean over more cuts, by mode."""
        classifier, rate = learned.classifier, learned.training.rate
        centre, drawn = (data.clips(training=False, drawn=drawn) for drawn in (False, True))
        labels = true_classes(data, self.target)
        for mode in classifier.batchnorm_modes(centre):
            # BatchNorm of each batch must see a mixture, not one person's clips in order.
            shuffle = mode == "batch"
            cuts = [classifier.probabilities(centre, shuffle=shuffle)]
            yield variant_of(cuts, labels, classifier.head, rate, restart, mode)
            if self.crops:
                cuts += [
                    classifier.probabilities(drawn, epoch=cut, shuffle=shuffle)
                    for cut in range(self.crops)
                ]
                yield variant_of(cuts, labels, classifier.head, rate, restart, mode)

    def run_across(self, data: AttackData) -> tuple[AttackData, list[Variant], int]:
        """Ask about one half of a column's values, then about the other.

        Returns:
            The data with the clips that could be asked about, the answers of every variant for
            them, and how many clips were learned from at most.

        Raises:
            MotionveilError: No clip can be asked about; or what `variants` raises.
        """
        parts: list[list[Variant]] = []
        clips: list[Clip] = []
        most = 0
        for learned, asked in crossed_halves(data, self.across, control=self.control):
            parts.append(self.variants(replace(data, learned=learned, asked=asked)))
            clips += asked
            most = max(most, len(learned))
        joined = [joined_variant(variants) for variants in zip(*parts, strict=True)]
        return replace(data, asked=tuple(clips)), joined, most

    def scored(
        self, data: AttackData, variants: Sequence[Variant], trained_on: int
    ) -> Recognition | AttributeRecognition:
        """Return what the answers for the clips to be asked about show."""
        origin = self.origin(data)
        if self.target == "action":
            origin["label"] = "action"
        origin |= {"by_frame": self.by_frame, "trained_on": trained_on}
        clips = data.as_filmed(data.part(training=False))
        labels, names = true_classes(data, self.target), self.classes(data)
        if labels.ndim > 1:
            return attribute_recognition(origin, variants, clips=clips, labels=labels, names=names)
        origin["target"] = self.target
        return recognition(origin, variants, clips=clips, labels=labels, classes=names)

    def _draw_surest(self, found: Recognition, data: AttackData) -> Recognition:
        """Draw the frames that it was right about and surest of; none if it was never right."""
        places = found.surest(SHOWN)
        if not places or data.folder is None:
            return found
        middle = data.frames // 2
        moments = [found.answers[p].surest if self.by_frame else middle for p in places]
        titles = [found.classes[found.answers[place].truth] for place in places]
        lines = [
            (name, _frames(source, places, moments))
            for name, source in (("veiled", data), ("original", data.original()))
        ]
        draw_grid(data.folder / SUREST, titles, lines[:1])
        draw_grid(data.folder / SUREST_WITH_ORIGINAL, titles, lines)
        names = {"picture": SUREST, "picture_with_original": SUREST_WITH_ORIGINAL}
        return found.model_copy(update=names)


def _frames(data: AttackData, places: Sequence[int], moments: Sequence[int]) -> list[Images]:
    clips = data.clips(training=False, drawn=False)
    loaded = clips.load(places, seed=data.seed, epoch=0).clips
    return [
        clip[:, moment].permute(1, 2, 0).numpy()
        for clip, moment in zip(loaded, moments, strict=True)
    ]
