"""Fresh networks on a frozen encoder, on data whose answer is known."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from motionveil.datasets.dataset import ClipDataset, batches
from motionveil.datasets.manifest import Manifest
from motionveil.encoders import BDQ, Encoder, Raw
from motionveil.errors import MotionveilError
from motionveil.evaluation.encode_clips import EncodedParts
from motionveil.evaluation.validation import (
    ValidationScores,
    score,
    validate,
    validate_encoder,
)
from motionveil.results import Accuracy, Row
from motionveil.spec import EncoderSpec
from motionveil.training.adversaries import Networks
from motionveil.training.distributed import make_fabric
from motionveil.training.experiment import Experiment
from motionveil.training.loop import ADVERSARIAL
from tiny import every_clip, tiny_experiment, tiny_recipe, write_toys

LEARN = {"epochs": 12, "lr": 0.01, "warmup": 1.0}


@pytest.fixture(scope="module")
def learner(toys: Manifest) -> Experiment:
    """An experiment whose fresh networks are given enough time to learn."""
    return tiny_experiment(toys, tiny_recipe(validation=LEARN))


@pytest.fixture(scope="module")
def raw_row(learner: Experiment) -> Row:
    return validate_encoder(learner, EncoderSpec(method="raw"), method="raw")


class Blank(Encoder):
    """An encoder that tells nothing: the same image for every clip."""

    def forward(self, clips: Tensor) -> Tensor:
        return torch.full_like(clips, 7.5)


def validate_with(
    experiment: Experiment, encoder: Encoder, networks: Networks | None = None
) -> ValidationScores:
    return validate(
        experiment.fabric,
        EncodedParts(encoder, experiment.clips(training=True), experiment.clips(training=False)),
        networks or experiment.networks("validation"),
        experiment.recipe.validation,
        privacy_label=experiment.privacy_label,
        seed=experiment.seed,
        title="test",
    )


class TestWhatIsKnown:
    def test_raw_gives_the_person_away(self, raw_row: Row) -> None:
        """The person is the square's colour, the same in takes never seen."""
        assert raw_row.privacy.frame.accuracy > 0.95
        assert raw_row.privacy.clip.accuracy == 1.0
        assert raw_row.privacy.label == "person"
        assert raw_row.privacy.frame.chance_level == 0.5
        assert raw_row.action.n == raw_row.privacy.clip.n == len(raw_row.predictions) == 8

    def test_raw_shows_the_action(self, raw_row: Row) -> None:
        assert raw_row.action.accuracy > raw_row.action.chance_level

    def test_a_blank_image_is_at_chance_level(self, tmp_path: Path) -> None:
        """A third person makes one commonest; without an image nothing beats naming it."""
        manifest = write_toys(tmp_path, people=3)
        clips = [
            dataclasses.replace(
                c, privacy={"person": "p0" if c.privacy["person"] == "p2" else "p1"}
            )
            for c in manifest.clips
        ]
        uneven = Manifest("uneven", tmp_path, tuple(clips)).write(tmp_path / "uneven.csv")
        experiment = tiny_experiment(Manifest.read(uneven), tiny_recipe(validation=LEARN))
        scores = validate_with(experiment, Blank())
        for accuracy in (scores.privacy.frame, scores.privacy.clip):
            assert accuracy.chance_level == pytest.approx(2 / 3)
            assert accuracy.interval[0] <= accuracy.chance_level <= accuracy.interval[1]
            assert accuracy.accuracy == pytest.approx(2 / 3)
            assert accuracy.balanced == pytest.approx(0.5)
        assert scores.action.accuracy == 0.5


