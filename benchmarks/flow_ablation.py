"""What the motion field says of the person, and what of the action: parts of it taken away.

    export OMP_NUM_THREADS=1
    python benchmarks/flow_ablation.py quickstart/actors/seed0/manifest.csv actors --json FILE
    python benchmarks/flow_ablation.py ut/manifest.csv ut-interaction --json FILE

Each version of the motion field goes to a small network over time, which is trained on the action
and, anew, on the identity, for each fold of the data set, and is asked about every window of a
held-out clip. It sees the numbers themselves, not a picture of them, so that a training takes
seconds; the figures are for comparing the versions with each other, not with those of the protocol.
About ten minutes on one core.
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
from motionveil.datasets.manifest import Manifest
from motionveil.encoders.flow import Flow
from motionveil.encoders.moments import Moments
from motionveil.evaluation.encode_clips import working_clips
from motionveil.methods.moments import MomentsSettings
from motionveil.networks.action import COURSE_FEATURES, course_features
from motionveil.spec import EncoderSpec
from motionveil.training.experiment import geometry_of
from motionveil.training.recipe import Recipe, load_recipe

STEPS, BATCH = 2000, 16


class Data:
    """The motion fields of all clips, each (T, 2, h, w), as shares of the range, 15 levels."""

    def __init__(self, manifest: Manifest, recipe: Recipe) -> None:
        clips = working_clips(manifest, geometry_of(manifest, recipe), multiple=8)
        encoder = Flow(EncoderSpec.untrained("flow:hard=true"))
        self.manifest, self.window = manifest, recipe.frames
        self.fields = []
        for clip in manifest.clips:
            frames = torch.from_numpy(clips.frames(clip) / np.float32(255))
            with torch.no_grad():
                levels = encoder(frames.permute(3, 0, 1, 2)[None])[0, :2, :, ::8, ::8]
            self.fields.append((levels / 7 - 1).movedim(1, 0))
        label = manifest.privacy_labels[0]
        names = manifest.names_of(label)
        self.labels = {
            "action": torch.tensor([manifest.actions.index(c.action) for c in manifest.clips]),
            "identity": torch.tensor([names.index(c.privacy[label]) for c in manifest.clips]),
        }

    def clips_of(self, split: str) -> tuple[list[int], list[int]]:
        """Return which clips are learned from, and which are held out."""
        places = {clip.key: place for place, clip in enumerate(self.manifest.clips)}
        training, held_out = (self.manifest.part(split, training=side) for side in (True, False))
        return [places[c.key] for c in training], [places[c.key] for c in held_out]


def windows(series: Tensor, length: int) -> Tensor:
    """Return all windows of numbers (n, T), (windows, n, length); the last frame repeats."""
    missing = max(0, length - series.shape[1])
    return (
        torch.cat([series, series[:, -1:].expand(-1, missing)], 1)
        .unfold(1, length, 1)
        .movedim(1, 0)
    )


def recognise(
    data: Data, numbers: list[Tensor], target: str, split: str, seed: int
) -> tuple[list[bool], float]:
    """Return whether held-out clips are told, and the accuracy on those learned from.

    Args:
        data: The labels and folds.
        numbers: Of each clip, (T, ...).
        target: `"action"` or `"identity"`.
        split: A fold.
        seed: Of the network and of what it sees.
    """
    torch.manual_seed(seed)
    labels, rng = data.labels[target], np.random.default_rng(seed)
    training, held_out = data.clips_of(split)
    found = [windows(one.flatten(1).T, data.window) for one in numbers]
    classes = int(labels.max()) + 1
    network = nn.Sequential(course_features(found[0].shape[1]), nn.Linear(COURSE_FEATURES, classes))
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.02)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, STEPS, pct_start=0.1)
    answers = []
    for _ in range(STEPS):
        clips = rng.choice(training, BATCH, replace=False)
        logits = network(torch.stack([found[c][rng.integers(len(found[c]))] for c in clips]))
        optimizer.zero_grad()
        cross_entropy(logits, labels[clips]).backward()
        optimizer.step()
        rates.step()
        answers.append(logits.argmax(1) == labels[clips])
    network.eval()
    with torch.no_grad():
        told = [int(network(found[c]).softmax(1).mean(0).argmax()) for c in held_out]
    right = [answer == int(labels[c]) for answer, c in zip(told, held_out, strict=True)]
    return right, 100 * float(torch.cat(answers[-STEPS // 60 :]).float().mean())


def at_the_middle(field: Tensor) -> Tensor:
    """Move what moves to the middle of the frame, a place for each clip."""
    moving = field.abs().sum((0, 1))
    middles = [
        float((moving.sum(1 - axis) * torch.arange(side)).sum() / moving.sum().clamp_min(1e-6))
        for axis, side in enumerate(moving.shape)
    ]
    by = [round((s - 1) / 2 - m) for s, m in zip(moving.shape, middles, strict=True)]
    return torch.roll(field, by, (-2, -1))


def moments(**settings: float) -> Callable[[Tensor], Tensor]:
    """Return the levels of the moments, of each part."""
    chosen = MomentsSettings.model_validate(settings)
    module = Moments(EncoderSpec(method="moments", settings=chosen))

    def sum_up(field: Tensor) -> Tensor:
        parts = [field[..., part] for part in chosen.columns(field.shape[-1])]
        return torch.cat([module.levels(part.transpose(0, 1)[None])[0] for part in parts], 2)

    return lambda field: sum_up(field).transpose(0, 1)


def noisy(deviation: float) -> Callable[[Tensor], Tensor]:
    """Add noise to each cell, of so many pixels per frame, and round again."""

    def add(field: Tensor) -> Tensor:
        seed = int(field.abs().sum() * 1000)
        noise = torch.randn(field.shape, generator=torch.Generator().manual_seed(seed))
        return ((field + noise * deviation / 3) * 7).round().clamp(-7, 7) / 7

    return add


def shuffled(field: Tensor) -> Tensor:
    """Put the frames in another order."""
    seed = int(field.abs().sum() * 1000)
    return field[torch.randperm(len(field), generator=torch.Generator().manual_seed(seed))]


def of_one_size(numbers: list[Tensor]) -> list[Tensor]:
    """Average grids of clips of several shapes down to the smallest sides; others stay."""
    if numbers[0].dim() < 4 or len({one.shape[2:] for one in numbers}) == 1:
        return numbers
    sides = (min(one.shape[2] for one in numbers), min(one.shape[3] for one in numbers))
    return [adaptive_avg_pool2d(one, sides) for one in numbers]


VERSIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "the field, cells of 8 pixels": lambda f: f,
    "where something moves (0 or 1)": lambda f: (f.abs().sum(1, keepdim=True) > 0).float(),
    "directions without speeds (signs)": torch.sign,
    "no position: motion moved to the middle": at_the_middle,
    "no order: frames shuffled": shuffled,
    "no course: mean speed of each cell": lambda f: f.abs().mean(0, keepdim=True).expand_as(f),
    "noise of 0.3 pixels per frame": noisy(0.3),
    "noise of 0.6 pixels per frame": noisy(0.6),
    "mean of 2 x 2 parts": lambda f: adaptive_avg_pool2d(f, 2),
    "mean of the frame": lambda f: f.mean((2, 3)),
    "moments, 15 levels": moments(levels=15, step=3 / 7, parts=1),
    "moments, 5 levels": moments(levels=5, step=1, parts=1),
    "moments, 3 levels": moments(levels=3, step=0.5, parts=1),
    "moments of 2 parts, 3 levels": moments(levels=3, step=0.5, parts=2),
    "moments of 3 parts, 3 levels": moments(levels=3, step=0.5, parts=3),
    "moments of 4 parts, 3 levels": moments(levels=3, step=0.5, parts=4),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("recipe")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each (default: 1)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    data = Data(Manifest.read(arguments.manifest), load_recipe(arguments.recipe))
    trainings = [(s, seed) for s in data.manifest.splits() for seed in range(arguments.seeds)]
    print(f"{'':42} action  identity  (of the clips learned from)")
    rows = []
    for name, change in VERSIONS.items():
        with torch.no_grad():
            numbers = of_one_size([change(field) for field in data.fields])
        row: dict[str, object] = {"version": name}
        for target in data.labels:
            found = [recognise(data, numbers, target, *each) for each in trainings]
            row[target] = 100 * float(np.concatenate([right for right, _ in found]).mean())
            row[f"{target}_training"] = float(np.mean([learned for _, learned in found]))
        rows.append(row)
        learned = f"({row['identity_training']:.1f})"
        print(f"{name:42} {row['action']:6.1f}  {row['identity']:8.1f}  {learned}", flush=True)
    clips = sum(len(data.clips_of(split)[1]) for split in data.manifest.splits())
    settings = {"recipe": arguments.recipe, "n": clips, "seeds": arguments.seeds}
    write_figures(arguments.json, settings | {"rows": rows})


if __name__ == "__main__":
    main()
