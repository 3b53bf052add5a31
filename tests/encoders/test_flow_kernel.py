"""The motion field's kernel of the CPU against the torch operations that run everywhere else."""

from __future__ import annotations

import shutil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from motionveil.encoders import build_encoder
from motionveil.encoders.flow import Flow
from motionveil.spec import EncoderSpec

LARGE = (2, 3, 6, 160, 160)
"""Enough work for two threads."""

shapes = st.tuples(*(st.integers(1, n) for n in (2, 3, 40, 40)))  # B, T - 1, H, W


def flow(name: str = "flow:cell=4") -> Flow:
    encoder = build_encoder(EncoderSpec.untrained(name))
    assert isinstance(encoder, Flow)
    return encoder


def random_flow(cell: int, levels: int, seed: int) -> Flow:
    """Return numbers as training might leave them."""
    generator = torch.Generator().manual_seed(seed)
    encoder = flow(f"flow:cell={cell},levels={levels}")
    with torch.no_grad():
        a, b, c = torch.rand(3, generator=generator)
        encoder.sigma.copy_(0.5 + 1.5 * a)
        encoder.window_sigma.copy_(0.5 + 5 * b)
        encoder.log_eps.copy_(-2.5 - 6 * c)
        encoder.boundaries.copy_((levels * torch.rand(levels, generator=generator)).sort().values)
    return encoder


def ran_fused(encoder: Flow, clip: Tensor) -> bool:
    return "_Velocities" in type(encoder.velocities(clip).grad_fn).__name__


def results(encoder: Flow, clip: Tensor, upstream: Tensor) -> tuple[Tensor, ...]:
    """Return what comes out, and the gradients of all learned numbers."""
    veiled = encoder(clip)
    gradients = torch.autograd.grad(veiled, tuple(encoder.parameters()), upstream)
    return veiled.detach(), *gradients


class TestAgreement:
    @given(shapes, st.sampled_from((1, 3, 4, 8, 16, 24)), st.integers(2, 40), st.integers(0, 999))
    @settings(deadline=None)
    def test_values_and_gradients(self, shape: tuple[int, ...], cell: int, levels: int, seed: int):
        B, T, H, W = shape
        generator = torch.Generator().manual_seed(seed)
        clip = torch.rand(B, 3, T + 1, H, W, generator=generator)
        upstream = torch.randn(B, 3, T, H, W, generator=generator)
        encoder = random_flow(cell, levels, seed)
        assert ran_fused(encoder, clip)
        found = results(encoder, clip, upstream)
        expected = results(encoder.double(), clip.double(), upstream.double())
        torch.testing.assert_close(found[0].double(), expected[0], atol=2e-3, rtol=0)
        # Relative to what the terms of the sums amount to: they may cancel.
        scale = float(upstream.abs().sum())
        for one, other in zip(found[1:], expected[1:], strict=True):
            torch.testing.assert_close(one.double(), other, rtol=1e-3, atol=5e-6 * scale)

    def test_velocities_alone(self):
        clip = torch.rand(2, 3, 4, 37, 50)
        encoder = flow()
        found = encoder.velocities(clip).detach()
        expected = encoder.double().velocities(clip.double()).detach()
        torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-4)

    def test_any_memory_layout(self):
        clip = torch.rand(2, 3, 4, 20, 24)
        laid_out = clip.contiguous(memory_format=torch.channels_last_3d)
        upstream = torch.ones(1).expand(2, 3, 3, 20, 24)
        encoder = flow()
        found = results(encoder, laid_out, upstream)
        for one, other in zip(found, results(encoder, clip, upstream.contiguous()), strict=True):
            torch.testing.assert_close(one, other)

    def test_autocast_leaves_full_precision(self):
        clip = torch.rand(1, 3, 3, 24, 24)
        encoder = flow()
        fused = encoder(clip)
        plain = encoder(clip.clone().requires_grad_())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(encoder(clip), fused)
            assert torch.equal(encoder(clip.clone().requires_grad_()), plain)