class TestFrozen:
    def test_the_encoder_stays_bit_equal(self, experiment: Experiment) -> None:
        encoder = BDQ(experiment.untrained())
        before = copy.deepcopy(encoder.state_dict())
        validate_with(experiment, encoder)
        for name, value in encoder.state_dict().items():
            assert torch.equal(value, before[name])
        assert all(weight.grad is None for weight in encoder.parameters())

    def test_the_networks_are_fresh(self, experiment: Experiment) -> None:
        """Adversarial training and validation have different networks, each fixed by its seed."""
        trained, fresh, again = (
            experiment.networks(p) for p in (ADVERSARIAL, "validation", "validation")
        )
        weights = [next(w.privacy.parameters()) for w in (trained, fresh, again)]
        assert torch.equal(weights[1], weights[2])
        assert not torch.equal(weights[0], weights[1])

    def test_the_same_seed_gives_the_same_row(self, experiment: Experiment) -> None:
        spec = experiment.untrained()
        rows = []
        for noise in (1, 2):
            torch.manual_seed(noise)  # what was drawn before must not matter
            rows.append(validate_encoder(experiment, spec, method="bdq-untrained"))
        assert rows[0].model_copy(update={"seconds": 0.0}) == rows[1].model_copy(
            update={"seconds": 0.0}
        )
        other = validate_encoder(
            dataclasses.replace(experiment, seed=1), spec, method="bdq-untrained"
        )
        assert other.predictions != rows[0].predictions

    def test_what_was_drawn_before_does_not_matter(self, experiment: Experiment) -> None:
        found = []
        for noise in (1, 2):
            networks = experiment.networks("validation")
            torch.manual_seed(noise)
            found.append(validate_with(experiment, BDQ(experiment.untrained()), networks))
        assert found[0] == found[1]

    def test_a_loss_that_is_not_finite_stops(self, toys: Manifest) -> None:
        wild = tiny_experiment(toys, tiny_recipe(validation={"lr": 1e30}))
        with pytest.raises(MotionveilError, match="validate raw: the loss is not finite in epoch"):
            validate_encoder(wild, EncoderSpec(method="raw"), method="raw")

    def test_a_mixed_precision_leaves_the_encoder_whole(self, experiment: Experiment) -> None:
        mixed = dataclasses.replace(experiment, fabric=make_fabric("cpu", "bf16-mixed"))
        encoder = BDQ(experiment.untrained())
        seen: list[torch.dtype] = []
        encoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].dtype))
        # Some builds of torch make NaN of bfloat16 convolutions on the CPU, now and then.
        with contextlib.suppress(MotionveilError):
            validate_with(mixed, encoder)
        assert set(seen) == {torch.float32}


class Corner(nn.Module):
    """A network without weights that matter: it knows the colour of one corner."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, pictures: Tensor) -> Tensor:
        red, green, _ = pictures[..., :9, :9].flatten(2).mean(2).unbind(1)
        return torch.stack([9 * red, 9 * green - 1], 1) + 0 * self.unused


def corner_probabilities(pictures: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same in numpy: (N, 3, ...) in [-1, 1] to probabilities (N, 2)."""
    corner = pictures[..., :9, :9]
    means = corner.reshape(*corner.shape[:2], -1).mean(2)
    logits = np.stack([9 * means[:, 0], 9 * means[:, 1] - 1], 1)
    e = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(e / e.sum(1, keepdims=True))


