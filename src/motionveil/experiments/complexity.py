"""What an encoder costs (paper, table 1): parameters, stored size, operations, speed and memory.

There are two counts of floating point operations for a clip. `paper` counts convolutions alone, a
multiplication and an addition for each tap, and a blur as the two-dimensional convolution that it
is on paper: this gives the published 120.4 M of BDQ. `all` counts every operation on floating point
numbers that is really made, as `count_operations` says.
"""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from motionveil.encoders import Encoder, build_encoder
from motionveil.methods import method, method_names
from motionveil.spec import EncoderSpec, MustBeTrainedError, load_spec, spec_folder

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

CHANNELS = 3

USUAL_SIZE = 224
"""Size of networks' input in the paper, of which strengths are shares."""

REPEATS = 5
"""Times that the clip is encoded, of which the median counts; fewer after `ENOUGH` seconds."""

ENOUGH = 5.0
"""Seconds of encoding after which no further time is taken."""


@dataclass(frozen=True)
class Cost:
    """What one encoder costs for one clip.

    Attributes:
        method: The encoder's name.
        parameters: Numbers that training sets.
        size: Bytes of its files.
        flops: `"paper"` and `"all"`, see the module.
        seconds: Median time to encode the clip: on one thread processor time, which other programs
            on the machine do not lengthen; on several, time on the clock.
        frames_per_second: Frames in, over that.
        memory: Most bytes in use at once while encoding, beyond those before; None where the
            system does not tell.
    """

    method: str
    parameters: int
    size: int
    flops: dict[str, int]
    seconds: float
    frames_per_second: float
    memory: int | None


def measure_costs(encoders: list[str], *, frames: int, size: int, threads: int) -> list[Cost]:
    """Measure encoders, each in a process of its own so that none inherits another's memory.

    Args:
        encoders: Names or files; methods such as `unet` or `ryoo-28` then have fresh weights.
        size: H and W of the clip in pixels.

    Raises:
        MotionveilError: There is no such encoder.
    """
    for name in encoders:
        encoder_of(name)  # before anything is measured
    costs = []
    for name in encoders:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            costs.append(pool.submit(measure_cost, name, frames, size, threads).result())
    return costs


def usual_encoders() -> list[str]:
    """Return an encoder of every method, for those measured when none is named."""
    kinds = [method(name) for name in method_names()]
    return [kind.usual_name(USUAL_SIZE) for kind in kinds if not kind.blurs_faces]


def encoder_of(name: str) -> Encoder:
    """Return an encoder by name or file; methods that must be trained have fresh weights.

    Raises:
        MotionveilError: There is no such encoder.
    """
    try:
        return build_encoder(load_spec(name), spec_folder(name))
    except MustBeTrainedError:
        return build_encoder(EncoderSpec.untrained(name))


def measure_cost(name: str, frames: int, size: int, threads: int) -> Cost:
    """Measure one encoder in this process; see `measure_costs`."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    encoder = encoder_of(name).eval()
    clip = torch.rand(1, CHANNELS, frames, size, size)
    with torch.no_grad():
        memory = _peak_memory(encoder, clip)
        seconds = _times(encoder, clip, time.process_time if threads == 1 else time.perf_counter)
        flops = {"paper": convolution_flops(encoder, clip), "all": count_operations(encoder, clip)}
    return Cost(
        method=encoder.spec.name,
        parameters=sum(p.numel() for p in encoder.parameters() if p.requires_grad),
        size=stored_size(encoder),
        flops=flops,
        seconds=median(seconds),
        frames_per_second=frames / median(seconds),
        memory=memory,
    )


def as_json(costs: list[Cost]) -> list[dict[str, Any]]:
    """Return costs in JSON's types."""
    return [asdict(cost) for cost in costs]


def convolution_flops(encoder: Encoder, clip: Tensor) -> int:
    """Count the convolutions alone, two operations for each tap; as the paper's table 1 does.

    Args:
        encoder: The encoder. A Gaussian window of n pixels counts as an n x n convolution of every
            frame and channel that it filters, however it is computed; one that is taken at cells
            only counts there.
        clip: Shape `(B, 3, T, H, W)`.
    """
    if hasattr(encoder, "operations"):  # computes outside of torch, and without convolutions
        return 0
    taps = encoder.filter_taps(tuple(clip.shape))
    if taps:
        return 2 * taps
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        without_numbers(encoder)(clip.to("meta"))
    counted = counter.get_flop_counts().get("Global", {})
    return sum(count for operation, count in counted.items() if "conv" in str(operation))


def stored_size(encoder: Encoder) -> int:
    """Return the bytes of the files that hold an encoder."""
    with TemporaryDirectory(prefix="motionveil-") as folder:
        encoder.save(folder)
        return sum(file.stat().st_size for file in Path(folder).iterdir())


def _times(encoder: Encoder, clip: Tensor, clock: Callable[[], float]) -> list[float]:
    """Return how long it takes to encode a clip, several times."""
    taken: list[float] = []
    while len(taken) < REPEATS and sum(taken) < ENOUGH:
        began = clock()
        encoder(clip)
        taken.append(clock() - began)
    return taken


def _peak_memory(encoder: Encoder, clip: Tensor) -> int | None:
    """Return by how much the process grows while it encodes a clip; Linux only."""
    encoder(clip[..., :2, :, :])  # compiles what is compiled
    try:
        Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark
        before = _status("VmRSS")
        encoder(clip)
        return max(0, _status("VmHWM") - before)
    except OSError:
        return None


def _status(field: str) -> int:
    """Return a size out of /proc/self/status, in bytes."""
    lines = Path(f"/proc/{os.getpid()}/status").read_text().splitlines()
    line = next(line for line in lines if line.startswith(f"{field}:"))
    return 1024 * int(line.split()[1])


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
