"""The motion field against a double loop, its gradient, and what leaves a camera."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from motionveil.encoders import build_encoder
from motionveil.encoders.flow import LARGEST_WINDOW, Flow, velocities
from motionveil.errors import MotionveilError
from motionveil.methods.flow import FlowSettings, quantise_velocity
from motionveil.spec import EncoderSpec
from motionveil.streaming import StreamEncoder
from motionveil.streaming.geometry import repeat_pixels

Array = NDArray[np.float64]


def moving(height: int, width: int, count: int, right: int, down: int, seed: int = 0) -> Array:
    """Return frames (T, H, W, 3) of grey values of a texture that moves at a steady velocity."""
    rng = np.random.default_rng(seed)
    room = (height + count * abs(down), width + count * abs(right), 3)
    texture = rng.integers(0, 256, room).astype(float)
    for _ in range(4):
        texture += np.roll(texture, 1, 0) + np.roll(texture, 1, 1) + np.roll(texture, 1, (0, 1))
        texture /= 4
    texture = np.clip(127 + 4 * (texture - texture.mean()), 0, 255)
    shown = []
    for n in range(count):
        y = down * (count - 1 - n) if down > 0 else -down * n
        x = right * (count - 1 - n) if right > 0 else -right * n
        shown.append(texture[y : y + height, x : x + width])
    return np.stack(shown).astype(np.uint8)


def clip_of(frames: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(frames).permute(3, 0, 1, 2)[None].float() / 255


def loop_weights(sigma: float, radius: int) -> list[float]:
    weights = [math.exp(-(k * k) / (2 * sigma * sigma)) for k in range(-radius, radius + 1)]
    return [weight / sum(weights) for weight in weights]


def by_loops(before: Array, now: Array, settings: FlowSettings) -> Array:
    """Return the velocities (2, h, w) of two frames (H, W, 3) in [0, 1], pixel by pixel."""
    height, width, _ = now.shape

    def blurred(frame: Array) -> Array:
        luma = sum(frame[..., k] * settings.colours[k] for k in range(3))
        weights = loop_weights(settings.sigma, 4)
        out = np.zeros((height, width))
        for y in range(height):
            for x in range(width):
                for i in range(9):
                    for k in range(9):
                        row = min(max(y + i - 4, 0), height - 1)
                        column = min(max(x + k - 4, 0), width - 1)
                        out[y, x] += weights[i] * weights[k] * luma[row, column]
        return out

    old, new = blurred(before), blurred(now)
    mean, change = (old + new) / 2, new - old
    window = loop_weights(settings.window, 11)
    cell = settings.cell
    found = np.zeros((2, -(-height // cell), -(-width // cell)))
    for j in range(found.shape[1]):
        for i in range(found.shape[2]):
            matrix, vector = np.eye(2) * settings.eps, np.zeros(2)
            for y in range(height):
                down = sum(
                    window[y - p + 11] for p in range(j * cell, j * cell + cell) if abs(y - p) <= 11
                )
                for x in range(width):
                    across = sum(
                        window[x - p + 11]
                        for p in range(i * cell, i * cell + cell)
                        if abs(x - p) <= 11
                    )
                    gradient = np.array(
                        [
                            mean[y, min(x + 1, width - 1)] - mean[y, max(x - 1, 0)],
                            mean[min(y + 1, height - 1), x] - mean[max(y - 1, 0), x],
                        ]
                    )
                    gradient /= 2
                    weight = down * across / cell**2
                    matrix += weight * np.outer(gradient, gradient)
                    vector += weight * gradient * change[y, x]
            found[:, j, i] = -np.linalg.solve(matrix, vector)
    return found


@pytest.mark.parametrize("name", ["flow:cell=4", "flow:cell=8,sigma=1,window=2,eps=0.001"])
def test_velocities_are_those_of_a_double_loop(name: str) -> None:
    frames = moving(22, 27, 3, 1, 1)
    encoder = build_encoder(EncoderSpec.untrained(name)).double()
    assert isinstance(encoder, Flow)
    found = encoder.velocities(clip_of(frames).double())[0].detach().numpy()
    for n in range(2):
        expected = by_loops(frames[n] / 255, frames[n + 1] / 255, encoder.settings)
        # The parameters are held in float32: eps comes back from its logarithm.
        np.testing.assert_allclose(found[:, n], expected, rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize(("right", "down"), [(1, 0), (0, -1), (-1, 1), (2, 1)])
def test_a_moving_texture_has_its_velocity(right: int, down: int) -> None:
    encoder = build_encoder(EncoderSpec.untrained("flow"))
    assert isinstance(encoder, Flow)
    found = encoder.velocities(clip_of(moving(64, 64, 3, right, down)))[0, :, :, 2:6, 2:6]
    speed = found.mean((1, 2, 3)).detach()
    assert speed == pytest.approx([right, down], abs=0.25)


def test_what_stands_still_is_neutral_whatever_it_is() -> None:
    frames = np.repeat(moving(32, 32, 1, 0, 0), 3, axis=0)
    encoder = build_encoder(EncoderSpec.untrained("flow"))
    veiled = encoder(clip_of(frames)).detach()
    assert torch.all(veiled == veiled[0, 2, 0, 0, 0])
    assert float(veiled[0, 0, 0, 0, 0]) == pytest.approx(7, abs=0.1)


def test_gradients_are_those_of_differences() -> None:
    frames = torch.rand(1, 3, 9, 11, dtype=torch.float64)
    window = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    eps = torch.tensor(1e-2, dtype=torch.float64, requires_grad=True)
    frames.requires_grad_()
    assert torch.autograd.gradcheck(lambda f, w, e: velocities(f, w, e, 4), (frames, window, eps))


def test_every_number_learns() -> None:
    encoder = build_encoder(EncoderSpec.untrained("flow:cell=4"))
    encoder(clip_of(moving(32, 32, 4, 1, 1))).square().sum().backward()
    for name, number in encoder.named_parameters():
        assert number.grad is not None, name
        assert number.grad.abs().sum() > 0, name
    assert sum(p.numel() for p in encoder.parameters()) == 18


def test_numbers_stay_where_they_mean_something() -> None:
    encoder = build_encoder(EncoderSpec.untrained("flow"))
    assert isinstance(encoder, Flow)
    with torch.no_grad():
        encoder.sigma.fill_(-1)
        encoder.window_sigma.fill_(100)
        encoder.log_eps.fill_(100)
        encoder.boundaries.copy_(encoder.boundaries.flip(0) * 2)
    encoder.constrain()
    found = encoder.spec.settings
    assert isinstance(found, FlowSettings)
    assert found.sigma > 0
    assert found.window == LARGEST_WINDOW
    assert found.eps == pytest.approx(0.1)
    assert list(found.boundaries) == sorted(found.boundaries)
    assert found.boundaries[0] >= 0
    assert found.boundaries[-1] <= 15


@pytest.mark.parametrize("name", ["flow", "flow:cell=4,levels=2", "flow:cell=16,sigma=2"])
@pytest.mark.parametrize("shape", [(64, 80), (50, 61), (7, 9)])
def test_a_camera_gives_the_bytes_that_are_audited(name: str, shape: tuple[int, int]) -> None:
    spec = EncoderSpec.untrained(name)
    frames = moving(*shape, 5, 2, 1)
    veiled = build_encoder(spec)(clip_of(frames))[0].detach()
    expected = (veiled * 17).round().permute(1, 2, 3, 0).numpy()
    stream = StreamEncoder(spec, native=True)
    first, *rest = (stream(frame) for frame in frames)
    assert first is not None
    assert np.all(first == stream.neutral)
    found = repeat_pixels(np.stack([r for r in rest if r is not None]), spec.cell, shape)
    assert found.shape == expected.shape
    assert np.abs(found.astype(float) - expected).max() <= 1


def test_hard_levels_count_boundaries() -> None:
    spec = EncoderSpec.untrained("flow:levels=2")
    frames = moving(32, 32, 3, 2, -1)
    stream = StreamEncoder(spec, native=True, hard=True)
    shown = [stream(frame) for frame in frames][-1]
    assert shown is not None
    assert set(np.unique(shown)) <= {0, 128, 255}
    middle = quantise_velocity(stream.spec.settings, np.zeros(1), hard=True)
    assert middle == 7.5  # of 0, 7.5 and 15: zero velocity is the middle of the middle step


def test_settings_are_checked() -> None:
    with pytest.raises(MotionveilError, match="cell"):
        EncoderSpec.untrained("flow:cell=0")
    with pytest.raises(ValueError, match="ascend"):
        FlowSettings(boundaries=(2.0, 1.0))
