"""How fast the adversarial step is, beside the same step with the released code's wasted work.

A 3D ResNet-18 watches actions and a ResNet-18 people, on 4 clips of the built-in data,
4 x 3 x 16 x 112 x 112, on one thread of the CPU:

- `motionveil`: `motionveil.training.adversarial.AdversarialTraining`;
- `wasting`: `released.ReferenceStep`, the same mathematics, but step 2 runs T and goes back through
  E, and step 1 computes the gradients of P's weights, all of them unused;
- `motionveil, its encoder` and `released`: the same two with the released formulation of the
  encoder, its sigma learnable;
- `released, NCHW`: `released` with the networks in the memory format that torch gives them; all
  others are channels last.

Two methods with the same encoder take the same frames, seeds and learning rates; the benchmark says
by how much their parameters differ in the end. "Arithmetic" is how many times as many
multiplications and additions torch counts in the networks of the wasting step.

Times are the least of interleaved runs, in processor time. Then: what share of our step is E's,
T's and P's, each run alone: forward, backward and the optimiser, as often as a step does.

    python benchmarks/adversarial_step.py [--runs 5] [--json FILE]

Needs `pip install '.[train]'`.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

from measuring import least_seconds, with_fair_malloc, write_figures
from motionveil.datasets.actors import make_actors
from motionveil.datasets.cache import ClipCache
from motionveil.datasets.dataset import Batch, ClipDataset, batches
from motionveil.encoders import BDQ
from motionveil.encoders.functional import for_networks
from motionveil.networks import create_action_network, create_privacy_network
from motionveil.spec import EncoderSpec
from motionveil.training.adversarial import AdversarialModels, AdversarialTraining
from motionveil.training.adversary_inputs import draw_frames, held_fixed
from motionveil.training.distributed import make_fabric
from motionveil.training.heads import ONE_CLASS
from motionveil.training.loop import make_optimizer
from motionveil.training.recipe import Recipe
from released import ReferenceStep, ReleasedEncoder

RECIPE = Recipe.model_validate(
    {
        "size": 112,
        "cache_size": 128,
        "action": {"name": "resnet18_3d"},
        "privacy": {"name": "resnet18"},
        "adversarial": {"batch": 4},
    }
)


class Step(Protocol):
    """Both steps of adversarial training."""

    models: AdversarialModels

    def step_encoder(self, batch: Batch) -> object:
        """Train E and T."""

    def step_privacy(self, batch: Batch) -> object:
        """Train P."""


def make_data(folder: str, recipe: Recipe) -> ClipDataset:
    """Return the training clips of two people of the built-in data."""
    manifest = make_actors(folder, people=2, train_sessions=1, validation_sessions=1)
    return ClipDataset(
        ClipCache.build(manifest, size=recipe.cache_size, fit=recipe.fit),
        manifest.part("validation", training=True),
        t=recipe.frames,
        size=recipe.size,
        privacy_label="identity",
        training=True,
        scales=recipe.scales,
    )


def make_models(data: ClipDataset, recipe: Recipe) -> AdversarialModels:
    """Return fresh models in training mode, the networks channels last."""
    torch.manual_seed(0)
    manifest = data.cache.manifest
    T = create_action_network(recipe.action.name, len(manifest.actions))
    people = manifest.names_of(manifest.privacy_labels[0])
    P = create_privacy_network(recipe.privacy.name, len(people))
    T.to(memory_format=torch.channels_last_3d)
    P.to(memory_format=torch.channels_last)
    return AdversarialModels(BDQ(EncoderSpec.untrained(range=0.25)), T.train(), P.train())


def make_steps(data: ClipDataset, recipe: Recipe) -> dict[str, Step]:
    """Return the methods, each with models of its own that start alike."""
    ours, wasting, mixed, released, plain = (make_models(data, recipe) for _ in range(5))
    for models in (mixed, released, plain):
        models.encoder = ReleasedEncoder()
    for network in (plain.action, plain.privacy):
        network.to(memory_format=torch.contiguous_format)
    fabric = make_fabric("cpu")
    return {
        "motionveil": AdversarialTraining(fabric, ours, data, recipe, 0),
        "wasting": ReferenceStep(wasting, recipe),
        "motionveil, its encoder": AdversarialTraining(fabric, mixed, data, recipe, 0),
        "released": ReferenceStep(released, recipe),
        "released, NCHW": ReferenceStep(plain, recipe),
    }


def repeated(step: Step, batch: Batch) -> Callable[[], None]:
    """Return a function that does one step; the n-th call of each method draws the same."""
    calls = 0

    def run() -> None:
        nonlocal calls
        torch.manual_seed(calls)
        calls += 1
        step.step_encoder(batch)
        step.step_privacy(batch)

    return run


def largest_difference(one: AdversarialModels, other: AdversarialModels) -> float:
    """Return by how much the parameters of two sets of models differ at most."""
    differences = [
        float((a - b).detach().abs().max())
        for mine, its in zip(modules(one), modules(other), strict=True)
        for a, b in zip(mine.parameters(), its.parameters(), strict=True)
    ]
    return max(differences)


def modules(models: AdversarialModels) -> tuple[nn.Module, nn.Module, nn.Module]:
    return models.encoder, models.action, models.privacy


def operations(step: Step, batch: Batch) -> int:
    """Return the multiplications and additions in the networks of one step."""
    with FlopCounterMode(display=False) as counter:
        step.step_encoder(batch)
        step.step_privacy(batch)
    return counter.get_total_flops()


def parts(models: AdversarialModels, batch: Batch, recipe: Recipe) -> dict[str, Callable[[], None]]:
    """Return, for each network, a function that does its part of one step and nothing else.

    And one that does T's forward pass, which is contained in its part.
    """
    E, T, P = (copy.deepcopy(module) for module in modules(models))
    with torch.no_grad():
        veiled = for_networks(E(batch.clips))
        frames = draw_frames(veiled, recipe.adversarial.privacy_frames)
    labels = batch.privacy.repeat_interleave(recipe.adversarial.privacy_frames)
    optimizers = [make_optimizer(module.parameters(), recipe.adversarial) for module in (E, T, P)]
    optimize_encoder, optimize_action, optimize_privacy = optimizers
    upstream = torch.randn_like(veiled)

    def encoder() -> None:
        optimize_encoder.zero_grad()
        for_networks(E(batch.clips)).backward(upstream)
        optimize_encoder.step()
        E.constrain()
        with torch.no_grad():
            for_networks(E(batch.clips))

    def action() -> None:
        optimize_action.zero_grad()
        cross_entropy(T(needing_gradient(veiled)), batch.actions).backward()
        optimize_action.step()

    def privacy() -> None:
        with held_fixed(P) as fixed:
            ONE_CLASS.entropy(fixed(needing_gradient(frames))).backward()
        optimize_privacy.zero_grad()
        cross_entropy(P(frames), labels).backward()
        optimize_privacy.step()

    def action_forward() -> None:
        T(needing_gradient(veiled))

    return {"E": encoder, "T": action, "P": privacy, "T forward": action_forward}


def needing_gradient(values: Tensor) -> Tensor:
    return values.detach().requires_grad_()


def measure(data: ClipDataset, recipe: Recipe, runs: int) -> dict[str, Any]:
    """Return the figures of all methods and the shares of the models."""
    batch = next(batches(data, recipe.adversarial.batch))
    steps = make_steps(data, recipe)
    todo = {name: repeated(step, batch) for name, step in steps.items()}
    pieces = parts(steps["motionveil"].models, batch, recipe)
    taken = least_seconds(todo | pieces, runs)
    seconds = {name: times.processor for name, times in taken.items()}
    own = seconds["motionveil"]
    pairs = [("motionveil", "wasting"), ("motionveil, its encoder", "released")]
    return {
        "shape": list(batch.clips.shape),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "runs": runs,
        "rows": [
            {"method": name, "seconds": seconds[name], "wall": taken[name].wall} for name in todo
        ],
        "times_as_fast": {
            "as wasting": seconds["wasting"] / own,
            "as wasting, both with the released encoder": seconds["released"]
            / seconds["motionveil, its encoder"],
            "as released": seconds["released"] / own,
        },
        "largest_difference": max(
            largest_difference(steps[one].models, steps[other].models) for one, other in pairs
        ),
        "arithmetic": operations(steps["wasting"], batch) / operations(steps["motionveil"], batch),
        "shares": {name: seconds[name] / own for name in "ETP"},
        "forward_of_action": seconds["T forward"] / seconds["T"],
    }


def print_figures(figures: dict[str, Any]) -> None:
    shape = " x ".join(map(str, figures["shape"]))
    print(f"{shape}, {figures['threads']} thread, torch {figures['torch']}")
    print(f"{'method':<26}{'ms':>8}{'wall ms':>9}")
    for row in figures["rows"]:
        print(f"{row['method']:<26}{row['seconds'] * 1e3:>8.0f}{row['wall'] * 1e3:>9.0f}")
    for what, times in figures["times_as_fast"].items():
        print(f"motionveil is {times:.2f} times as fast {what}")
    print(f"arithmetic: {figures['arithmetic']:.2f} times as many operations with the wasted work")
    print(f"parameters of the pairs differ by at most {figures['largest_difference']:g}")
    shares = figures["shares"]
    print(f"T's forward pass takes {figures['forward_of_action']:.0%} of the time of its part")
    listed = [f"{name} {share:.1%}" for name, share in shares.items()]
    print("shares of our step:", ", ".join([*listed, f"the rest {1 - sum(shares.values()):.1%}"]))


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the adversarial step on the CPU.")
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each method")
    parser.add_argument("--json", metavar="FILE", help="also write the figures here")
    arguments = parser.parse_args()
    with_fair_malloc()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(make_data(folder, RECIPE), RECIPE, arguments.runs)
    print_figures(figures)
    write_figures(arguments.json, figures)


if __name__ == "__main__":
    main()