class TestMemory:
    def test_keeps_nothing_as_large_as_a_frame(self):
        clip, saved = torch.rand(1, 3, 4, 64, 64), []
        encoder = flow("flow:cell=8")
        own = {parameter.data_ptr() for parameter in encoder.parameters()}
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t: (saved.append(t), t)[1], lambda t: t
        ):
            encoder(clip)
        kept = {t.untyped_storage().data_ptr(): t.numel() for t in saved if t.data_ptr() not in own}
        assert sum(kept.values()) < clip[:, :, :1].numel()

    def test_without_gradients_it_gives_the_same(self):
        clip, encoder = torch.rand(1, 3, 4, 30, 30), flow()
        with torch.no_grad():
            veiled = encoder(clip)
        torch.testing.assert_close(veiled, encoder(clip).detach(), atol=1e-4, rtol=0)


class TestThreads:
    def test_results_do_not_depend_on_them_and_repeat(self, threads: None):
        clip, upstream = torch.rand(LARGE), torch.rand(2, 3, 5, 160, 160)
        encoder = flow("flow:cell=8")
        found = []
        for count in (1, 2, 3, 2):
            torch.set_num_threads(count)
            found.append(results(encoder, clip, upstream))
        for other in found[1:]:
            assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


class TestWhenItRuns:
    def test_not_when_the_clip_needs_a_gradient(self):
        clip, encoder = torch.rand(1, 3, 2, 9, 9, requires_grad=True), flow()
        assert not ran_fused(encoder, clip)
        encoder(clip).square().sum().backward()
        assert clip.grad is not None
        assert clip.grad.abs().sum() > 0

    def test_not_in_double(self):
        assert not ran_fused(flow().double(), torch.rand(1, 3, 2, 9, 9).double())

    def test_not_under_function_transforms(self):
        clip, encoder = torch.rand(1, 3, 3, 20, 20), flow()
        numbers = {name: value.detach() for name, value in encoder.named_parameters()}

        def loss(numbers: dict[str, Tensor]) -> Tensor:
            return torch.func.functional_call(encoder, numbers, (clip,)).square().sum()

        by_transform = torch.func.grad(loss)(numbers)
        encoder(clip).square().sum().backward()
        for name, parameter in encoder.named_parameters():
            torch.testing.assert_close(by_transform[name], parameter.grad, rtol=1e-3, atol=1e-2)

    def test_checks_its_input_too(self):
        encoder = flow()
        with pytest.raises(ValueError, match="NaN"):
            encoder(torch.full((1, 3, 2, 4, 4), torch.nan))
        with torch.no_grad():
            encoder.window_sigma.fill_(-1)
        with pytest.raises(ValueError, match="sigma must be positive"):
            encoder(torch.rand(1, 3, 2, 4, 4))


class TestExport:
    @pytest.mark.parametrize("hard", [False, True])
    def test_export_gives_the_same(self, hard: bool):
        encoder = flow()
        encoder.hard = hard
        example = torch.rand(2, 3, 4, 16, 16)
        program = torch.export.export(encoder, (example,))
        clip = torch.rand(2, 3, 4, 16, 16)
        levels, expected = program.module()(clip), encoder(clip)
        if hard:  # a value next to a boundary may fall on its other side
            assert (levels != expected).float().mean() < 0.01
        else:
            torch.testing.assert_close(levels, expected, atol=1e-3, rtol=0)

    @pytest.mark.slow
    @pytest.mark.skipif(
        shutil.which("c++") is None and shutil.which("g++") is None,
        reason="torch.compile needs a C++ compiler, none found on the path",
    )
    def test_compile_gives_the_same_values_and_gradients(self):
        encoder, clip = flow(), torch.rand(2, 3, 3, 18, 21)
        upstream = torch.rand(2, 3, 2, 18, 21)
        expected = results(encoder, clip, upstream)
        veiled = torch.compile(encoder, fullgraph=True)(clip)
        found = torch.autograd.grad(veiled, tuple(encoder.parameters()), upstream)
        torch.testing.assert_close((veiled.detach(), *found), expected, atol=1e-3, rtol=1e-3)
