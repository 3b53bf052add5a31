"""From frames to clips: a 2D network made into a 3D one, its weights kept.

The method is that of Carreira and Zisserman, "Quo Vadis, Action Recognition?" (CVPR 2017), section
2.4.1. A network that was trained on images then responds to a static clip as it did to the image.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from motionveil.errors import MotionveilError

Taps = Literal["mean", "centre", "fresh"]
"""What a kernel holds along time, see `inflate`."""

# What computes the same on `(B, C, T, H, W)` as on `(N, C, H, W)`.
_KEPT: tuple[type[nn.Module], ...] = (
    *(nn.Identity, nn.Flatten, nn.Linear, nn.Dropout, nn.GroupNorm, nn.Sequential, nn.ModuleList),
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Mish),
    *(nn.Sigmoid, nn.Tanh, nn.Softplus, nn.Hardswish, nn.Hardsigmoid, nn.Hardtanh),
)


def inflate(network: nn.Module, taps: Taps = "mean") -> nn.Module:
    """Return the 3D counterpart of a 2D network, for clips `(B, C, T, H, W)`.

    A convolution or a pooling of k x k with stride s becomes one of k x k x k with stride s in time
    too. Two things keep frames: the first convolution has stride 1 in time, and every window with
    an odd k is padded in time by half of its length, with zeros for convolutions and with nothing
    that counts for the maximum and the mean. (torch's mean over windows wants k frames all the
    same.) Adaptive pooling leaves one position in time. BatchNorm keeps its weights and its running
    statistics. Names in the state dictionary stay, shapes of convolutions gain an axis.

    Args:
        network: Left as it is; the result shares nothing with it. It may be made of torch's usual
            layers, of timm's BatchNorm with an activation, and of modules that hold such layers.
            What a `forward` computes itself must serve five axes as well as four: that is not
            seen from here, and such a network fails when it is called.
        taps: What the k positions of a kernel along time hold. `mean`: the 2D weights divided by k
            (Carreira and Zisserman). `centre`: the 2D weights in the middle, zeros elsewhere; on a
            clip that stands still this gives what the 2D network gives on the frame at any T, where
            `mean` does so only further from the clip's ends than the padding reaches. `fresh`:
            normal values from torch's global generator with the 2D weights' root mean square over
            the square root of k, for training from scratch.

    Raises:
        MotionveilError: A layer has no faithful counterpart; the message names it.
    """
    if taps not in get_args(Taps):
        known = ", ".join(get_args(Taps))
        raise MotionveilError(f"taps {taps!r}: inflate knows {known}")
    network = copy.deepcopy(network)
    stem = next((m for m in network.modules() if type(m) is nn.Conv2d), None)
    done: dict[nn.Module, nn.Module] = {}  # a module that is used twice stays one

    def visit(module: nn.Module, name: str) -> nn.Module:
        if module not in done:
            if type(module) is nn.Conv2d:
                done[module] = _convolution(module, name, taps, keep_frames=module is stem)
            else:
                done[module] = _counterpart(module, name)
            done[module].training = module.training
            # named_children() leaves out what it met before
            for child_name, child in list(done[module]._modules.items()):
                if child is not None:
                    below = visit(child, f"{name}.{child_name}" if name else child_name)
                    setattr(done[module], child_name, below)
        return done[module]

    return visit(network, "")


def _counterpart(module: nn.Module, name: str) -> nn.Module:
    """Return what stands for a module other than a convolution; its children may still be 2D."""
    build = _builders().get(type(module))
    if build is not None:
        return build(module, name)
    if type(module) in _KEPT:
        return module
    if any(True for _ in module.children()) and not _own_tensors(module):
        return module  # a module that holds others; they are looked at one by one
    raise _refusal(module, name, "its counterpart on clips is not known")


def _own_tensors(module: nn.Module) -> bool:
    tensors = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
    return bool(tensors)


def _refusal(module: nn.Module, name: str, reason: str) -> MotionveilError:
    return MotionveilError(
        f"inflate: {name or 'the network'} is {type(module).__name__}: {reason}; "
        "replace it by a layer of torch.nn whose kernel is square"
    )


def _convolution(conv: nn.Conv2d, name: str, taps: Taps, *, keep_frames: bool) -> nn.Conv3d:
    if isinstance(conv.padding, str):
        raise _refusal(conv, name, f"padding {conv.padding!r}, numbers are needed")
    length, spacing, step = (
        _square(conv, name, size) for size in (conv.kernel_size, conv.dilation, conv.stride)
    )
    inflated = nn.Conv3d(
        conv.in_channels,
        conv.out_channels,
        (length, *conv.kernel_size),  # type: ignore[arg-type]
        (1 if keep_frames else step, *conv.stride),  # type: ignore[arg-type]
        (_half(length) * spacing, *conv.padding),  # type: ignore[arg-type]
        (spacing, *conv.dilation),  # type: ignore[arg-type]
        conv.groups,
        conv.bias is not None,
        conv.padding_mode,
        device="meta",  # its weights are replaced at once
    )
    weight = _along_time(conv.weight.detach(), length, taps)
    inflated.weight = nn.Parameter(weight, conv.weight.requires_grad)
    inflated.bias = conv.bias
    return inflated


def _along_time(weight: Tensor, length: int, taps: Taps) -> Tensor:
    """Give a kernel `(out, in, k, k)` a third axis: `(out, in, length, k, k)`."""
    repeated = weight.unsqueeze(2).repeat(1, 1, length, 1, 1)
    if length == 1:
        return repeated
    if taps == "mean":
        return repeated / length
    if taps == "centre":
        centre = torch.zeros_like(repeated)
        centre[:, :, _half(length)] = weight
        return centre
    return torch.randn_like(repeated) * weight.square().mean().sqrt() / length**0.5


def _half(length: int) -> int:
    """Return the padding in time before and after: as many windows as frames for an odd length."""
    return (length - 1) // 2


def _square(module: nn.Module, name: str, size: int | tuple[int, ...]) -> int:
    """Return the side of something square: it becomes the length in time."""
    sides = {size} if isinstance(size, int) else set(size)
    if len(sides) > 1:
        raise _refusal(module, name, f"{tuple(size)} is not square")  # type: ignore[arg-type]
    return sides.pop()


def _pair(size: int | tuple[int, ...]) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, int) else size
    return height, width


def _max_pool(pool: nn.Module, name: str) -> nn.Module:
    assert isinstance(pool, nn.MaxPool2d)
    if pool.return_indices:
        raise _refusal(pool, name, "its indices are places in a frame")
    length, step = (_square(pool, name, size) for size in (pool.kernel_size, pool.stride))
    padding = (_half(length), *_pair(pool.padding))
    # Not dilated in time: torch pads a pooling by half its kernel at most, however dilated.
    spacing = (1, *_pair(pool.dilation))
    return nn.MaxPool3d(length, step, padding, spacing, ceil_mode=pool.ceil_mode)


def _average_pool(pool: nn.Module, name: str) -> nn.Module:
    """Padding in time must not count, and torch has one flag for all axes."""
    assert isinstance(pool, nn.AvgPool2d)
    if pool.divisor_override or (pool.count_include_pad and any(_pair(pool.padding))):
        raise _refusal(pool, name, "its mean counts padding, or divides by another number")
    length, step = (_square(pool, name, size) for size in (pool.kernel_size, pool.stride))
    padding = (_half(length), *_pair(pool.padding))
    return nn.AvgPool3d(length, step, padding, pool.ceil_mode, count_include_pad=False)


def _adaptive_pool(pool: nn.Module, name: str) -> nn.Module:
    """One position in time, so that what follows finds as many features as in 2D."""
    assert isinstance(pool, nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d)
    size: Any = pool.output_size  # a number, a pair, or None: as many places as there are
    places = (1, *size) if isinstance(size, tuple) else (1, size, size)
    if isinstance(pool, nn.AdaptiveAvgPool2d):
        return nn.AdaptiveAvgPool3d(places)
    return nn.AdaptiveMaxPool3d(places, pool.return_indices)


def _dropout(dropout: nn.Module, name: str) -> nn.Module:
    assert isinstance(dropout, nn.Dropout2d)
    return nn.Dropout3d(dropout.p, dropout.inplace)


def _norm(kind: type[nn.Module]) -> Callable[[nn.Module, str], nn.Module]:
    """Return what turns a norm over frames into one of `kind`, with its tensors and children."""

    def build(norm: nn.Module, name: str) -> nn.Module:
        inflated = kind(
            norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats
        )
        inflated._parameters.update(norm._parameters)
        inflated._buffers.update(norm._buffers)
        inflated._modules.update(norm._modules)
        return inflated

    return build


@cache
def _builders() -> dict[type[nn.Module], Callable[[nn.Module, str], nn.Module]]:
    """Return what makes the counterpart of each type of layer but the convolution."""
    from motionveil.networks.backbones import batchnorm_with_activation

    frames, clips = batchnorm_with_activation()
    return {
        nn.BatchNorm2d: _norm(nn.BatchNorm3d),
        nn.InstanceNorm2d: _norm(nn.InstanceNorm3d),
        frames: _norm(clips),
        nn.MaxPool2d: _max_pool,
        nn.AvgPool2d: _average_pool,
        nn.AdaptiveAvgPool2d: _adaptive_pool,
        nn.AdaptiveMaxPool2d: _adaptive_pool,
        nn.Dropout2d: _dropout,
    }
