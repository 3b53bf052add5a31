"""How fast encoders train: forward and backward of one batch, and what is kept in between.

Compares on one thread of the CPU, for clips of 4 x 3 x 16 x 224 x 224:

- `released`: the formulation of the authors' code with a learnable sigma, see
  `released.ReleasedEncoder`;
- `plain`: `motionveil.encoders.functional`, what runs on every device;
- `fused`: `motionveil.encoders.BDQ` on the CPU;

and for clips of 16 x 3 x 16 x 64 x 64 with cells of 8 pixels, and of 4 x 3 x 16 x 112 x 112 with
cells of 4, the motion field:

- `flow plain`: in torch operations, what runs on every device;
- `flow fused`: `motionveil.encoders.flow.Flow` on the CPU;
- `bdq fused`: as above, for comparison.

Time is processor time, the median of interleaved runs. "Saved" is what autograd keeps between
forward and backward: distinct storages, without the parameters, the clip included. "Peak" is the
growth of the resident memory in a process of its own, the clip not included (Linux only).

    python benchmarks/encoder_training.py [--runs 7] [--json FILE]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from measuring import FAIR_MALLOC, with_fair_malloc, write_figures
from motionveil.encoders import BDQ, functional
from motionveil.encoders.flow import Flow
from motionveil.spec import EncoderSpec
from released import ReleasedEncoder

MIB = 1 << 20


class Plain(BDQ):
    """BDQ without the fused kernel."""

    def forward(self, clip: Tensor) -> Tensor:
        """Veil clips with torch operations only."""
        return functional.veil(
            clip,
            self.sigma,
            self.boundaries,
            hardness=self.hardness,
            mode=self.range_mode,
            range=self.range,
        )


class PlainFlow(Flow):
    """The motion field without its kernel."""

    def _runs_fused(self, clip: Tensor) -> bool:
        return False


class Case(NamedTuple):
    """Encoders that are compared; the first is the reference.

    Attributes:
        shape: Of the clip, `(B, 3, T, H, W)`.
        methods: How to make each encoder.
    """

    shape: tuple[int, ...]
    methods: dict[str, Callable[[], nn.Module]]


def fused_bdq() -> nn.Module:
    return BDQ(EncoderSpec.untrained(range=0.25))


def flow_case(shape: tuple[int, ...], cell: int) -> Case:
    spec = EncoderSpec.untrained(f"flow:cell={cell}")
    methods = {
        "flow plain": lambda: PlainFlow(spec),
        "flow fused": lambda: Flow(spec),
        "bdq fused": fused_bdq,
    }
    return Case(shape, methods)


CASES = {
    "bdq": Case(
        (4, 3, 16, 224, 224),
        {
            "released": ReleasedEncoder,
            "plain": lambda: Plain(EncoderSpec.untrained(range=0.25)),
            "fused": fused_bdq,
        },
    ),
    "flow, cells of 8": flow_case((16, 3, 16, 64, 64), 8),
    "flow, cells of 4": flow_case((4, 3, 16, 112, 112), 4),
}


def make_clip(shape: tuple[int, ...]) -> Tensor:
    """Return smooth images that drift, with a little sensor noise."""
    torch.manual_seed(0)
    B, _, T, H, W = shape
    y, x = torch.meshgrid(torch.arange(H) / 9, torch.arange(W) / 13, indexing="ij")
    t = torch.arange(T)[:, None, None] / 2
    picture = 0.5 + 0.2 * torch.sin(x + t) + 0.2 * torch.cos(y - t)  # (T, H, W)
    clip = picture.expand(B, 3, T, H, W) + 0.01 * torch.randn(shape)
    return clip.clamp(0, 1)


def step(encoder: nn.Module, clip: Tensor, upstream: Tensor) -> float:
    """Run forward and backward once and return the processor time in seconds."""
    encoder.zero_grad()
    start = time.process_time()
    encoder(clip).backward(upstream)
    return time.process_time() - start


def saved_bytes(encoder: nn.Module, clip: Tensor) -> int:
    """Return the bytes that autograd keeps for the backward pass, each storage counted once."""
    own = {parameter.untyped_storage().data_ptr() for parameter in encoder.parameters()}
    storages: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        veiled = encoder(clip)
    del veiled
    return sum(storages.values())


def own_peak_bytes(case: Case, name: str) -> int:
    """Return by how much forward and backward raise this process's peak of resident memory."""
    encoder, clip = case.methods[name](), make_clip(case.shape)
    small = make_clip((1, 3, 2, 8, 8))
    step(encoder, small, torch.ones_like(encoder(small)))  # loads code and compiled kernels
    B, C, T, H, W = case.shape
    upstream = torch.ones(1).expand(B, C, T - 1, H, W)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = _status_kib("VmRSS")
    step(encoder, clip, upstream)
    return (_status_kib("VmHWM") - before) * 1024


