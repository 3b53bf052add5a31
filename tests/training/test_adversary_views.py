"""What attackers make of veiled video."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from motionveil.errors import MotionveilError
from motionveil.training.adversary_inputs import MOVING, VIEWS, integrated, most_motion, stacked


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("frames", [3, 9, 16])
def test_a_view_stays_in_its_range(name: str, frames: int) -> None:
    clips = noise(2, 3, frames, 8, 8)
    view = VIEWS[name](clips)
    assert view.shape[:2] == (2, 3)
    assert view.shape[3:] == (8, 8)
    assert 1 <= view.shape[2] <= frames
    assert view.abs().max() <= 1


@pytest.mark.parametrize("name", VIEWS)
def test_gradients_pass_through(name: str) -> None:
    clips = noise(2, 3, 5, 2, 2).double().requires_grad_()
    assert torch.autograd.gradcheck(VIEWS[name], clips)


@pytest.mark.parametrize("name", VIEWS)
def test_each_clip_has_its_own(name: str) -> None:
    """What one clip shows does not depend on the others in its batch."""
    clips = noise(3, 3, 9, 8, 8)
    together = VIEWS[name](clips)
    for clip, view in zip(clips, together, strict=True):
        assert torch.allclose(VIEWS[name](clip[None])[0], view)


def test_the_sum_of_differences_is_the_scene_again() -> None:
    """Up to its scale and its first frame: a square that moves over a still background."""
    scene = torch.zeros(1, 3, 9, 16, 16)
    scene += noise(1, 3, 1, 16, 16) * 0.2
    for t in range(9):
        scene[:, :, t, 4:8, t : t + 4] = noise(3, 4, 4, seed=1)[None] * 0.5
    differences = scene[:, :, 1:] - scene[:, :, :-1]
    veiled = differences / 2 + 0.1  # a scale, and a value where nothing moves
    found = integrated(veiled)
    wanted = scene[:, :, 1:] - scene[:, :, :1]
    wanted = wanted / wanted.abs().max()
    assert torch.allclose(found, wanted, atol=1e-5)


def test_a_still_clip_adds_up_to_nothing() -> None:
    assert (integrated(torch.full((1, 3, 8, 4, 4), 0.3)) == 0).all()


@given(st.integers(3, 20))
def test_stacked_channels_are_moments(frames: int) -> None:
    """A grey clip whose frames are their own numbers: three numbers at equal distances."""
    clips = (torch.arange(frames) / 20).expand(1, 3, 4, 4, frames).permute(0, 1, 4, 2, 3)
    pictures = stacked(clips)[0, :, :, 0, 0] * 20  # (3, T')
    first, second, third = pictures
    apart = round(float(second[0] - first[0]))
    assert apart >= 1
    assert torch.allclose(second - first, torch.tensor(float(apart)), atol=1e-4)
    assert torch.allclose(third - second, torch.tensor(float(apart)), atol=1e-4)
    assert first[0].round() == 0
    assert third[-1].round() == frames - 1


def test_too_few_to_stack() -> None:
    with pytest.raises(MotionveilError, match="shows 3 veiled frames at once, there are 2: set fr"):
        stacked(torch.zeros(1, 3, 2, 4, 4))


def test_the_frames_with_most_motion() -> None:
    clips = torch.zeros(1, 3, 12, 4, 4)
    moving = {2: 0.4, 5: 0.9, 6: 0.7, 10: -0.8}
    for frame, value in moving.items():
        clips[:, :, frame] = value
    found = most_motion(clips)
    assert found.shape[2] == MOVING
    assert found[0, 0, :, 0, 0].tolist() == pytest.approx(list(moving.values()))
