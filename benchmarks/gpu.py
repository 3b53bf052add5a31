"""What a CUDA GPU makes of it: the kernels against its memory, training, equality with the CPU.

- `encoder`: forward and backward, 16 x 3 x 32 x 224 x 224, of BDQ by plain torch operations and as
  `motionveil.encoders.cuda_kernel` has them fused, and of `flow` and `moments` by plain torch
  operations, beside the roofline: the bytes that have to be read and written (forward: the clip,
  the veiled clip; backward: the clip, the gradient) over the bandwidth of copying on this GPU. The
  share that checking a clip takes is given too.
- `training`: the adversarial training as in the paper, for SBU: 3D ResNet-50 and ResNet-50, batches
  of 16 clips of 16 x 224 x 224, in 32 bits and in mixed bfloat16: steps per second, and the share
  of the time in which the GPU does not wait for the loader or for the batch to be copied to it.
- `equality`: the same clips through the encoders on the GPU and on the CPU, and three steps of
  training small networks from the same weights: by how much levels and parameters differ.
- `tradeoff`, where `--manifest` and `--weights` are given: raw video, BDQ and `flow` trained and
  validated on UT-Interaction at 224 pixels, `motionveil tradeoff` itself.

Where there is no CUDA GPU it says so and measures nothing. Written for eight minutes of a GPU.

    python benchmarks/gpu.py [--runs 20] [--only PART ...] [--json FILE]
        [--manifest ut/manifest.csv --weights FOLDER [--split fold0]]

FOLDER holds i3d_rgb_kinetics400.safetensors and tf_efficientnet_lite0_imagenet1k.safetensors. Needs
`pip install '.[train]'`.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from adversarial_step import largest_difference, make_data, make_models
from measuring import write_figures
from motionveil.cli import main as motionveil
from motionveil.datasets.dataset import Batch, ClipDataset, batches, prefetched
from motionveil.encoders import BDQ, build_encoder, cuda_kernel, functional
from motionveil.results import Accuracy, Result
from motionveil.spec import EncoderSpec
from motionveil.training.adversarial import AdversarialModels, AdversarialTraining
from motionveil.training.distributed import make_fabric
from motionveil.training.recipe import Recipe

SHAPE = (16, 3, 32, 224, 224)
COPIED = 1 << 30
WARM_UP = 5
PRECISIONS = ("32-true", "bf16-mixed")
SMALL = Recipe.model_validate({"action": {"name": "small3d"}, "privacy": {"name": "small2d"}})


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
    others = {name: untrained(name).to(device) for name in ("flow", "moments")}
    clip = torch.rand(shape, device=device)
    upstream = torch.randn_like(clip[:, :, 1:])
    moved = 4 * (clip.numel() + upstream.numel())
    bandwidth = copy_bandwidth(device, runs, copied)
    rows = []
    veils: dict[str, Callable[[], Tensor]] = {
        "plain": lambda: plain(encoder, clip),
        "compiled": lambda: fused(encoder, clip),
    }
    veils |= {name: partial(other, clip) for name, other in others.items()}
    for name, veil in veils.items():
        with torch.no_grad():
            forward = seconds_of(veil, device, runs)
        row: dict[str, Any] = {
            "method": name,
            "forward_seconds": forward,
            "forward_of_roofline": moved / bandwidth / forward,
        }
        if veil().requires_grad:  # moments have nothing to train
            both = seconds_of(partial(forward_and_back, veil, upstream), device, runs)
            row |= {"seconds": both, "of_roofline": 2 * moved / bandwidth / both}
        rows.append(row)
    check = seconds_of(lambda: functional.check_clip(clip), device, runs)
    return {"copy_bytes_a_second": bandwidth, "check_seconds": check, "rows": rows}


def forward_and_back(veil: Callable[[], Tensor], upstream: Tensor) -> None:
    veil().backward(upstream)


def untrained(method: str) -> torch.nn.Module:
    """Return an encoder as it is before training, BDQ with a range as of real video."""
    if method == "bdq":
        return build_encoder(EncoderSpec.untrained(range=0.25))
    return build_encoder(EncoderSpec.untrained(method))


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


def measure_equality(data: ClipDataset, device: str, steps: int = 3) -> dict[str, Any]:
    """Return by how much the device and the CPU differ, given the same numbers.

    Of encoders: levels, of 15. Of training: the largest difference of any parameter after some
    steps of small networks in 32 bits, beside how far the parameters moved at most.
    """
    clip = data.load(range(4), seed=0, epoch=0).clips
    levels = {}
    for method in ("bdq", "flow", "moments"):
        encoder = untrained(method).eval()
        with torch.no_grad():
            here, there = encoder(clip), encoder.to(device)(clip.to(device)).cpu()
        difference = (here - there).abs()
        levels[method] = {
            "largest": float(difference.max()),
            "share_over_0.01": float((difference > 0.01).double().mean()),
        }
    start = make_models(data, SMALL)
    trained = [trained_for(copy.deepcopy(start), data, place, steps) for place in ("cpu", device)]
    return {
        "levels": levels,
        "training": {
            "steps": steps,
            "largest_difference": largest_difference(*trained),
            "moved": largest_difference(start, trained[0]),
        },
    }


def trained_for(
    models: AdversarialModels, data: ClipDataset, device: str, steps: int
) -> AdversarialModels:
    """Train models for some steps on a device and return them on the CPU."""
    training = AdversarialTraining(make_fabric(device), models, data, Recipe(), 0)
    for number, batch in enumerate(islice(endless(data, 8), steps)):
        torch.manual_seed(number)  # what is drawn of frames is drawn on the CPU
        there = Batch(*training.fabric.to_device(tuple(batch)))
        training.step_encoder(there)
        training.step_privacy(there)
    for module in (models.encoder, models.action, models.privacy):
        module.cpu()
    return models


METHODS = ("raw", "bdq:2", "flow:2", "flow-untrained", "moments")


def measure_tradeoff(
    manifest: str, weights: Path, *, out: str, options: Sequence[str] = ()
) -> dict[str, Any]:
    """Train and validate methods on UT-Interaction and return their figures.

    Args:
        weights: Folder of the pretrained networks' files.
        options: Further options of `motionveil tradeoff`.
    """
    command = [
        *("tradeoff", manifest, "--recipe", "ut-interaction", "--out", out),
        *("--set", "size=224", "--set", "cache_size=256", "--protocol", "paper"),
        *("--action-weights", str(weights / "i3d_rgb_kinetics400.safetensors")),
        *("--privacy-weights", str(weights / "tf_efficientnet_lite0_imagenet1k.safetensors")),
        *("--methods", *METHODS),
        *options,
    ]
    started = time.perf_counter()
    if motionveil(command):
        raise SystemExit("motionveil tradeoff failed: see above")
    result = Result.read(out)
    return {
        "command": result.command,
        "seconds": time.perf_counter() - started,
        "rows": [
            {
                "method": row.method,
                "split": row.split,
                "action": figure(row.action),
                "by_frame": figure(row.privacy.frame),
                "by_clip": figure(row.privacy.clip),
                "seconds": row.seconds,
            }
            for row in result.rows
        ],
    }


def figure(accuracy: Accuracy) -> dict[str, Any]:
    return {"accuracy": accuracy.accuracy, "n": accuracy.n, "chance": accuracy.chance_level}


PARTS = ("encoder", "training", "equality", "tradeoff")


def measure(arguments: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """Yield the figures of the parts asked for, of the first CUDA GPU, each when it is known."""
    device, recipe, wanted = torch.device("cuda"), Recipe(), arguments.only
    yield "device", torch.cuda.get_device_name(device)
    yield "torch", torch.__version__
    with tempfile.TemporaryDirectory() as folder:
        data = make_data(folder, recipe)
        if "encoder" in wanted:
            yield "encoder", measure_encoder(device, arguments.runs)
        if "equality" in wanted:
            yield "equality", measure_equality(data, "cuda")
        if "training" in wanted:
            rates = []
            for precision in PRECISIONS:
                rates.append(measure_training(data, recipe, "cuda", precision, arguments.runs))
                yield "training", rates
        if "tradeoff" in wanted and arguments.manifest:
            only = ("--split", arguments.split) if arguments.split else ()
            yield (
                "tradeoff",
                measure_tradeoff(
                    arguments.manifest,
                    arguments.weights,
                    out=f"{folder}/tradeoff",
                    options=("--precision", "bf16-mixed", "--device", "cuda", *only),
                ),
            )


def print_figures(figures: dict[str, Any]) -> None:
    print(f"{figures['device']}, torch {figures['torch']}")
    if "encoder" in figures:
        print_encoder(figures["encoder"])
    if "training" in figures:
        print(f"{'training':<12}{'steps/s':>12}{'busy':>13}")
    for row in figures.get("training", ()):
        print(f"{row['precision']:<12}{row['steps_a_second']:>12.2f}{row['busy']:>13.1%}")
    if "equality" in figures:
        print_equality(figures["equality"])
    if "tradeoff" in figures:
        print(f"{'trade-off':<18}{'split':<12}{'action':>8}{'frame':>8}{'clip':>8}{'seconds':>9}")
    for row in figures.get("tradeoff", {}).get("rows", ()):
        shown = "".join(f"{row[k]['accuracy']:>8.1%}" for k in ("action", "by_frame", "by_clip"))
        print(f"{row['method']:<18}{row['split']:<12}{shown}{row['seconds']:>9.0f}")


def print_encoder(encoder: dict[str, Any]) -> None:
    print(f"copying: {encoder['copy_bytes_a_second'] / 1e9:.0f} GB/s read and written")
    print(f"checking a clip: {encoder['check_seconds'] * 1e3:.2f} ms, contained in all below")
    print(f"{'encoder':<12}{'forward ms':>12}{'of roofline':>13}{'both ms':>10}{'of roofline':>13}")
    for row in encoder["rows"]:
        line = f"{row['method']:<12}{row['forward_seconds'] * 1e3:>12.2f}"
        line += f"{row['forward_of_roofline']:>13.1%}"
        if "seconds" in row:
            line += f"{row['seconds'] * 1e3:>10.2f}{row['of_roofline']:>13.1%}"
        print(line)


def print_equality(equality: dict[str, Any]) -> None:
    for method, found in equality["levels"].items():
        shares = f"{found['share_over_0.01']:.2g} of them by more than 0.01"
        print(f"{method}: levels differ from the CPU's by {found['largest']:.2g}, {shares}")
    training = equality["training"]
    print(
        f"after {training['steps']} steps parameters differ by {training['largest_difference']:.2g}"
        f" and have moved by {training['moved']:.2g}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the training on a CUDA GPU.")
    parser.add_argument("--runs", type=int, default=20, help="timed calls and steps")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts to measure")
    parser.add_argument("--manifest", metavar="FILE", help="UT-Interaction, for the trade-off")
    parser.add_argument("--weights", type=Path, metavar="FOLDER", default=Path())
    parser.add_argument(
        "--options", nargs="+", default=(), help="of the trade-off, such as --split"
    )
    parser.add_argument("--json", metavar="FILE", help="also write the figures here")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        print("there is no CUDA GPU here: nothing was measured")
        return
    figures: dict[str, Any] = {}
    for name, found in measure(arguments):
        figures[name] = found
        print(f"{name}: measured", flush=True)
        write_figures(arguments.json, figures)  # a GPU may be taken away at any time
    print_figures(figures)


if __name__ == "__main__":
    main()