class TestScore:
    @pytest.fixture(scope="class")
    def held_out(self, learner: Experiment) -> ClipDataset:
        return every_clip(learner, training=False)

    @pytest.fixture(scope="class")
    def scores(self, learner: Experiment, held_out: ClipDataset) -> ValidationScores:
        networks = Networks(Corner(), Corner())
        return score(learner.fabric, Raw(), networks, held_out, 3, "person")

    def test_accuracies_equal_numpy_s(
        self, scores: ValidationScores, held_out: ClipDataset
    ) -> None:
        clips = np.stack([held_out[n][0].numpy() for n in range(len(held_out))]).astype(float)
        seen = clips * 2 - 1  # (N, 3, T, H, W)
        labels, actions = held_out.privacy.numpy(), held_out.actions.numpy()
        frames = np.stack([corner_probabilities(seen[:, :, t]) for t in range(seen.shape[2])], 1)
        by_frame = (frames.argmax(2) == labels[:, None]).mean()
        by_clip = (frames.mean(1).argmax(1) == labels).mean()
        by_action = (corner_probabilities(seen).argmax(1) == actions).mean()
        assert scores.privacy.batchnorm == "eval"
        assert list(scores.privacy.modes) == ["eval"], "without BatchNorm there is one mode"
        assert scores.privacy.frame.accuracy == pytest.approx(by_frame, abs=1e-12)
        assert scores.privacy.clip.accuracy == pytest.approx(by_clip, abs=1e-12)
        assert scores.action.accuracy == pytest.approx(by_action, abs=1e-12)
        assert 0 < by_frame < 1, "the test must be able to tell"
        stored = np.array([p.privacy_probabilities for p in scores.predictions])
        np.testing.assert_allclose(stored, frames.mean(1), atol=1e-5)
        stored = np.array([p.action_probabilities for p in scores.predictions])
        np.testing.assert_allclose(stored, corner_probabilities(seen), atol=1e-5)

    def test_the_batch_s_size_does_not_matter(
        self, learner: Experiment, held_out: ClipDataset, scores: ValidationScores
    ) -> None:
        networks = Networks(Corner(), Corner())
        other = score(learner.fabric, Raw(), networks, held_out, 8, "person")
        assert other.privacy == scores.privacy
        assert other.action == scores.action

    def test_predictions_give_the_accuracies_again(
        self, raw_row: Row, scores: ValidationScores
    ) -> None:
        for found in (raw_row, scores):
            actions = [p.action for p in found.predictions]
            privacy = [p.privacy for p in found.predictions]
            right = [
                float(np.argmax(p.action_probabilities) == p.action) for p in found.predictions
            ]
            assert Accuracy.of(right, actions) == found.action
            frames = [p.privacy_frames for p in found.predictions]
            assert Accuracy.of(frames, privacy) == found.privacy.frame
            right = [
                float(np.argmax(p.privacy_probabilities) == p.privacy) for p in found.predictions
            ]
            assert Accuracy.of(right, privacy) == found.privacy.clip

    def test_predictions_name_their_clips(self, raw_row: Row, held_out: ClipDataset) -> None:
        assert [p.clip for p in raw_row.predictions] == [clip.key for clip in held_out.clips]
        assert [p.action for p in raw_row.predictions] == held_out.actions.tolist()
        for prediction in raw_row.predictions:
            assert sum(prediction.action_probabilities) == pytest.approx(1, abs=1e-5)
            assert sum(prediction.privacy_probabilities) == pytest.approx(1, abs=1e-5)

    def test_probabilities_that_nearly_tie_stay_apart(
        self, learner: Experiment, held_out: ClipDataset
    ) -> None:
        """A network that has learnt nothing answers almost alike for every class."""

        class Undecided(Corner):
            def forward(self, pictures: Tensor) -> Tensor:
                logits: Tensor = super().forward(pictures)
                return logits * 1e-8 + torch.tensor([0.0, 1.2e-7])

        networks = Networks(Undecided(), Undecided())
        scores = score(learner.fabric, Raw(), networks, held_out, 8, "person")
        for prediction in scores.predictions:
            assert prediction.action_probabilities[0] < prediction.action_probabilities[1]
            assert prediction.privacy_frames == prediction.privacy, "every frame says class 1"


def colour_net(mean: Tensor, variance: Tensor) -> nn.Sequential:
    """BatchNorm with given running statistics, then "red above green" against the contrary."""
    norm = nn.BatchNorm2d(3, affine=False)
    norm.running_mean.copy_(mean)  # type: ignore[union-attr]
    norm.running_var.copy_(variance)  # type: ignore[union-attr]
    head = nn.Linear(3, 2, bias=False)
    head.weight.data = torch.tensor([[9.0, -9.0, 0.0], [-9.0, 9.0, 0.0]])
    return nn.Sequential(norm, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)


