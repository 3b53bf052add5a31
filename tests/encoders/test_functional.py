"""The pure functions, one class each: known values, limits, gradients, refusals."""

from __future__ import annotations

import math

import bdq_reference as reference
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck

from motionveil.encoders import functional
from motionveil.methods.bdq import INITIAL_BOUNDARIES
from motionveil.spec import EncoderSpec

shapes = st.tuples(*(st.integers(1, n) for n in (2, 3, 7, 7)))  # B, T, H, W
sigmas = st.floats(0.3, 4)


def clip_of(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    B, T, H, W = shape
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(B, 3, T, H, W, generator=generator, dtype=torch.float64)


def double(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


class TestGaussianWeights:
    @given(sigmas, st.sampled_from([1, 3, 5, 9]))
    def test_sums_to_one_is_symmetric_and_peaks_in_the_middle(self, sigma: float, size: int):
        weights = functional.gaussian_weights(double(sigma)[0], size)
        assert weights.shape == (size,)
        assert float(weights.sum()) == pytest.approx(1)
        assert torch.equal(weights, weights.flip(0))
        assert weights.argmax() == size // 2

    def test_is_what_the_spec_gives(self):
        spec = EncoderSpec.untrained(range=0.5).change(sigma=1.7)
        weights = functional.gaussian_weights(double(1.7)[0])
        np.testing.assert_allclose(weights, spec.difference().weights, rtol=1e-12)

    @pytest.mark.parametrize("sigma", [0.0, -1.0, math.nan, math.inf])
    def test_refuses_a_sigma_that_is_not_positive(self, sigma: float):
        with pytest.raises(ValueError, match="sigma must be positive and finite, found"):
            functional.gaussian_weights(torch.tensor(sigma))

    def test_refuses_several_sigmas_and_even_sizes(self):
        with pytest.raises(ValueError, match=r"one floating number, found shape \(2,\)"):
            functional.gaussian_weights(torch.ones(2))
        with pytest.raises(ValueError, match="odd and positive, found 4"):
            functional.gaussian_weights(torch.tensor(1.0), 4)

    def test_gradcheck(self):
        assert gradcheck(functional.gaussian_weights, (double(1.3).requires_grad_(),))


class TestBlur:
    def test_an_impulse_gives_the_gaussian(self):
        clip = torch.zeros(1, 3, 1, 7, 9, dtype=torch.float64)
        clip[0, 1, 0, 3, 4] = 1
        blurred = functional.blur(clip, double(1.3))
        line = np.exp(-(np.arange(-2, 3) ** 2) / (2 * 1.3**2))
        square = np.outer(line, line) / np.outer(line, line).sum()
        np.testing.assert_allclose(blurred[0, 1, 0, 1:6, 2:7], square, rtol=1e-12)
        assert float(blurred.sum()) == pytest.approx(1)
        assert not blurred[0, [0, 2]].any()

    @given(shapes, sigmas)
    @settings(max_examples=25, deadline=None)
    def test_agrees_with_the_double_loop(self, shape: tuple[int, ...], sigma: float):
        clip = clip_of(shape)
        expected = reference.blur_clip(clip.numpy(), sigma)
        np.testing.assert_allclose(functional.blur(clip, double(sigma)), expected, atol=1e-12)

    @given(shapes)
    @settings(deadline=None)
    def test_keeps_a_constant(self, shape: tuple[int, ...]):
        clip = torch.full_like(clip_of(shape), 0.3)
        assert torch.allclose(functional.blur(clip, double(1.0)), clip)

    def test_autocast_leaves_full_precision(self):
        clip = clip_of((1, 2, 8, 8)).float()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            inside = functional.blur(clip, torch.tensor(1.0))
        assert torch.equal(inside, functional.blur(clip, torch.tensor(1.0)))

    def test_gradcheck(self):
        clip = clip_of((1, 2, 3, 4)).requires_grad_()
        assert gradcheck(functional.blur, (clip, double(1.2).requires_grad_()))


class TestDifference:
    def test_subtracts_the_frame_before_and_does_not_wrap(self):
        clip = torch.zeros(1, 3, 3, 2, 2)
        clip[:, :, 1], clip[:, :, 2] = 0.5, 0.75
        values = functional.difference(clip)[0, 0, :, 0, 0]
        assert values.tolist() == [0.5, 0.25]

    def test_refuses_one_frame(self):
        with pytest.raises(ValueError, match=r"at least 2 frames .* found shape \(1, 3, 1, 4, 4\)"):
            functional.difference(torch.rand(1, 3, 1, 4, 4))

    def test_gradcheck(self):
        assert gradcheck(functional.difference, (clip_of((1, 3, 2, 2)).requires_grad_(),))


class TestNormalise:
    def test_fixed_puts_rest_in_the_middle_and_clamps(self):
        motion = torch.tensor([-1, -0.25, 0, 0.125, 0.25, 1]).expand(1, 3, 1, 1, 6)
        levels = functional.normalise(motion, "fixed", 0.25)
        assert levels[0, 0, 0, 0].tolist() == [0, 0, 7.5, 11.25, 15, 15]

    def test_clip_uses_each_clips_own_range_and_batch_the_whole(self):
        motion = torch.zeros(2, 3, 1, 1, 2)
        motion[0, :, :, :, 1], motion[1, :, :, :, 1] = 0.1, 0.4
        assert functional.normalise(motion, "clip")[:, 0, 0, 0].tolist() == [[0, 15], [0, 15]]
        batch = functional.normalise(motion, "batch")[:, 0, 0, 0]
        torch.testing.assert_close(batch, torch.tensor([[0, 3.75], [0, 15]]))

    @pytest.mark.parametrize("mode", ["clip", "batch"])
    def test_a_clip_without_motion_is_neutral_and_has_a_gradient(self, mode: str):
        motion = torch.zeros(2, 3, 1, 2, 2, requires_grad=True)
        levels = functional.normalise(motion, mode)
        levels.sum().backward()
        assert (levels == 7.5).all()
        assert motion.grad is not None
        assert not motion.grad.any()

    @given(shapes, st.sampled_from(["fixed", "clip", "batch"]), st.integers(0, 99))
    @settings(deadline=None)
    def test_stays_within_the_levels(self, shape: tuple[int, ...], mode: str, seed: int):
        motion = clip_of(shape, seed) * 2 - 1
        levels = functional.normalise(motion, mode, 0.3 if mode == "fixed" else None)
        assert levels.shape == motion.shape
        assert levels.min() >= 0
        assert levels.max() <= 15 + 1e-12

    def test_refuses_a_range_that_does_not_go_with_the_mode(self):
        motion = torch.zeros(1, 3, 1, 2, 2)
        with pytest.raises(ValueError, match="'fixed' needs a positive range, found None"):
            functional.normalise(motion, "fixed")
        with pytest.raises(ValueError, match="'clip' takes its range from the data"):
            functional.normalise(motion, "clip", 0.5)
        with pytest.raises(ValueError, match="found 'frame'"):
            functional.normalise(motion, "frame")  # type: ignore[arg-type]

    @pytest.mark.parametrize(("mode", "r"), [("fixed", 0.4), ("clip", None), ("batch", None)])
    def test_gradcheck(self, mode: str, r: float | None):
        motion = (clip_of((2, 2, 2, 2)) - 0.5).requires_grad_()
        assert gradcheck(lambda d: functional.normalise(d, mode, r), (motion,))


class TestQuantise:
    @given(st.lists(st.floats(0, 15), min_size=1, max_size=20), st.floats(0.5, 30))
    @settings(deadline=None)
    def test_agrees_with_the_double_loop(self, values: list[float], hardness: float):
        boundaries = [0.5, 1.5, 5.0, 5.0, 5.5, 6, 7, 8, 9, 9, 10, 12, 13, 14, 14.5]
        found = functional.quantise(double(*values), double(*boundaries), hardness)
        expected = reference.quantise(np.array(values), boundaries, hardness)
        np.testing.assert_allclose(found, expected, atol=1e-12)

    def test_the_formula_for_compilers_agrees(self):
        x, boundaries = torch.rand(50) * 15, torch.tensor(INITIAL_BOUNDARIES)
        traced = torch.func.vmap(lambda v: functional.quantise(v, boundaries, 5.0))(x)
        torch.testing.assert_close(traced, functional.quantise(x, boundaries, 5.0))

    def test_soft_tends_to_hard(self):
        x, boundaries = torch.linspace(0, 15, 1000).double(), double(*INITIAL_BOUNDARIES)
        away = (x[:, None] - boundaries).abs().amin(1) > 0.02
        hard = functional.quantise(x, boundaries, 5.0, hard=True)
        errors = [
            float((functional.quantise(x, boundaries, h) - hard)[away].abs().max())
            for h in (5, 50, 500, 5000)
        ]
        assert errors == sorted(errors, reverse=True)
        assert errors[-1] < 1e-12

    def test_hard_counts_the_boundaries_below(self):
        levels = functional.quantise(
            torch.tensor([0.0, 0.5, 0.6, 7.5, 15.0]),
            torch.tensor(INITIAL_BOUNDARIES),
            5.0,
            hard=True,
        )
        assert levels.tolist() == [0, 0, 1, 7, 15]

    @given(st.integers(0, 99))
    @settings(deadline=None)
    def test_agrees_with_the_spec(self, seed: int):
        spec = EncoderSpec.untrained(range=0.2)
        motion = clip_of((1, 1, 3, 3), seed) * 2 - 1
        x = functional.normalise(motion, "fixed", 0.2)
        for hard in (False, True):
            found = functional.quantise(x, double(*INITIAL_BOUNDARIES), 5.0, hard=hard)
            expected = spec.difference(hard=hard).levels(motion.numpy())
            np.testing.assert_allclose(found, expected, atol=1e-9)

    def test_half_precision_is_computed_in_single(self):
        x, boundaries = torch.rand(100) * 15, torch.tensor(INITIAL_BOUNDARIES)
        half = functional.quantise(x.half(), boundaries, 5.0)
        exact = functional.quantise(x.half().float(), boundaries, 5.0)
        assert half.dtype == torch.float16
        assert torch.equal(half, exact.half())

    @pytest.mark.parametrize("shape", [(), (0,), (40_000,), (2, 3, 4)])
    def test_any_shape(self, shape: tuple[int, ...]):
        x = torch.rand(shape).requires_grad_()
        boundaries = torch.tensor(INITIAL_BOUNDARIES).requires_grad_()
        levels = functional.quantise(x, boundaries, 5.0)
        levels.sum().backward()
        assert levels.shape == shape
        assert x.grad is not None
        assert x.grad.shape == shape

    def test_keeps_its_input_only(self):
        x = torch.rand(1000).requires_grad_()
        boundaries = torch.tensor(INITIAL_BOUNDARIES).requires_grad_()
        saved: list[Tensor] = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t: (saved.append(t), t)[1], lambda t: t
        ):
            functional.quantise(x, boundaries, 5.0)
        assert sum(t.numel() for t in saved) == 1000 + 15

    def test_refuses(self):
        x, boundaries = torch.rand(3), torch.rand(15)
        with pytest.raises(ValueError, match=r"found \(3, 5\)"):
            functional.quantise(x, boundaries.reshape(3, 5), 5.0)
        with pytest.raises(ValueError, match="hardness must be positive and finite, found 0"):
            functional.quantise(x, boundaries, 0.0)
        with pytest.raises(ValueError, match=r"x must be floating, found torch.int64"):
            functional.quantise(x.long(), boundaries, 5.0)
        with pytest.raises(ValueError, match="boundaries holds NaN"):
            functional.quantise(x, boundaries * math.nan, 5.0)

    @pytest.mark.parametrize("hardness", [1.0, 5.0])
    def test_gradcheck(self, hardness: float):
        x = (torch.rand(2, 9, dtype=torch.float64) * 15).requires_grad_()
        boundaries = double(*INITIAL_BOUNDARIES).requires_grad_()
        assert gradcheck(lambda x, b: functional.quantise(x, b, hardness), (x, boundaries))

    def test_gradcheck_across_blocks(self):
        # The CPU works block by block; sums over several blocks must be right too.
        x = (torch.rand(70_000, dtype=torch.float64) * 15).requires_grad_()
        boundaries = double(*INITIAL_BOUNDARIES).requires_grad_()
        upstream = torch.randn(70_000, dtype=torch.float64)
        found = torch.autograd.grad(
            functional.quantise(x, boundaries, 5.0), (x, boundaries), upstream
        )
        plain = sum(torch.sigmoid(5.0 * (x - b)) for b in boundaries.unbind())
        expected = torch.autograd.grad(plain, (x, boundaries), upstream)
        torch.testing.assert_close(found, expected)


class TestVeil:
    @given(shapes, sigmas, st.floats(0.05, 1), st.integers(0, 99))
    @settings(max_examples=25, deadline=None)
    def test_agrees_with_the_double_loop(
        self, shape: tuple[int, ...], sigma: float, r: float, seed: int
    ):
        B, T, H, W = shape
        clip = clip_of((B, T + 1, H, W), seed)
        boundaries = [0.5, 1.5, 5.0, 5.0, 5.5, 6, 7, 8, 9, 9, 10, 12, 13, 14, 14.5]
        found = functional.veil(
            clip, double(sigma), double(*boundaries), hardness=5.0, mode="fixed", range=r
        )
        expected = reference.veil(clip.numpy(), sigma, boundaries, 5.0, r)
        np.testing.assert_allclose(found, expected, atol=1e-9)

    @pytest.mark.parametrize(("mode", "r"), [("fixed", 0.4), ("clip", None), ("batch", None)])
    def test_gradcheck(self, mode: str, r: float | None):
        numbers = (
            (clip_of((2, 2, 3, 2)) * 0.5).requires_grad_(),
            double(1.2).requires_grad_(),
            double(*INITIAL_BOUNDARIES).requires_grad_(),
        )
        assert gradcheck(
            lambda c, s, b: functional.veil(c, s, b, hardness=2.0, mode=mode, range=r), numbers
        )


class TestForNetworks:
    def test_scales_the_levels_to_minus_one_and_one(self):
        assert functional.for_networks(torch.tensor([0.0, 7.5, 15.0])).tolist() == [-1, 0, 1]

    def test_gradcheck(self):
        assert gradcheck(functional.for_networks, (double(3.0, 4.0).requires_grad_(),))


class TestRefusals:
    FUNCTIONS = (
        lambda v: functional.blur(v, torch.tensor(1.0)),
        functional.difference,
        lambda v: functional.normalise(v, "clip"),
    )

    @pytest.mark.parametrize("function", FUNCTIONS)
    @pytest.mark.parametrize("shape", [(3, 4, 8, 8), (1, 1, 4, 8, 8), (1, 4, 3, 8, 8), (8,)])
    def test_wrong_shapes_name_the_shape(self, function, shape: tuple[int, ...]):
        with pytest.raises(ValueError, match=r"\(B, 3, T, H, W\), found \(" + str(shape[0])):
            function(torch.rand(shape))

    @pytest.mark.parametrize("function", FUNCTIONS)
    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_values_that_are_not_finite(self, function, value: float):
        video = torch.rand(1, 3, 4, 5, 5)
        video[0, 2, 3, 4, 4] = value
        with pytest.raises(ValueError, match="holds NaN or infinite values"):
            function(video)

    @pytest.mark.parametrize("function", FUNCTIONS)
    def test_integers_and_empty_clips(self, function):
        with pytest.raises(ValueError, match=r"must be floating, found torch.uint8"):
            function(torch.zeros(1, 3, 4, 5, 5, dtype=torch.uint8))
        with pytest.raises(ValueError, match=r"must not be empty, found shape \(0, 3, 4, 5, 5\)"):
            function(torch.zeros(0, 3, 4, 5, 5))

    def test_large_finite_values_are_no_fault(self):
        # Their float32 sum overflows; none of them is infinite.
        video = torch.full((1, 3, 2, 4, 4), 3e38)
        assert not functional.difference(video).any()
