"""How fast the training is on a CUDA GPU: the encoder against its memory, the loop, its loader.

- The encoder's forward and backward, 16 x 3 x 32 x 224 x 224, by plain torch operations and as
  `motionveil.encoders.cuda_kernel` has them fused, beside the roofline: the bytes that have to be
  read and written (forward: the clip, the veiled clip; backward: the clip, the gradient) over the
  bandwidth of copying on this GPU. The share that checking a clip takes is given too.
- The adversarial training as in the paper, for SBU: 3D ResNet-50 and ResNet-50, batches of 16 clips
  of 16 x 224 x 224, in 32 bits and in mixed bfloat16: steps a second, and the share of the time in
  which the GPU does not wait for the loader or for the batch to be copied to it.

Where there is no CUDA GPU it says so and measures nothing.

    python benchmarks/gpu.py [--runs 20] [--json FILE]

Needs `pip install '.[train]'`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count, islice
from typing import Any

import torch
from torch import Tensor

from adversarial_step import make_data, make_models
from measuring import write_figures
from motionveil.datasets.dataset import Batch, ClipDataset, batches, prefetched
from motionveil.encoders import BDQ, cuda_kernel, functional
from motionveil.spec import EncoderSpec
from motionveil.training.adversarial import AdversarialTraining
from motionveil.training.distributed import make_fabric
from motionveil.training.recipe import Recipe

SHAPE = (16, 3, 32, 224, 224)
COPIED = 1 << 30
WARM_UP = 5
PRECISIONS = ("32-true", "bf16-mixed")


def synchronise(device: torch.device) -> None:
    """Wait until a GPU has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_of(run: Callable[[], object], device: torch.device, runs: int) -> float:
    """Return how long a call takes, the mean of several in a row after some that warm up."""
    for _ in range(WARM_UP):
        run()
    synchronise(device)
    start = time.perf_counter()
    for _ in range(runs):
        run()
    synchronise(device)
    return (time.perf_counter() - start) / runs


def copy_bandwidth(device: torch.device, runs: int, size: int = COPIED) -> float:
    """Return the bytes read and written in a second of copying."""
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * size / seconds_of(lambda: target.copy_(source), device, runs)


def measure_encoder(
    device: torch.device, runs: int, shape: tuple[int, ...] = SHAPE, copied: int = COPIED
) -> dict[str, Any]:
    """Return the times of the encoder in both forms, and their shares of the roofline."""
    torch.manual_seed(0)
    encoder = BDQ(EncoderSpec.untrained(range=0.25)).to(device)
    clip = torch.rand(shape, device=device)
    upstream = torch.randn_like(clip[:, :, 1:])
    moved = 4 * (clip.numel() + upstream.numel())
    bandwidth = copy_bandwidth(device, runs, copied)
    rows = []
    for name, veil in {"plain": plain, "compiled": fused}.items():
        with torch.no_grad():
            forward = seconds_of(lambda veil=veil: veil(encoder, clip), device, runs)
        both = seconds_of(lambda veil=veil: veil(encoder, clip).backward(upstream), device, runs)
        rows.append(
            {
                "method": name,
                "forward_seconds": forward,
                "forward_of_roofline": moved / bandwidth / forward,
                "seconds": both,
                "of_roofline": 2 * moved / bandwidth / both,
            }
        )
    check = seconds_of(lambda: functional.check_clip(clip), device, runs)
    return {"copy_bytes_a_second": bandwidth, "check_seconds": check, "rows": rows}


def plain(encoder: BDQ, clip: Tensor) -> Tensor:
    return functional.veil(
        clip,
        encoder.sigma,
        encoder.boundaries,
        hardness=encoder.hardness,
        mode="fixed",
        range=encoder.range,
    )


def fused(encoder: BDQ, clip: Tensor) -> Tensor:
    assert encoder.range is not None
    return cuda_kernel.veil(
        clip, encoder.sigma, encoder.boundaries, encoder.hardness, encoder.range
    )


def measure_training(
    data: ClipDataset, recipe: Recipe, device: str, precision: str, steps: int
) -> dict[str, Any]:
    """Train for some steps and return their rate, and the share spent computing."""
    training = AdversarialTraining(
        make_fabric(device, precision), make_models(data, recipe), data, recipe, 0
    )
    ready = prefetched(islice(endless(data, recipe.adversarial.batch), WARM_UP + steps))
    waited = 0.0
    start = time.perf_counter()
    for number in range(WARM_UP + steps):
        if number == WARM_UP:
            waited, start = 0.0, time.perf_counter()
        before = time.perf_counter()
        batch = Batch(*training.fabric.to_device(tuple(next(ready))))
        waited += time.perf_counter() - before
        training.step_encoder(batch)
        training.step_privacy(batch)
        synchronise(training.fabric.device)
    taken = time.perf_counter() - start
    return {
        "precision": precision,
        "steps_a_second": steps / taken,
        "busy": 1 - waited / taken,
    }


def endless(data: ClipDataset, size: int) -> Iterator[Batch]:
    """Yield batches of one epoch after the other."""
    for epoch in count():
        yield from batches(data, size, epoch=epoch)


def measure(runs: int) -> dict[str, Any]:
    """Return all figures, of the first CUDA GPU."""
    device, recipe = torch.device("cuda"), Recipe()
    with tempfile.TemporaryDirectory() as folder:
        data = make_data(folder, recipe)
        return {
            "device": torch.cuda.get_device_name(device),
            "torch": torch.__version__,
            "encoder": measure_encoder(device, runs),
            "training": [measure_training(data, recipe, "cuda", p, runs) for p in PRECISIONS],
        }


def print_figures(figures: dict[str, Any]) -> None:
    encoder = figures["encoder"]
    print(f"{figures['device']}, torch {figures['torch']}")
    print(f"copying: {encoder['copy_bytes_a_second'] / 1e9:.0f} GB/s read and written")
    print(f"checking a clip: {encoder['check_seconds'] * 1e3:.2f} ms, contained in all below")
    print(f"{'encoder':<12}{'forward ms':>12}{'of roofline':>13}{'both ms':>10}{'of roofline':>13}")
    for row in encoder["rows"]:
        print(
            f"{row['method']:<12}{row['forward_seconds'] * 1e3:>12.2f}"
            f"{row['forward_of_roofline']:>13.1%}{row['seconds'] * 1e3:>10.2f}"
            f"{row['of_roofline']:>13.1%}"
        )
    print(f"{'training':<12}{'steps/s':>12}{'busy':>13}")
    for row in figures["training"]:
        print(f"{row['precision']:<12}{row['steps_a_second']:>12.2f}{row['busy']:>13.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the training on a CUDA GPU.")
    parser.add_argument("--runs", type=int, default=20, help="timed calls and steps")
    parser.add_argument("--json", metavar="FILE", help="also write the figures here")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        print("there is no CUDA GPU here: nothing was measured")
        return
    figures = measure(arguments.runs)
    print_figures(figures)
    write_figures(arguments.json, figures)


if __name__ == "__main__":
    main()
