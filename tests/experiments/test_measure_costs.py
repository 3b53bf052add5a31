"""Operations counted two ways, against hand counts; stored size; the published table."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch
from torch import nn

from motionveil.encoders import Raw, load_encoder
from motionveil.errors import MotionveilError
from motionveil.experiments import complexity
from motionveil.experiments.complexity import (
    convolution_flops,
    count_operations,
    encoder_of,
    measure_cost,
    measure_costs,
    stored_size,
    usual_encoders,
)
from motionveil.published import load_publication


def published(method: str) -> float:
    return next(c.flops for c in load_publication("paper").complexity if c.method == method)


class TestPublishedTable:
    """One clip of 16 frames of 224 x 224, on the meta device: nothing is computed."""

    def test_bdq_exactly(self) -> None:
        encoder = load_encoder("bdq")
        assert sum(p.numel() for p in encoder.parameters()) == 16
        clip = torch.empty(1, 3, 16, 224, 224)
        assert convolution_flops(encoder, clip) == 120_422_400 == 2 * 25 * 3 * 16 * 224 * 224
        assert round(convolution_flops(encoder, clip) / 1e6, 1) == published("bdq") / 1e6

    def test_the_motion_field_as_convolutions(self) -> None:
        """9 x 9 taps of every pixel's luma, 30 x 30 of five products at every cell of a pair."""
        clip = torch.empty(1, 3, 16, 224, 224)
        expected = 2 * (81 * 16 * 224**2 + 5 * 30**2 * 15 * 28**2)
        assert convolution_flops(encoder_of("flow"), clip) == expected

    def test_the_filter_of_wu_within_a_percent(self) -> None:
        """Convolutions cost the same a pixel: counted at 64 x 64, scaled to 224 x 224."""
        found = convolution_flops(encoder_of("unet"), torch.rand(1, 3, 2, 64, 64))
        assert found * 8 * (224 / 64) ** 2 == pytest.approx(published("unet"), rel=0.01)


class TestAllOperations:
    def test_known_counts(self) -> None:
        class Sum(nn.Module):
            def forward(self, clip: torch.Tensor) -> torch.Tensor:
                moved = clip.transpose(1, 2).contiguous()  # none
                scaled = moved * 2 + 1  # two for each
                return scaled.sigmoid().mean()  # one for each, and one for each input

        assert count_operations(Sum(), torch.rand(1, 3, 4, 5, 6)) == 4 * 360

    def test_convolutions_count_their_taps(self) -> None:
        network = nn.Conv2d(3, 5, 3, padding=1, bias=False)
        assert count_operations(network, torch.rand(1, 3, 8, 8)) == 2 * 9 * 3 * 5 * 64

    def test_bdq_by_hand(self) -> None:
        clip = torch.rand(1, 3, 4, 6, 7)
        pixels = 3 * 3 * 6 * 7
        blur = 2 * (1 + 4 * 2)  # a product, and four products and sums, along rows and columns
        normalise, quantise = 3, 15 * 4  # each boundary: subtract, scale, sigmoid, add
        window = 5 * 10  # nearly nothing: the Gaussian itself
        found = count_operations(load_encoder("bdq"), clip)
        assert 0 <= found - (1 + blur + normalise + quantise) * pixels <= window

    @pytest.mark.parametrize("cell", [4, 8])
    def test_the_motion_field_by_hand(self, cell: int) -> None:
        T, H, W = 5, 32, 40
        pairs, down, along = T - 1, H // cell, W // cell
        cells, taps = pairs * down * along, 22 + cell
        luma, blur = 5, 2 * (9 + 8)  # products and sums, along rows and columns
        derivatives, products = 2 + 2 * 2 + 1, 5  # mean, central differences, difference
        window = 5 * 2 * taps * (pairs * H * along + cells)
        solve = 2 + 3 + 2 * 3 + 2  # the noise floor, determinant, numerators, divisions
        position, quantise, scale = 4, 15 * 4, 1  # each boundary: subtract, scale, sigmoid, add
        expected = (luma + blur) * T * H * W + (derivatives + products) * pairs * H * W
        expected += window + (solve + 3 * (position + quantise + scale)) * cells
        encoder = encoder_of(f"flow:cell={cell}")
        assert sum(p.numel() for p in encoder.parameters()) == 18
        found = count_operations(encoder, torch.rand(1, 3, T, H, W))
        kernels = 10 * (9 + 23) + 2 * cell * taps  # the Gaussians, and the window over a cell
        assert 0 <= found - expected <= kernels

    @pytest.mark.parametrize("name", ["raw", "downsample-4", "blur-1", "pixelate-2", "dvs-0.2"])
    def test_twice_the_frames_cost_twice(self, name: str) -> None:
        encoder = load_encoder(name)
        one, two = (count_operations(encoder, torch.rand(1, 3, t, 8, 8)) for t in (8, 16))
        assert one > 0
        assert two == pytest.approx(2 * one, rel=0.1)


@pytest.mark.parametrize("name", usual_encoders())
def test_the_encoders_measured_by_default_can_be_counted(name: str) -> None:
    encoder, clip = encoder_of(name), torch.rand(1, 3, 4, 64, 64)
    assert count_operations(encoder, clip) > 0
    assert convolution_flops(encoder, clip) >= 0


def test_a_stored_encoder_has_all_its_files(tmp_path: Path) -> None:
    encoder = encoder_of("unet")
    encoder.save(tmp_path)
    assert stored_size(encoder) == sum(file.stat().st_size for file in tmp_path.iterdir())
    assert stored_size(encoder) > 4 * 1.29e6


@pytest.mark.parametrize(("name", "learned"), [("bdq", 16), ("flow", 18), ("moments", 0)])
def test_parameters_are_those_that_training_sets(name: str, learned: int) -> None:
    assert measure_cost(name, 2, 32, 1).parameters == learned


def test_a_measurement() -> None:
    cost = measure_cost("bdq", 4, 32, 1)
    assert cost.method == "bdq"
    assert cost.frames_per_second == pytest.approx(4 / cost.seconds)
    assert cost.memory is None or 0 <= cost.memory < 1e9


@pytest.mark.parametrize("threads", [1, 2])
def test_one_thread_is_timed_without_its_waiting(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Waiting(Raw):
        def forward(self, clip: torch.Tensor) -> torch.Tensor:
            time.sleep(0.05)
            return clip

    monkeypatch.setattr(complexity, "encoder_of", lambda name: Waiting())
    before = torch.get_num_threads()
    found = measure_cost("waiting", 4, 32, threads).seconds
    torch.set_num_threads(before)
    assert (found >= 0.05) == (threads > 1)


def test_an_unknown_encoder_before_anything_is_measured() -> None:
    with pytest.raises(MotionveilError, match="no such encoder"):
        measure_costs(["bdq", "nosuch"], frames=4, size=32, threads=1)
