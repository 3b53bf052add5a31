"""The fused kernel of the CPU against the torch operations that run everywhere else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from motionveil.encoders import BDQ, cpu_kernel, functional
from motionveil.spec import EncoderSpec

LARGE = (2, 3, 6, 160, 160)
"""Enough work for two threads."""


def plain(encoder: BDQ, clip: Tensor) -> Tensor:
    return functional.veil(
        clip,
        encoder.sigma,
        encoder.boundaries,
        hardness=encoder.hardness,
        mode="fixed",
        range=encoder.range,
    )


def exact(encoder: BDQ, clip: Tensor, upstream: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of sigma and the boundaries in float64, by torch operations."""
    sigma = encoder.sigma.detach().double().requires_grad_()
    boundaries = encoder.boundaries.detach().double().requires_grad_()
    veiled = functional.veil(
        clip.double(),
        sigma,
        boundaries,
        hardness=encoder.hardness,
        mode="fixed",
        range=encoder.range,
    )
    return torch.autograd.grad(veiled, (sigma, boundaries), upstream.double())


def gradients(encoder: BDQ, clip: Tensor, upstream: Tensor) -> tuple[Tensor, Tensor]:
    return torch.autograd.grad(encoder(clip), (encoder.sigma, encoder.boundaries), upstream)


def ran_fused(encoder: BDQ, clip: Tensor) -> bool:
    return "FusedVeil" in type(encoder(clip).grad_fn).__name__


def random_encoder(sigma: float, r: float, hardness: float, seed: int) -> BDQ:
    generator = torch.Generator().manual_seed(seed)
    encoder = BDQ(EncoderSpec.untrained(range=r).change(sigma=sigma, hardness=hardness))
    with torch.no_grad():
        encoder.boundaries.copy_((15 * torch.rand(15, generator=generator)).sort().values)
    return encoder


class TestAgreement:
    @given(
        st.tuples(*(st.integers(1, n) for n in (2, 4, 20, 20))),
        st.floats(0.3, 4),
        st.floats(0.02, 1),
        st.floats(0.5, cpu_kernel.GREATEST_HARDNESS),
        st.integers(0, 99),
    )
    @settings(deadline=None)
    def test_forward_within_a_ten_thousandth_of_a_level(
        self, shape: tuple[int, ...], sigma: float, r: float, hardness: float, seed: int
    ):
        B, T, H, W = shape
        clip = torch.rand(B, 3, T + 1, H, W, generator=torch.Generator().manual_seed(seed))
        encoder = random_encoder(sigma, r, hardness, seed)
        assert ran_fused(encoder, clip)
        # In float64, since float32 cannot resolve 1e-4 of a level for a small range.
        expected = plain(encoder.double(), clip.double())
        tolerance = 1e-4 + 1e-6 * hardness * 15 / r
        found = encoder.float()(clip)
        torch.testing.assert_close(found.double(), expected, atol=tolerance, rtol=0)

    def test_all_boundaries_in_one_place(self, encoder: BDQ):
        # The table is at its coarsest here: 15 sigmoids bend together.
        with torch.no_grad():
            encoder.boundaries.fill_(7.3)
        clip = torch.rand(1, 3, 3, 40, 40)
        torch.testing.assert_close(encoder(clip), plain(encoder, clip), atol=1e-4, rtol=0)

    @given(
        st.tuples(*(st.integers(1, n) for n in (2, 4, 20, 20))),
        st.floats(0.5, 4),
        st.floats(0.05, 1),
        st.integers(0, 99),
    )
    @settings(deadline=None)
    def test_gradients(self, shape: tuple[int, ...], sigma: float, r: float, seed: int):
        B, T, H, W = shape
        generator = torch.Generator().manual_seed(seed)
        clip = torch.rand(B, 3, T + 1, H, W, generator=generator)
        upstream = torch.randn(B, 3, T, H, W, generator=generator)
        encoder = random_encoder(sigma, r, 5.0, seed)
        found, expected = gradients(encoder, clip, upstream), exact(encoder, clip, upstream)
        # Relative to what the terms of the sums amount to: they may cancel.
        scale = float(upstream.abs().sum())
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one.double(), other, rtol=1e-3, atol=1e-4 * scale)

    def test_gradients_of_a_large_batch_are_close(self, encoder: BDQ):
        clip, upstream = 0.2 * torch.rand(LARGE), torch.rand(2, 3, 5, 160, 160)
        for one, other in zip(
            gradients(encoder, clip, upstream), exact(encoder, clip, upstream), strict=True
        ):
            torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=1e-2)

    def test_beyond_the_range_only_the_boundaries_get_a_gradient(self, encoder: BDQ):
        clip = torch.zeros(1, 3, 2, 6, 6)
        clip[:, :, 1, :, :3], clip[:, :, 1, :, 3:] = 1, 0.9  # differs in space: sigma would matter
        upstream = torch.ones(1, 3, 1, 6, 6)
        sigma, boundaries = gradients(encoder, clip, upstream)
        assert sigma == 0
        expected = exact(encoder, clip, upstream)[1]
        torch.testing.assert_close(boundaries.double(), expected, rtol=1e-3, atol=1e-6)

    def test_any_memory_layout(self, encoder: BDQ):
        clip = torch.rand(2, 3, 4, 10, 12)
        laid_out = clip.contiguous(memory_format=torch.channels_last_3d)
        assert torch.equal(encoder(laid_out), encoder(clip))
        upstream = torch.ones(1).expand(2, 3, 3, 10, 12)
        found = gradients(encoder, laid_out, upstream)
        torch.testing.assert_close(found, gradients(encoder, clip, upstream.contiguous()))


