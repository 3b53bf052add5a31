"""Ryoo et al.'s learned transformations before down-sampling."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from motionveil.encoders import Ryoo, build_encoder, load_encoder
from motionveil.encoders.blur import enlarge, shrink
from motionveil.methods.ryoo import LIMITS, Motion, RyooSettings
from motionveil.spec import EncoderSpec
from tiny import first_motions


def ryoo(*motions: Motion, size: int = 8) -> Ryoo:
    settings = RyooSettings(size=size, motions=motions or first_motions(3, 0))
    encoder = build_encoder(EncoderSpec(method="ryoo", settings=settings))
    assert isinstance(encoder, Ryoo)
    return encoder


def clip(batch: int = 4, side: int = 32) -> torch.Tensor:
    """Smooth images, which part of a pixel's motion changes smoothly."""
    noise = torch.rand(batch, 3, 3, 6, 6, generator=torch.Generator().manual_seed(2))
    return enlarge(noise, side, side)


def test_what_leaves_the_camera_is_plain_down_sampling() -> None:
    torch.testing.assert_close(ryoo()(clip()), load_encoder("downsample-8")(clip()))


def test_training_clips_take_the_motions_in_turn() -> None:
    encoder = ryoo()
    every = encoder.every_view(clip())
    assert every.shape == (4, 4, 3, 3, 32, 32)
    assert (every[1:] - every[0]).abs().amax((1, 2, 3, 4, 5)).min() > 0.1
    first, second = encoder.views(clip()), encoder.views(clip())
    for place in range(4):
        torch.testing.assert_close(first[place], every[place, place])
        torch.testing.assert_close(second[place], every[(place + 1) % 4, place])


def test_a_translation_is_in_small_pixels() -> None:
    """One small pixel of 8 is four pixels of 32: a moved image is the image moved by four."""
    x, y = ryoo(Motion(x=1), Motion(y=-1)).every_view(clip())[1:]
    left = torch.cat([clip()[..., :1].expand(*clip().shape[:-1], 4), clip()[..., :-4]], -1)
    below = clip()[..., -1:, :].expand(*clip().shape[:-2], 4, clip().shape[-1])
    up = torch.cat([clip()[..., 4:, :], below], -2)
    for found, moved in ((x, left), (y, up)):
        expected = enlarge(shrink(moved, 8), 32, 32) * 15
        torch.testing.assert_close(found, expected, atol=2e-3, rtol=0)


@pytest.mark.parametrize(
    "motion", [Motion(angle=0.2), Motion(zoom=0.2), Motion(shear_x=0.2), Motion(shear_y=-0.2)]
)
def test_other_motions_leave_the_middle_where_it_is(motion: Motion) -> None:
    spot = torch.zeros(1, 3, 1, 33, 33)
    spot[..., 16, 16] = 1
    still, moved = ryoo(motion, size=33).every_view(spot)
    assert still.flatten().argmax() == moved.flatten().argmax()
    corner = torch.zeros(1, 3, 1, 33, 33)
    corner[..., 2:5, 2:5] = 1
    still, moved = ryoo(motion, size=33).every_view(corner)
    assert (still - moved).abs().max() > 5


def test_a_larger_zoom_shows_less() -> None:
    square = torch.zeros(1, 3, 1, 32, 32)
    square[..., 12:20, 12:20] = 1
    still, larger, smaller = ryoo(Motion(zoom=0.2), Motion(zoom=-0.2), size=32).every_view(square)
    assert smaller.sum() < still.sum() < larger.sum()


def test_every_number_is_learned_and_kept_small() -> None:
    encoder = ryoo()
    encoder.views(clip()).square().sum().backward()
    assert encoder.motions.grad is not None
    assert encoder.motions.grad.abs().min() > 0
    with torch.no_grad():
        encoder.motions += 5
    encoder.constrain()
    assert all(motion == LIMITS for motion in _motions(encoder))
    assert len(encoder.numbers()) == 18


def test_the_learned_motions_can_be_stored(tmp_path: Path) -> None:
    encoder = ryoo()
    with torch.no_grad():
        encoder.motions.mul_(0.7)
    encoder.save(tmp_path)
    again = load_encoder(tmp_path)
    torch.testing.assert_close(again.views(clip()), encoder.views(clip()))
    assert again.spec.name == "ryoo-8"


def test_first_motions_are_a_draw_within_half_the_limits() -> None:
    assert first_motions(4, 1) == first_motions(4, 1) != first_motions(4, 2)
    for motion in first_motions(50, 0):
        for field, most in LIMITS.model_dump().items():
            assert abs(getattr(motion, field)) <= most / 2


def _motions(encoder: Ryoo) -> list[Motion]:
    settings = encoder.spec.settings
    assert isinstance(settings, RyooSettings)
    return [
        Motion(**{field: round(value, 6) for field, value in motion.model_dump().items()})
        for motion in settings.motions
    ]