def _status_kib(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def peak_mib(case: str, name: str) -> float | None:
    """Measure the peak of one method in a fresh process; None where the system cannot tell."""
    if sys.platform != "linux":
        return None
    command = [sys.executable, __file__, "--peak-of", case, name]
    # With malloc's own thresholds, so that what is freed leaves the resident memory at once.
    plain = {key: value for key, value in os.environ.items() if key not in FAIR_MALLOC}
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=plain)
    return int(run.stdout) / MIB if run.returncode == 0 else None


def measure(name_of_case: str, runs: int) -> list[dict[str, Any]]:
    case = CASES[name_of_case]
    clip = make_clip(case.shape)
    encoders = {name: make() for name, make in case.methods.items()}
    with torch.no_grad():
        upstreams = {name: torch.randn_like(encoder(clip)) for name, encoder in encoders.items()}
    times: dict[str, list[float]] = {name: [] for name in encoders}
    for run in range(runs + 1):
        for name, encoder in encoders.items():
            seconds = step(encoder, clip, upstreams[name])
            if run > 0:  # the first one warms up
                times[name].append(seconds)
    rows: list[dict[str, Any]] = [
        {
            "method": name,
            "seconds": statistics.median(times[name]),
            "saved_mib": saved_bytes(encoder, clip) / MIB,
            "peak_mib": peak_mib(name_of_case, name),
        }
        for name, encoder in encoders.items()
    ]
    first = rows[0]
    for row in rows:
        row["times_as_fast"] = first["seconds"] / row["seconds"]
        row["share_of_saved"] = row["saved_mib"] / first["saved_mib"]
    return rows


def print_table(name: str, rows: list[dict[str, Any]]) -> None:
    size = "x".join(map(str, CASES[name].shape))
    print(f"\n{name}: {size}, forward + backward, 1 thread, torch {torch.__version__}")
    heads = ("ms", "times as fast", "saved MiB", "of the first", "peak MiB")
    print(f"{'method':<12}" + "".join(f"{head:>15}" for head in heads))
    for row in rows:
        peak = "-" if row["peak_mib"] is None else f"{row['peak_mib']:.0f}"
        print(
            f"{row['method']:<12}{row['seconds'] * 1e3:>15.0f}{row['times_as_fast']:>15.1f}"
            f"{row['saved_mib']:>15.1f}{row['share_of_saved']:>15.3f}{peak:>15}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how fast encoders train on the CPU.")
    parser.add_argument("--runs", type=int, default=7, help="timed runs of each method")
    parser.add_argument("--json", metavar="FILE", help="also write the figures here")
    parser.add_argument("--peak-of", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.peak_of:
        case, name = arguments.peak_of
        print(own_peak_bytes(CASES[case], name))
        return
    with_fair_malloc()
    cases = []
    for name, case in CASES.items():
        rows = measure(name, arguments.runs)
        print_table(name, rows)
        cases.append({"case": name, "shape": case.shape, "rows": rows})
    record = {"threads": 1, "torch": torch.__version__, "cases": cases}
    write_figures(arguments.json, record)


if __name__ == "__main__":
    main()
