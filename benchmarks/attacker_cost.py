"""What the attackers of a row cost: processor seconds per epoch, and at most for all its epochs.

    OMP_NUM_THREADS=1 python benchmarks/attacker_cost.py --data quickstart/actors

One epoch of each is trained on the untrained BDQ, and the learning rate is not chosen; what that
adds is counted from the rule of the recipe. Re-identification trains two networks on half of the
people each, so that its epoch is one of both. About two minutes on one core.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from motionveil.datasets.actors import make_actors
from motionveil.evaluation.attack import Attack
from motionveil.evaluation.attacks.retrieve import Retrieve
from motionveil.evaluation.audit import AuditPlan
from motionveil.evaluation.data import AttackData, AuditData, people_in_both
from motionveil.evaluation.suites import attackers
from motionveil.training.distributed import make_fabric
from motionveil.training.recipe import Recipe, load_recipe


def data_of(folder: Path, recipe: Recipe) -> AttackData:
    manifest = make_actors(folder, seed=0)
    plan = AuditPlan(
        encoder="bdq",
        manifest=str(manifest.file),
        recipe=recipe,
        label=manifest.privacy_labels[0],
        split=manifest.splits()[0],
        suite="strongest",
        attacks=(),
    )
    data = AuditData(plan, make_fabric("cpu"))
    data.make()
    return data.attack_data("veiled")


def epoch_seconds(attack: Attack, data: AttackData) -> float:
    schedule = attack.schedule.model_copy(update={"epochs": 1, "warmup": 0.5})
    once = attack.model_copy(update={"schedule": schedule, "until": None})
    torch.manual_seed(0)
    began = time.process_time()
    if isinstance(once, Retrieve):
        people = people_in_both(data.manifest, data.split, data.label)
        for half in (people[::2], people[1::2]):
            clips = data.part(training=True)
            once._train(data, [clip for clip in clips if clip.privacy[data.label] in half])
    else:
        once.trained(data)
    return time.process_time() - began


def most_epochs(recipe: Recipe) -> float:
    rule, epochs = recipe.attackers, recipe.validation.epochs
    tried = len(rule.rates) * round(rule.trial * epochs) * (1 - rule.held_out)
    return tried + round(rule.longest * epochs) * (1 + rule.fall)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("quickstart/actors"))
    arguments = parser.parse_args()
    recipe = load_recipe("actors")
    data, most = data_of(arguments.data, recipe), most_epochs(recipe)
    print(f"{'attacker':18} s an epoch   s at most, for {most:.0f} epochs")
    for attack in attackers(recipe):
        seconds = epoch_seconds(attack, data)
        print(f"{attack.name:18} {seconds:10.1f}   {seconds * most:10.0f}", flush=True)


if __name__ == "__main__":
    main()
