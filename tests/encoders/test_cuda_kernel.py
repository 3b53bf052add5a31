"""The form of BDQ that is compiled for a GPU, on the CPU: against plain torch, and compiled."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from motionveil.encoders import BDQ, bdq, cuda_kernel, functional

shapes = st.tuples(*(st.integers(1, n) for n in (2, 4, 12, 12)))  # B, T, H, W


class OnCuda(Tensor):
    """A tensor of the CPU that says it lies on a GPU."""

    is_cuda = True


@pytest.fixture
def fresh() -> Iterator[None]:
    """Forget, before and after, what was compiled and where that was possible."""
    caches = (cuda_kernel.can_compile, cuda_kernel._compiled)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


def numbers(seed: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Return a sigma and boundaries."""
    generator = torch.Generator().manual_seed(seed)
    sigma = 0.4 + 2 * torch.rand((), generator=generator, dtype=dtype)
    boundaries = (15 * torch.rand(15, generator=generator, dtype=dtype)).sort().values
    return sigma.requires_grad_(), boundaries.requires_grad_()


def clip_of(shape: tuple[int, ...], seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    B, T, H, W = shape
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(B, 3, T + 1, H, W, generator=generator, dtype=dtype)


def plain(clip: Tensor, sigma: Tensor, boundaries: Tensor, hardness: float, r: float) -> Tensor:
    return functional.veil(clip, sigma, boundaries, hardness=hardness, mode="fixed", range=r)


def values_and_gradients(
    veil: Callable[..., Tensor], clip: Tensor, *arguments: Any
) -> tuple[Tensor, ...]:
    veiled = veil(clip, *arguments)
    upstream = torch.randn(veiled.shape, generator=torch.Generator().manual_seed(1))
    gradients = torch.autograd.grad(veiled, arguments[:2], upstream.to(veiled.dtype))
    return veiled.detach(), *gradients


class TestAgreement:
    @given(
        shapes,
        st.floats(0.05, 1),
        st.floats(0.5, cuda_kernel.GREATEST_HARDNESS),
        st.integers(0, 99),
    )
    @settings(deadline=None)
    def test_in_double(self, shape: tuple[int, ...], r: float, hardness: float, seed: int):
        clip = clip_of(shape, seed, torch.float64)
        arguments = (clip, *numbers(seed, torch.float64), hardness, r)
        found = values_and_gradients(cuda_kernel.veil, *arguments)
        expected = values_and_gradients(plain, *arguments)
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)

    @pytest.mark.parametrize("hardness", [0.5, 5.0, cuda_kernel.GREATEST_HARDNESS])
    def test_in_float_within_a_ten_thousandth(self, hardness: float):
        clip = 0.3 * clip_of((2, 5, 24, 24), 0)
        sigma, boundaries = numbers(0)
        found = values_and_gradients(cuda_kernel.veil, clip, sigma, boundaries, hardness, 0.25)
        exact = [t.detach().double().requires_grad_() for t in (sigma, boundaries)]
        expected = values_and_gradients(plain, clip.double(), *exact, hardness, 0.25)
        torch.testing.assert_close(found[0].double(), expected[0], atol=1e-4, rtol=0)
        for one, other in zip(found[1:], expected[1:], strict=True):
            torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=1e-4 * hardness)

    def test_all_levels_and_the_clamp(self):
        # From one end of the range to the other, and beyond it.
        clip = torch.zeros(1, 3, 2, 3, 301)
        clip[:, :, 1] = torch.linspace(0, 1, 301)
        clip = torch.cat([clip, clip.flip(2)], 2)
        for hardness in (5.0, cuda_kernel.GREATEST_HARDNESS):
            arguments = (clip, *numbers(3), hardness, 0.5)
            found = values_and_gradients(cuda_kernel.veil, *arguments)
            expected = values_and_gradients(plain, *arguments)
            assert all(value.isfinite().all() for value in found)
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=2e-3)
            torch.testing.assert_close(found[0], expected[0], rtol=0, atol=1e-4)


def test_gradcheck():
    clip = 0.3 * clip_of((2, 2, 3, 2), 0, torch.float64)
    assert torch.autograd.gradcheck(
        lambda sigma, boundaries: cuda_kernel.veil(clip, sigma, boundaries, 5.0, 0.25),
        numbers(0, torch.float64),
    )


