"""The main job on built-in data: train, attack, validate, veil, recognise, report."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from motionveil.atomic_write import atomic_path
from motionveil.datasets.actors import make_actors
from motionveil.datasets.manifest import Clip, Manifest
from motionveil.errors import MotionveilError
from motionveil.evaluation.suites import brief
from motionveil.experiments.frame_strips import save_strip
from motionveil.experiments.tradeoff import Plan, measure_tradeoff
from motionveil.experiments.train_methods import default_choices
from motionveil.methods import Choice, choose
from motionveil.processes import usable_cores
from motionveil.recognition import Answer, Event, load_recogniser, recognise_source
from motionveil.report import write_report
from motionveil.report.figures import timeline, to_png
from motionveil.results import Result, Row
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
    precision: str,
    workers: int | None,
    command: str,
    say: Callable[[str], None],
) -> Result:
    """Make the data, train with alpha = 0 and the recipe's, attack and validate, and report.

    Args:
        out: Folder for everything; an interrupted run resumes.
        seed: Draws the data set and everything after it.
        device, precision: As `make_fabric`.
        workers: Videos made or decoded in parallel.
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
    fabric = make_fabric(device, precision)
    if fabric.world_size > 1:
        raise MotionveilError(f"quickstart runs in one process, not in {fabric.world_size}")
    raw, _, *trained = default_choices(recipe)
    choices = [raw, choose("moments"), choose("flow-untrained"), *trained]
    # Two processes of a thread each train two small networks faster than one of two threads.
    cores = min(torch.get_num_threads(), usable_cores())
    jobs = min(cores, len(choices)) if fabric.device.type == "cpu" else 1
    rows = sorted(choices, key=lambda one: one.alpha is None) if jobs > 1 else choices
    titles = [FILMED, *map(_title, rows), LIVE]
    steps = _Steps(titles, 1.0 + sum(map(_weight, rows)) + 0.1, jobs, say)
    steps.begin()
    manifest = make_actors(out / "actors", seed=seed, workers=workers)
    steps.end(1.0, time.monotonic() - began)
    for _ in range(jobs):
        steps.begin()

    def measured(row: Row) -> None:
        steps.end(_weight(row), row.seconds)
        if steps.begun < len(choices) + 1:
            steps.begin()

    plan = Plan(
        manifest=manifest,
        recipe=recipe,
        choices=choices,
        recogniser=choices[-1],
        splits=manifest.splits(),
        seeds=(seed,),
        privacy_label=manifest.privacy_labels[0],
        attackers=brief(recipe),
        precision=precision,
    )
    result = measure_tradeoff(
        plan,
        out,
        fabric,
        kind="quickstart",
        command=command,
        workers=workers,
        parallel_rows=jobs,
        done=measured,
    )
    for name, reason in result.collapsed.items():
        raise MotionveilError(f"{name}: {reason}")
    steps.begin()
    spec = result.rows[-1].encoder
    spec.save(out / "encoder.json")
    result.media = _make_media(out, manifest, spec)
    result.seconds = max(result.seconds, time.monotonic() - began)
    result.save(out / "results.json")
    write_report(result, out)
    return result


class _Steps:
    """Says what begins, and how long the rest will take, from how long earlier steps took.

    Args:
        titles: What each step does, in the order in which they begin.
        whole: The shares of all steps together.
        jobs: Steps that run in parallel.
        say: Takes a line of text for the user.
    """

    def __init__(
        self, titles: Sequence[str], whole: float, jobs: int, say: Callable[[str], None]
    ) -> None:
        self._titles, self._say, self._jobs = titles, say, jobs
        self._left, self._seconds, self._share = whole, 0.0, 0.0
        self.begun = 0

    def begin(self) -> None:
        """Begin the next step."""
        seconds = self._seconds / self._share * self._left / self._jobs if self._share else 0
        told = f", about {max(1, round(seconds / 60))} min left" if seconds else ""
        self.begun += 1
        title = self._titles[self.begun - 1]
        self._say(f"{self.begun} of {len(self._titles)}: {title}{told}")

    def end(self, share: float, seconds: float) -> None:
        """End a step.

        Args:
            share: Its share of the whole.
            seconds: How long it took; if hardly any, it was done before, and tells nothing.
        """
        self._left -= share
        if seconds > LEAST:
            self._seconds, self._share = self._seconds + seconds, self._share + share


def _title(choice: Choice) -> str:
    trained = "training, attacking and " if choice.alpha is not None else "attacking and "
    return f"{trained}validating {choice.label}"


def _weight(row: Choice | Row) -> float:
    return 3.6 if row.alpha is not None else 1.5


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
