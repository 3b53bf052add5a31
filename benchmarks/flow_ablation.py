"""What the motion field says of the person, and what of the action: parts of it taken away.

    OMP_NUM_THREADS=1 python benchmarks/flow_ablation.py --data quickstart/actors --json FILE

Each version of the field of the built-in data (seed 0) goes to a small network over time, which is
trained on the action and, anew, on the identity, for 60 epochs. It sees the numbers themselves, not
a picture of them, so that a training takes seconds; the figures are for comparing the versions with
each other, not with those of the protocol. About ten minutes on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, cross_entropy

from measuring import write_figures
from motionveil.datasets.actors import make_actors
from motionveil.encoders.flow import Flow
from motionveil.encoders.moments import Moments
from motionveil.evaluation.encode_clips import working_clips
from motionveil.methods.moments import MomentsSettings
from motionveil.networks.small1d import COURSE_FEATURES, course_features
from motionveil.spec import EncoderSpec
from motionveil.training.experiment import geometry_of
from motionveil.training.recipe import load_recipe

EPOCHS, BATCH, WINDOW = 60, 16, 15


class Data:
    """The motion fields of all clips, (clips, T, 2, h, w), as shares of the range, 15 levels."""

    def __init__(self, folder: Path) -> None:
        manifest = make_actors(folder, seed=0)
        geometry = geometry_of(manifest, load_recipe("actors"))
        clips = working_clips(manifest, geometry, multiple=16)
        field = Flow(EncoderSpec.untrained("flow:hard=true"))
        fields = []
        for clip in manifest.clips:
            frames = torch.from_numpy(clips.frames(clip) / np.float32(255))
            levels = field(frames.permute(3, 0, 1, 2)[None])[0, :2, :, ::8, ::8]
            fields.append((levels / 7 - 1).detach().movedim(1, 0))
        length = min(map(len, fields))
        self.fields = torch.stack([one[:length] for one in fields])
        label = manifest.privacy_labels[0]
        names = manifest.names_of(label)
        actions = [manifest.actions.index(clip.action) for clip in manifest.clips]
        self.labels = {
            "action": torch.tensor(actions),
            "identity": torch.tensor([names.index(c.privacy[label]) for c in manifest.clips]),
        }
        learned = {c.key for c in manifest.part(manifest.splits()[0], training=True)}
        training = torch.tensor([clip.key in learned for clip in manifest.clips])
        self.training, self.held_out = training.nonzero()[:, 0], (~training).nonzero()[:, 0]


def recognise(data: Data, numbers: Tensor, target: str) -> tuple[float, float]:
    """Return the accuracy on held-out clips and on those learned from, of numbers (clips, T, n)."""
    torch.manual_seed(0)
    labels, rng = data.labels[target], np.random.default_rng(0)
    series = numbers.flatten(2).transpose(1, 2)  # (clips, n, T)
    classes = int(labels.max()) + 1
    network = nn.Sequential(course_features(series.shape[1]), nn.Linear(COURSE_FEATURES, classes))
    steps = EPOCHS * (len(data.training) // BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.02)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, steps, pct_start=0.1)
    right = torch.zeros(0)
    for _ in range(EPOCHS):
        order, answers = data.training[rng.permutation(len(data.training))], []
        for clips in order.split(BATCH)[: len(order) // BATCH]:
            starts = rng.integers(0, series.shape[2] - WINDOW + 1, len(clips))
            drawn = [series[c, :, s : s + WINDOW] for c, s in zip(clips, starts, strict=True)]
            logits = network(torch.stack(drawn))
            optimizer.zero_grad()
            cross_entropy(logits, labels[clips]).backward()
            optimizer.step()
            rates.step()
            answers.append(logits.argmax(1) == labels[clips])
        right = torch.cat(answers).float()
    network.eval()
    first = (series.shape[2] - WINDOW) // 2
    with torch.no_grad():
        found = network(series[data.held_out, :, first : first + WINDOW]).argmax(1)
    hits = (found == labels[data.held_out]).float()
    return 100 * float(hits.mean()), 100 * float(right.mean())


def at_the_middle(fields: Tensor) -> Tensor:
    """Move what moves to the middle of the frame, a place for each clip."""
    moved = []
    for field in fields:
        moving = field.abs().sum((0, 1))
        middles = [
            float((moving.sum(1 - axis) * torch.arange(side)).sum() / moving.sum().clamp_min(1e-6))
            for axis, side in enumerate(moving.shape)
        ]
        by = [round((s - 1) / 2 - m) for s, m in zip(moving.shape, middles, strict=True)]
        moved.append(torch.roll(field, by, (-2, -1)))
    return torch.stack(moved)


def moments(**settings: float) -> Callable[[Tensor], Tensor]:
    """Return the levels of the moments."""
    module = Moments(EncoderSpec(method="moments", settings=MomentsSettings(**settings)))
    return lambda fields: module.levels(fields.transpose(1, 2)).transpose(1, 2)


def noisy(deviation: float) -> Callable[[Tensor], Tensor]:
    """Add noise to each cell, of so many pixels per frame, and round again."""

    def add(fields: Tensor) -> Tensor:
        noise = torch.randn(fields.shape, generator=torch.Generator().manual_seed(1))
        return ((fields + noise * deviation / 3) * 7).round().clamp(-7, 7) / 7

    return add


def shuffled(fields: Tensor) -> Tensor:
    """Put the frames of each clip in another order."""
    generator = torch.Generator().manual_seed(1)
    return torch.stack([one[torch.randperm(len(one), generator=generator)] for one in fields])


def in_parts(fields: Tensor) -> Tensor:
    """Return the mean of each quarter of the frame."""
    return adaptive_avg_pool2d(fields.flatten(0, 1), 2).unflatten(0, fields.shape[:2])


VERSIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "the field, 8 x 8 cells": lambda f: f,
    "where something moves (0 or 1)": lambda f: (f.abs().sum(2, keepdim=True) > 0).float(),
    "directions without speeds (signs)": torch.sign,
    "no position: motion moved to the middle": at_the_middle,
    "no order: frames shuffled": shuffled,
    "no course: mean speed of each cell": lambda f: f.abs().mean(1, keepdim=True).expand_as(f),
    "noise of 0.3 pixels per frame": noisy(0.3),
    "noise of 0.6 pixels per frame": noisy(0.6),
    "mean of 2 x 2 parts": in_parts,
    "mean of the frame": lambda f: f.mean((3, 4)),
    "moments, 15 levels": moments(levels=15, step=3 / 7),
    "moments, 5 levels": moments(levels=5, step=1),
    "moments, 3 levels": moments(levels=3, step=0.5),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("quickstart/actors"))
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    data, rows = Data(arguments.data), []
    print(f"{'':42} action  identity  (of the clips learned from)")
    for name, change in VERSIONS.items():
        with torch.no_grad():
            numbers = change(data.fields)
        row: dict[str, object] = {"version": name}
        for target in ("action", "identity"):
            row[target], row[f"{target}_training"] = recognise(data, numbers, target)
        rows.append(row)
        learned = f"({row['identity_training']:.1f})"
        print(f"{name:42} {row['action']:6.1f}  {row['identity']:8.1f}  {learned}", flush=True)
    write_figures(arguments.json, {"n": len(data.held_out), "rows": rows})


if __name__ == "__main__":
    main()
