"""The main job on built-in data: train, attack, validate, veil, recognise, report."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from motionveil.atomic_write import atomic_path
from motionveil.datasets.actors import make_actors
from motionveil.datasets.manifest import Clip, Manifest
from motionveil.errors import MotionveilError
from motionveil.evaluation.suites import brief
from motionveil.experiments.tradeoff import Plan, measure_tradeoff, save_strip
from motionveil.experiments.train_methods import default_choices
from motionveil.methods import Choice, choose
from motionveil.recognition import Answer, Event, load_recogniser, recognise_source
from motionveil.report import write_report
from motionveil.report.figures import timeline, to_png
from motionveil.results import Result
from motionveil.spec import EncoderSpec
from motionveil.streaming import VeilOptions, veil_video
from motionveil.streaming.geometry import working_frames
from motionveil.training.distributed import make_fabric
from motionveil.training.recipe import Recipe
from motionveil.video import open_source, read_frames

FILMED, LIVE = "filming the built-in data set", "recognising a held-out video"
LEAST = 5.0
"""Seconds below which a step was done before."""


def run_quickstart(
    out: Path,
    recipe: Recipe,
    *,
    seed: int,
    device: str,
    workers: int | None,
    command: str,
    say: Callable[[str], None],
) -> Result:
    """Make the data, train with alpha = 0 and the recipe's, attack and validate, and report.

    Args:
        out: Folder for everything; a stopped run goes on where it was.
        seed: Draws the data set and everything after it.
        device: As `make_fabric`.
        workers: Videos made or decoded at once.
        say: Takes a line of text for the user.

    Returns:
        The result, also in `out/results.json`; the report is `out/report.html`.

    Raises:
        MotionveilError: As `measure_tradeoff`; or the recipe's encoder cannot veil a video.
    """
    if recipe.range_mode != "fixed":  # or the veiled video fails when all else is done
        raise MotionveilError(
            f"range_mode {recipe.range_mode}: such an encoder cannot veil a video frame by frame;"
            " quickstart needs 'fixed'"
        )
    began = time.monotonic()
    fabric = make_fabric(device)
    if fabric.world_size > 1:
        raise MotionveilError(f"quickstart runs in one process, not in {fabric.world_size}")
    raw, _, *trained = default_choices(recipe)
    choices = [raw, choose("moments"), choose("flow-untrained"), *trained]
    steps = _Steps([(FILMED, 1.0), *((_title(c), _weight(c)) for c in choices), (LIVE, 0.1)], say)
    steps.next()
    manifest = make_actors(out / "actors", seed=seed, workers=workers)
    steps.next()
    plan = Plan(
        manifest=manifest,
        recipe=recipe,
        choices=choices,
        recogniser=choices[-1],
        splits=manifest.splits(),
        seeds=(seed,),
        privacy_label=manifest.privacy_labels[0],
        attackers=brief(recipe),
    )
    result = measure_tradeoff(
        plan,
        out,
        fabric,
        kind="quickstart",
        command=command,
        workers=workers,
        done=lambda row: steps.next(),
    )
    for name, reason in result.collapsed.items():
        raise MotionveilError(f"{name}: {reason}")
    spec = result.rows[-1].encoder
    spec.save(out / "encoder.json")
    result.media = _make_media(out, manifest, spec)
    result.seconds = max(result.seconds, time.monotonic() - began)
    result.save(out / "results.json")
    write_report(result, out)
    return result


class _Steps:
    """Says what is done, and how long the rest will take, from how long earlier steps took.

    Args:
        steps: What each does, and its share of the whole. One that an earlier run has done tells
            nothing of the others.
        say: Takes a line of text for the user.
    """

    def __init__(self, steps: Sequence[tuple[str, float]], say: Callable[[str], None]) -> None:
        self._steps, self._say, self._at = steps, say, -1
        self._began = self._seconds = self._share = 0.0

    def next(self) -> None:
        """End a step and begin the next."""
        took = time.monotonic() - self._began
        if self._at >= 0 and took > LEAST:
            self._seconds, self._share = (
                self._seconds + took,
                self._share + self._steps[self._at][1],
            )
        self._at, self._began = self._at + 1, time.monotonic()
        left = sum(share for _, share in self._steps[self._at :])
        minutes = self._seconds / self._share * left / 60 if self._share else None
        told = "" if minutes is None else f", about {max(1, round(minutes))} min left"
        self._say(f"{self._at + 1} of {len(self._steps)}: {self._steps[self._at][0]}{told}")


def _title(choice: Choice) -> str:
    trained = "training, attacking and " if choice.alpha is not None else "attacking and "
    return f"{trained}validating {choice.label}"


def _weight(choice: Choice) -> float:
    return 3.6 if choice.alpha is not None else 1.5


def _make_media(out: Path, manifest: Manifest, spec: EncoderSpec) -> dict[str, str]:
    """Veil a held-out video, recognise it as a stream, and draw a clip of it in every stage."""
    clip = manifest.part(training=False)[0]
    video = manifest.root / clip.path
    # Each pixel as 4 x 4: the video is for people to look at.
    veil_video(video, out / "veiled.mp4", spec, VeilOptions(enlarge=4))
    assert spec.geometry is not None, "it has just been trained"
    frames = working_frames(read_frames(video, clip.start, clip.end), spec.geometry)
    save_strip(out / "strip.png", np.stack([frame.image for frame in frames]), spec)
    media = {"strip": "strip.png", "veiled": "veiled.mp4"}
    if (out / "recogniser").is_dir():  # in the paper's order there is none
        _recognise(out, video, [c for c in manifest.clips if c.path == clip.path])
        media = {"timeline": "timeline.png", **media}
    return media


def _recognise(out: Path, video: Path, clips: Sequence[Clip]) -> None:
    """Recognise a video as it comes, and draw what was found below what was done."""
    heard = _Heard()
    source = open_source(video)
    recognise_source(source, load_recogniser(out / "recogniser"), [heard])
    rate = float(source.info.rate) if source.info and source.info.rate else 1.0
    done = [(c.start / rate, (c.end or c.start) / rate, c.action) for c in clips]
    with atomic_path(out / "timeline.png") as part:
        part.write_bytes(to_png(timeline(done, heard.actions)))


@dataclass
class _Heard:
    """Takes the actions that a recogniser names."""

    actions: list[tuple[float, float, str]] = field(default_factory=list)

    def answer(self, answer: Answer) -> None:
        """Take no notice of single windows."""

    def event(self, event: Event) -> None:
        """Keep the actions that have ended."""
        if event.kind == "action" and event.end is not None:
            self.actions.append((event.start, event.end, event.label))
