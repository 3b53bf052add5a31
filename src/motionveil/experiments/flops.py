"""Counting every floating point operation that a module makes."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

_NOTHING = frozenset((
    "_to_copy", "_unsafe_view", "alias", "arange", "as_strided", "cat", "clone",
    "constant_pad_nd", "copy_", "detach", "empty", "empty_like", "empty_strided", "expand",
    "fill_", "full", "full_like", "index", "lift_fresh", "narrow", "new_empty", "new_zeros",
    "ones", "ones_like", "permute", "repeat", "replication_pad2d", "reshape", "select",
    "slice", "split", "split_with_sizes", "squeeze", "stack", "t", "transpose", "unbind",
    "unfold", "unsqueeze", "view", "where", "zeros", "zeros_like", "_local_scalar_dense",
    "item", "is_same_size", "isfinite", "all", "any",
))  # fmt: skip
"""Operations that move, make or look at numbers and compute none."""

_SEVERAL = {
    "addcmul": 2,
    "addcmul_": 2,
    "addcdiv": 2,
    "lerp": 3,
    "native_batch_norm": 5,  # subtract, divide, scale, shift; and one for the statistics
    "upsample_bilinear2d": 7,  # four products, three sums
    "grid_sampler_2d": 7,
}
"""Operations of an element of the output, where they are not one."""

_OVER_INPUT = frozenset((
    "sum", "mean", "amin", "amax", "aminmax", "max", "min", "std", "var", "var_mean",
    "norm", "_adaptive_avg_pool2d", "cumsum",
))  # fmt: skip
"""Operations that look at every element of the input: one for each."""


class _Counter(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        self.total += _operations(func, args, kwargs or {}, out)
        return out


def count_operations(module: nn.Module, clip: Tensor) -> int:
    """Count the operations on floating point numbers that a module makes for a clip.

    A convolution or matrix product counts two for each tap; a bilinear look-up seven for each
    output; a mean, minimum or sum one for each input; everything else that computes (also an
    exponential, a sigmoid, a comparison) one for each output; copies none. The module runs as torch
    operations, not by its fused kernel, which saves memory traffic and recomputation but not
    mathematics. A module with `operations(clip)`, which computes outside of torch, counts itself.

    Args:
        module: The module.
        clip: Shape `(B, 3, T, H, W)`.
    """
    counts_itself = getattr(module, "operations", None)
    if counts_itself is not None:
        return int(counts_itself(clip))
    counter = _Counter()
    with counter, torch.no_grad():
        without_numbers(module)(clip.to("meta"))
    return counter.total


def without_numbers(module: nn.Module) -> nn.Module:
    """Return a copy that computes shapes only, so that counting takes no time."""
    return copy.deepcopy(module).to("meta")


def _operations(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    packet = func.overloadpacket
    if packet in flop_registry:
        return int(flop_registry[packet](*args, **kwargs, out_val=out))
    name = packet.__name__
    result = out[0] if isinstance(out, (tuple, list)) and out else out
    if name in _NOTHING or not isinstance(result, Tensor):
        return 0
    if name in _OVER_INPUT:
        return int(args[0].numel())
    inputs = [value for value in args if isinstance(value, Tensor)]
    if not any(value.is_floating_point() for value in (result, *inputs)):
        return 0
    return _SEVERAL.get(name, 1) * int(result.numel())
