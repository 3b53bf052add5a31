"""Pictures that attacks leave: grids of frames, with original ones and without."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from motionveil.audit.attack import Attack, Ground
from motionveil.files import atomic_path
from motionveil.findings import AttackFinding

SUREST, SUREST_WITH_ORIGINAL = "surest.png", "surest-with-original.png"
SHOWN = 6
"""Clips that are shown of which an attack was surest."""

Images = NDArray[np.float32]
Line = tuple[str, Sequence[Images]]
"""What a line of a grid is called, and its pictures: float32 (H, W, 3) in [0, 1]."""


def draw_grid(file: Path, columns: Sequence[str], lines: Sequence[Line]) -> None:
    """Draw pictures in lines and columns, whole or not at all."""
    figure = Figure(figsize=(1.8 * len(columns), 1.8 * len(lines)), layout="constrained")
    axes = figure.subplots(len(lines), len(columns), squeeze=False)
    for row, (name, images) in zip(axes, lines, strict=True):
        row[0].set_ylabel(name, fontsize=8)
        for cell, image, title in zip(row, images, columns, strict=True):
            cell.imshow(np.clip(image, 0, 1), interpolation="nearest")
            cell.set_xticks([])
            cell.set_yticks([])
            if row is axes[0]:
                cell.set_title(title, fontsize=9)
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(file) as part:
        figure.savefig(part, dpi=120, format="png", metadata={"Software": None})


def draw_surest(
    attack: Attack, finding: AttackFinding, veiled: Ground, original: Ground, out: Path
) -> AttackFinding:
    """Draw the frames that an attack on veiled video was right about and surest of.

    Args:
        attack: The attack.
        finding: What it found, its answers in the order of the clips held out.
        veiled: The clips that it saw.
        original: The same clips as they were filmed.
        out: Folder for the two pictures.

    Returns:
        The finding with the pictures' names; without, where it was right about no clip.
    """
    places = finding.surest(SHOWN)
    if not places:
        return finding
    middle = veiled.frames // 2
    moments = [finding.answers[p].surest if attack.names_frames else middle for p in places]
    titles = [finding.classes[finding.answers[place].truth] for place in places]
    lines = [
        (name, _frames(ground, places, moments))
        for name, ground in (("veiled", veiled), ("original", original))
    ]
    draw_grid(out / SUREST, titles, lines[:1])
    draw_grid(out / SUREST_WITH_ORIGINAL, titles, lines)
    names = {"picture": SUREST, "picture_with_original": SUREST_WITH_ORIGINAL}
    return finding.model_copy(update=names)


def _frames(ground: Ground, places: Sequence[int], moments: Sequence[int]) -> list[Images]:
    data = ground.clips(training=False, drawn=False)
    clips = data.load(places, seed=data.seed, epoch=0).clips
    return [
        clip[:, moment].permute(1, 2, 0).numpy()
        for clip, moment in zip(clips, moments, strict=True)
    ]