class TestBatchNorm:
    """P is scored with the statistics of its training and with those of the clips it attacks."""

    def scores(
        self, experiment: Experiment, privacy: nn.Module, batch: int = 3
    ) -> ValidationScores:
        data = every_clip(experiment, training=False)
        return score(experiment.fabric, Raw(), Networks(Corner(), privacy), data, batch, "person")

    def statistics(self, experiment: Experiment, batch: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Plain means over shuffled batches of each batch's mean and unbiased variance."""
        means, variances = [], []
        data = every_clip(experiment, training=False)
        for drawn in batches(data, batch, epoch=0, seed=0, shuffle=True):
            pixels = drawn.clips.double().numpy() * 2 - 1
            pixels = pixels.transpose(1, 0, 2, 3, 4).reshape(3, -1)
            means.append(pixels.mean(1))
            variances.append(pixels.var(1, ddof=1))
        return np.mean(means, 0), np.mean(variances, 0)

    def test_the_statistics_are_estimated_again(self, experiment: Experiment) -> None:
        net = colour_net(torch.full((3,), 5.0), torch.full((3,), 9.0))
        net[0].momentum = 0.3
        self.scores(experiment, net, batch=3)
        mean, variance = self.statistics(experiment, batch=3)
        np.testing.assert_allclose(net[0].running_mean.numpy(), mean, atol=1e-5)
        np.testing.assert_allclose(net[0].running_var.numpy(), variance, atol=1e-5)
        assert net[0].momentum == 0.3
        assert not net[0].training

    def test_the_higher_is_reported(self, experiment: Experiment) -> None:
        mean, variance = (torch.tensor(v).float() for v in self.statistics(experiment, batch=8))
        # An offset between red and green makes every answer the same.
        wrong = self.scores(
            experiment, colour_net(mean + torch.tensor([9.0, 0, 0]), variance), batch=8
        )
        assert wrong.privacy.batchnorm == "reestimated"
        assert wrong.privacy.modes["eval"].frame.accuracy == 0.5
        assert wrong.privacy.modes["reestimated"].frame.accuracy > 0.9
        assert wrong.privacy.frame == wrong.privacy.modes["reestimated"].frame
        assert wrong.privacy.clip == wrong.privacy.modes["reestimated"].clip
        frames = np.mean([p.privacy_frames for p in wrong.predictions])
        assert frames == pytest.approx(wrong.privacy.frame.accuracy), "the predictions belong to it"

    def test_the_first_is_reported_where_it_is_higher(self, experiment: Experiment) -> None:
        """All clips held out show one person: estimated again, her colour is the new middle."""
        mean, variance = (torch.tensor(v).float() for v in self.statistics(experiment, batch=8))
        net = colour_net(mean, variance)
        data = every_clip(experiment, training=False)
        alone = ClipDataset(
            data.cache,
            [c for c in data.clips if c.privacy["person"] == "p0"],
            t=6,
            size=16,
            privacy_label="person",
            training=False,
        )
        scores = score(experiment.fabric, Raw(), Networks(Corner(), net), alone, 4, "person")
        assert scores.privacy.batchnorm == "eval"
        assert scores.privacy.modes["eval"].frame.accuracy == 1.0
        assert scores.privacy.modes["reestimated"].frame.accuracy < 1.0
        assert scores.privacy.frame.accuracy == 1.0

    def test_both_are_stored_for_the_registry_s_networks(self, raw_row: Row) -> None:
        modes = raw_row.privacy.modes
        assert set(modes) == {"eval", "reestimated"}
        best = max(mode.frame.accuracy for mode in modes.values())
        assert raw_row.privacy.frame.accuracy == best
