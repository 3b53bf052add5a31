from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from motionveil.networks import create_privacy_network, privacy_networks
from motionveil.training.adversary_inputs import all_frames, draw_frames, held_fixed
from motionveil.training.heads import ONE_CLASS, head_of


def numbered(clips: int, frames: int) -> torch.Tensor:
    """Clips whose every pixel is 100 times the clip's number plus the frame's."""
    numbers = 100.0 * torch.arange(clips)[:, None] + torch.arange(frames)
    return numbers[:, None, :, None, None].expand(clips, 3, frames, 2, 2)


class TestEntropy:
    @settings(max_examples=50, deadline=None)
    @given(st.integers(1, 6), st.integers(2, 9), st.floats(0.01, 300), st.integers(0, 2**32 - 1))
    def test_is_the_formula(self, rows: int, classes: int, spread: float, seed: int) -> None:
        logits = np.random.default_rng(seed).normal(0, spread, (rows, classes))
        shifted = np.exp(logits - logits.max(1, keepdims=True))
        p = shifted / shifted.sum(1, keepdims=True)
        expected = -sum(float(v) * math.log(v) for v in p.flat if v > 0) / rows
        found = ONE_CLASS.entropy(torch.from_numpy(logits)).item()
        assert found == pytest.approx(expected, abs=1e-9)
        assert -1e-12 <= found <= math.log(classes) + 1e-9

    def test_an_attribute_is_two_classes(self) -> None:
        """A logit x is the softmax of (x, 0): loss, entropy and answers of each, then the mean."""
        logits = torch.randn(5, 3, dtype=torch.float64)
        truth = torch.tensor([[0, 1, 1], [1, 0, 0], [1, 1, 0], [0, 0, 1], [1, 0, 1]])
        head = head_of(truth)
        pairs = [(torch.stack([0 * x, x], 1), y) for x, y in zip(logits.T, truth.T, strict=True)]
        for found, expected in (
            (head.loss(logits, truth), [ONE_CLASS.loss(*pair) for pair in pairs]),
            (head.entropy(logits), [ONE_CLASS.entropy(x) for x, _ in pairs]),
            (head.accuracy(logits, truth), [ONE_CLASS.accuracy(*pair) for pair in pairs]),
        ):
            torch.testing.assert_close(found, torch.stack(expected).mean())
        answers = head.probabilities(logits)[:, None].numpy()
        right = head.right(answers, truth.numpy())
        assert right.mean() == pytest.approx(head.accuracy(logits, truth).item())
        assert head_of(truth[:, 0]) is ONE_CLASS

    def test_bounds_are_reached(self) -> None:
        assert ONE_CLASS.entropy(torch.zeros(4, 7)).item() == pytest.approx(math.log(7))
        sure = torch.tensor([[1000.0, 0.0, 0.0]], requires_grad=True)
        found = ONE_CLASS.entropy(sure)
        assert found.item() == 0.0
        found.backward()
        assert torch.isfinite(sure.grad).all(), "0 log 0 must not give NaN"  # type: ignore[arg-type]

    def test_gradcheck(self) -> None:
        logits = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(ONE_CLASS.entropy, logits)


class TestFrames:
    def test_drawn_without_replacement_clip_by_clip(self) -> None:
        torch.manual_seed(0)
        frames = draw_frames(numbered(5, 7), 3)
        assert frames.shape == (15, 3, 2, 2)
        values = frames[:, 0, 0, 0].reshape(5, 3)
        for clip, drawn in enumerate(values):
            assert len(set(drawn.tolist())) == 3
            assert ((drawn >= 100 * clip) & (drawn < 100 * clip + 7)).all()

    def test_every_frame_is_drawn_alike(self) -> None:
        torch.manual_seed(0)
        drawn = torch.cat([draw_frames(numbered(64, 4), 2)[:, 0, 0, 0] % 100 for _ in range(60)])
        counts = drawn.long().bincount(minlength=4).double()
        expected = len(drawn) / 4
        assert ((counts - expected).abs() < 5 * expected**0.5).all()

    def test_no_more_than_there_are(self) -> None:
        frames = draw_frames(numbered(2, 3), 99)
        assert sorted(frames[:3, 0, 0, 0].tolist()) == [0, 1, 2]
        assert sorted(frames[3:, 0, 0, 0].tolist()) == [100, 101, 102]

    def test_the_global_generator_decides(self) -> None:
        torch.manual_seed(3)
        one = draw_frames(numbered(4, 9), 2)
        torch.manual_seed(3)
        assert torch.equal(one, draw_frames(numbered(4, 9), 2))

    def test_all_frames_in_order(self) -> None:
        assert all_frames(numbered(2, 3))[:, 0, 0, 0].tolist() == [0, 1, 2, 100, 101, 102]

    def test_gradient_reaches_the_drawn_frames_only(self) -> None:
        clips = torch.rand(2, 3, 5, 4, 4, requires_grad=True)
        draw_frames(clips, 2).sum().backward()
        assert clips.grad is not None
        touched = clips.grad.sum((1, 3, 4)) > 0
        assert touched.sum(1).tolist() == [2, 2]


class TestHeldFixed:
    @pytest.mark.parametrize("momentum", [0.1, None])
    @pytest.mark.parametrize("training", [True, False])
    def test_nothing_of_the_network_changes(self, momentum: float | None, training: bool) -> None:
        norm = nn.BatchNorm2d(3, momentum=momentum)
        frozen = nn.Linear(3, 2).requires_grad_(False)
        network = nn.Sequential(norm, nn.AdaptiveAvgPool2d(1), nn.Flatten(), frozen)
        network.train(training)
        before = {name: value.clone() for name, value in network.state_dict().items()}
        frames = torch.rand(4, 3, 5, 5, requires_grad=True)
        with held_fixed(network) as fixed:
            found = fixed(frames)
            found.square().sum().backward()
        assert frames.grad is not None
        assert frames.grad.abs().sum() > 0
        assert all(w.grad is None for w in network.parameters())
        assert all(torch.equal(before[name], v) for name, v in network.state_dict().items())
        assert [w.requires_grad for w in network.parameters()] == [True, True, False, False]
        assert norm.momentum == momentum
        assert torch.equal(network(frames), found), "and it computes what it computes otherwise"
        changed = any(not torch.equal(before[name], v) for name, v in network.state_dict().items())
        assert changed == training, "afterwards it learns again"

    def test_restores_after_a_failure(self) -> None:
        network = nn.Sequential(nn.BatchNorm2d(3))
        with pytest.raises(RuntimeError), held_fixed(network):
            raise RuntimeError
        network(torch.rand(2, 3, 4, 4))
        assert network[0].num_batches_tracked == 1
        assert network[0].weight.requires_grad

    @pytest.mark.parametrize("name", ["small2d", "efficientnet_lite0"])
    def test_of_the_registry(self, name: str) -> None:
        if name not in privacy_networks():
            pytest.skip(f"no network {name}")
        network = create_privacy_network(name, 3).train()
        before = {key: value.clone() for key, value in network.state_dict().items()}
        frames = torch.rand(4, 3, 32, 32, requires_grad=True)
        with held_fixed(network) as fixed:
            fixed(frames).square().sum().backward()
        assert frames.grad is not None
        assert frames.grad.abs().sum() > 0
        assert all(torch.equal(before[key], v) for key, v in network.state_dict().items())
