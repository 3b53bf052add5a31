"""The main job on built-in data: train BDQ against its adversary, validate, veil, report."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from motionveil.datasets.actors import make_actors
from motionveil.datasets.manifest import Manifest
from motionveil.errors import MotionveilError
from motionveil.experiments.tradeoff import Plan, measure_tradeoff, save_strip
from motionveil.experiments.train_methods import default_choices
from motionveil.methods import choose
from motionveil.report import write_report
from motionveil.results import Result
from motionveil.spec import EncoderSpec
from motionveil.streaming import VeilOptions, veil_video
from motionveil.streaming.geometry import working_frames
from motionveil.training.distributed import make_fabric
from motionveil.training.recipe import Recipe
from motionveil.video import read_frames


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
    """Make the data, train with alpha = 0 and the recipe's, validate five encoders and report.

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
    say("filming the built-in data set")
    manifest = make_actors(out / "actors", seed=seed, workers=workers)
    plain, untrained, *trained = default_choices(recipe)
    choices = [plain, untrained, choose("flow-untrained"), *trained]
    plan = Plan(
        manifest=manifest,
        recipe=recipe,
        choices=choices,
        recogniser=choices[-1],
        splits=manifest.splits(),
        seeds=(seed,),
        privacy_label=manifest.privacy_labels[0],
    )
    say(
        "training and validating raw video, an untrained BDQ and motion field, BDQ with alpha 0 and"
        f" with alpha {recipe.alpha:g}"
    )
    result = measure_tradeoff(
        plan, out, fabric, kind="quickstart", command=command, workers=workers
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


def _make_media(out: Path, manifest: Manifest, spec: EncoderSpec) -> dict[str, str]:
    """Veil a held-out video and draw one of its clips in every stage."""
    clip = manifest.part(training=False)[0]
    video = manifest.root / clip.path
    # Each pixel as 4 x 4: the video is for people to look at.
    veil_video(video, out / "veiled.mp4", spec, VeilOptions(enlarge=4))
    assert spec.geometry is not None, "it has just been trained"
    frames = working_frames(read_frames(video, clip.start, clip.end), spec.geometry)
    save_strip(out / "strip.png", np.stack([frame.image for frame in frames]), spec)
    return {"strip": "strip.png", "veiled": "veiled.mp4"}
