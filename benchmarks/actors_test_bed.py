"""Is the built-in data set an honest test bed? Four accuracies, measured with the small networks.

Raw video should give action and identity; one frame alone should not give the action; the plain
difference of frames should still give the identity, or hiding it would be no feat.

    python benchmarks/actors_test_bed.py --data quickstart/actors

About three minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

from torch import Tensor, nn

from motionveil.datasets.actors import make_actors
from motionveil.datasets.cache import ClipCache
from motionveil.datasets.manifest import Manifest
from motionveil.encoders import Encoder, Raw
from motionveil.evaluation.encode_clips import EncodedParts
from motionveil.evaluation.validation import ValidationScores, validate
from motionveil.results import Accuracy
from motionveil.training.distributed import make_fabric
from motionveil.training.experiment import Experiment
from motionveil.training.recipe import load_recipe


class PlainDifference(Encoder):
    """v_i - v_{i-1}, scaled to [0, 15] by the calibrated range; neither blurred nor quantised."""

    def __init__(self, spread: float) -> None:
        super().__init__()
        self.spread = spread

    def forward(self, clip: Tensor) -> Tensor:
        """Map `(B, 3, T, H, W)` in [0, 1] to `(B, 3, T - 1, H, W)` in [0, 15]."""
        difference = clip[:, :, 1:] - clip[:, :, :-1]
        return ((difference / self.spread).clamp(-1, 1) + 1) * 7.5


def with_action_as_label(manifest: Manifest) -> Manifest:
    """Return the manifest with the action as privacy label, so that P learns it frame by frame."""
    clips = tuple(replace(clip, privacy={"action": clip.action}) for clip in manifest.clips)
    return replace(manifest, clips=clips)


class MeanColour(nn.Module):
    """An action network that costs nothing, where only the privacy network is of interest."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(3, classes)

    def forward(self, clips: Tensor) -> Tensor:
        """Map `(B, 3, T, H, W)` to logits `(B, classes)`."""
        logits: Tensor = self.head(clips.mean(dim=(2, 3, 4)))
        return logits


def measure(
    experiment: Experiment, encoder: Encoder, title: str, *, with_action: bool
) -> ValidationScores:
    """Train and score fresh networks on an encoder's output."""
    networks = experiment.networks("validation")
    if not with_action:
        networks = networks._replace(action=MeanColour(len(experiment.cache.manifest.actions)))
    return validate(
        experiment.fabric,
        EncodedParts(encoder, experiment.clips(training=True), experiment.clips(training=False)),
        networks,
        experiment.recipe.validation,
        privacy_label=experiment.privacy_label,
        seed=experiment.seed,
        title=title,
    )


def main() -> None:
    """Measure, print the table, and write it as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of the data set (made if absent)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.data or Path(scratch)
        manifest = make_actors(folder, seed=arguments.seed)
        recipe = load_recipe("actors")
        cache = ClipCache.build(manifest, size=recipe.cache_size, fit=recipe.fit)
        experiment = Experiment(
            cache, recipe, "validation", "identity", arguments.seed, make_fabric("cpu")
        )
        relabelled = with_action_as_label(manifest)
        # Poses are learned more slowly than clothes: at the recipe's rate one frame gives nothing.
        gently = recipe.validation.model_copy(update={"lr": 0.001, "privacy_frames": 8})
        of_action = replace(
            experiment,
            recipe=recipe.model_copy(update={"validation": gently}),
            cache=ClipCache.build(relabelled, size=recipe.cache_size, fit=recipe.fit),
            privacy_label="action",
        )
        spread = experiment.calibrated_range
        raw = measure(experiment, Raw(), "raw video", with_action=True)
        one_frame = measure(of_action, Raw(), "one frame", with_action=False)
        difference = measure(
            experiment, PlainDifference(spread), "frame difference", with_action=False
        )
    figures = {
        "raw video, action": raw.action,
        "raw video, identity by frame": raw.privacy.frame,
        "one frame of raw video, action": one_frame.privacy.frame,
        "frame difference, identity by frame": difference.privacy.frame,
    }
    for name, accuracy in figures.items():
        print(f"{name:<36} {describe(accuracy)}")
    if arguments.json:
        values = {name: accuracy.model_dump() for name, accuracy in figures.items()}
        arguments.json.write_text(json.dumps(values, indent=1) + "\n")


def describe(accuracy: Accuracy) -> str:
    """Return accuracy, interval, chance level and n on one line."""
    low, high = accuracy.interval
    return (
        f"{100 * accuracy.accuracy:5.1f} %  ({100 * low:.0f} to {100 * high:.0f})"
        f"  chance level {100 * accuracy.chance_level:.1f} %  n = {accuracy.n}"
    )


if __name__ == "__main__":
    main()