class TestMemory:
    def test_keeps_the_clip_only_and_does_not_copy_it(self, encoder: BDQ):
        clip, saved = torch.rand(1, 3, 4, 8, 8), []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t: (saved.append(t), t)[1], lambda t: t
        ):
            encoder(clip)
        assert sorted(t.numel() for t in saved) == [1, 15, clip.numel()]
        assert any(t.data_ptr() == clip.data_ptr() for t in saved)


class TestThreads:
    def test_results_do_not_depend_on_them_and_repeat(self, encoder: BDQ, threads: None):
        clip, upstream = torch.rand(LARGE), torch.rand(2, 3, 5, 160, 160)
        results = []
        for count in (1, 2, 3, 2):
            torch.set_num_threads(count)
            results.append((encoder(clip).detach(), *gradients(encoder, clip, upstream)))
        for other in results[1:]:
            assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))

    def test_several_callers_at_once(self, encoder: BDQ):
        clips = torch.rand(8, *LARGE)[:, :1]
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda clip: encoder(clip).detach(), clips))
        for clip, veiled in zip(clips, found, strict=True):
            assert torch.equal(veiled, encoder(clip))


class TestWhenItRuns:
    def test_on_a_float32_clip_of_the_cpu(self, encoder: BDQ):
        assert ran_fused(encoder, torch.rand(1, 3, 2, 4, 4))

    def test_not_when_the_clip_needs_a_gradient(self, encoder: BDQ):
        clip = torch.rand(1, 3, 2, 4, 4, requires_grad=True)
        assert not ran_fused(encoder, clip)
        encoder(clip).sum().backward()
        assert clip.grad is not None
        assert clip.grad.abs().sum() > 0

    def test_not_in_double_nor_very_hard(self, encoder: BDQ):
        encoder.hardness = 2 * cpu_kernel.GREATEST_HARDNESS
        assert not ran_fused(encoder, torch.rand(1, 3, 2, 4, 4))
        encoder.hardness = 5.0
        assert not ran_fused(encoder.double(), torch.rand(1, 3, 2, 4, 4).double())

    def test_not_under_function_transforms(self, encoder: BDQ):
        clip = torch.rand(1, 3, 3, 4, 4)
        numbers = {name: value.detach() for name, value in encoder.named_parameters()}

        def loss(numbers: dict[str, Tensor]) -> Tensor:
            return torch.func.functional_call(encoder, numbers, (clip,)).square().sum()

        by_transform = torch.func.grad(loss)(numbers)
        encoder(clip).square().sum().backward()
        for name, parameter in encoder.named_parameters():
            torch.testing.assert_close(by_transform[name], parameter.grad, rtol=1e-3, atol=1e-2)

    def test_checks_its_input_too(self, encoder: BDQ):
        with pytest.raises(ValueError, match="NaN"):
            encoder(torch.full((1, 3, 2, 4, 4), torch.nan))
        with torch.no_grad():
            encoder.sigma.fill_(-1)
        with pytest.raises(ValueError, match="sigma must be positive"):
            encoder(torch.rand(1, 3, 2, 4, 4))