def test_keeps_the_differences_only(encoder: BDQ):
    clip, saved = torch.rand(1, 3, 4, 8, 8), []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: (saved.append(t), t)[1], lambda t: t):
        cuda_kernel.veil(clip, encoder.sigma, encoder.boundaries, 5.0, 0.25)
    assert sorted(t.numel() for t in saved) == [1, 5, 15, 3 * 3 * 8 * 8]


@pytest.mark.parametrize(
    ("clip", "sigma", "message"),
    [
        (torch.full((1, 3, 2, 4, 4), torch.nan), 1.0, "NaN or infinite"),
        (torch.rand(1, 3, 1, 4, 4), 1.0, "at least 2 frames"),
        (torch.rand(1, 3, 2, 4, 4), -1.0, "sigma must be positive"),
    ],
)
def test_refuses_what_is_wrong(clip: Tensor, sigma: float, message: str):
    with pytest.raises(ValueError, match=message):
        cuda_kernel.veil(clip, torch.tensor(sigma), torch.arange(15.0), 5.0, 0.25)


class TestWhenItRuns:
    def test_by_the_device_of_the_clip(self, encoder: BDQ, monkeypatch: pytest.MonkeyPatch):
        clip = torch.rand(1, 3, 4, 8, 8)
        expected = encoder(clip)
        monkeypatch.setitem(bdq._FUSED, "cpu", cuda_kernel)  # as it is for "cuda"
        veiled = encoder(clip)
        assert type(veiled.grad_fn).__name__ == "_VeilBackward"
        torch.testing.assert_close(veiled, expected, rtol=0, atol=2e-4)
        encoder.hardness = 2 * cuda_kernel.GREATEST_HARDNESS
        assert type(encoder(clip).grad_fn).__name__ != "_VeilBackward"

    def test_on_a_gpu_both_ways_are_compiled(self, fresh: None, monkeypatch: pytest.MonkeyPatch):
        asked: list[str] = []

        def note(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
            asked.append(function.__name__)
            return function

        monkeypatch.setattr(torch, "compile", note)
        clip, arguments = clip_of((1, 2, 5, 5), 0), (*numbers(0), 5.0, 0.25)
        for _ in range(2):
            on_gpu = values_and_gradients(cuda_kernel.veil, clip.as_subclass(OnCuda), *arguments)
        assert asked == ["<lambda>", "levels", "gradients"], "each is compiled once"
        expected = values_and_gradients(cuda_kernel.veil, clip, *arguments)
        for one, other in zip(on_gpu, expected, strict=True):
            assert torch.equal(one.as_subclass(Tensor), other)

    def test_without_a_compiler_plain_torch_runs_and_one_warning_says_so(
        self, fresh: None, monkeypatch: pytest.MonkeyPatch
    ):
        def fail(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
            raise RuntimeError("Cannot find a working triton installation")

        monkeypatch.setattr(torch, "compile", fail)
        clip, arguments = clip_of((1, 2, 5, 5), 0), (*numbers(0), 5.0, 0.25)
        on_gpu = clip.as_subclass(OnCuda)
        with pytest.warns(UserWarning, match="cannot compile for cpu.*slower.*triton"):
            veiled = cuda_kernel.veil(on_gpu, *arguments)
        torch.testing.assert_close(veiled.as_subclass(Tensor), plain(clip, *arguments))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            cuda_kernel.veil(on_gpu, *arguments)


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("c++") is None and shutil.which("g++") is None,
    reason="torch.compile needs a C++ compiler, none found on the path",
)
def test_the_compiler_changes_nothing():
    difference = clip_of((2, 3, 9, 7), 0) - 0.5
    window = functional.gaussian_weights(torch.tensor(1.3))
    kernel, change = torch.outer(window, window), torch.rand(5, 5)
    growth = cuda_kernel._growth(numbers(0)[1].detach(), 5.0)
    upstream = torch.randn(difference.shape)
    for function, arguments in (
        (cuda_kernel.levels, (difference, kernel, growth, 5.0, 0.25)),
        (cuda_kernel.gradients, (difference, kernel, change, growth, 5.0, 0.25, upstream)),
    ):
        found = torch.compile(function, fullgraph=True)(*arguments)
        torch.testing.assert_close(found, function(*arguments), rtol=1e-4, atol=1e-4)
