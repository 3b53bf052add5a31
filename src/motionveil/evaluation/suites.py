"""Which attacks are carried out: suites, as lists of attacks.

Every suite attacks with the recipe's own networks, so that what runs on two cores and what runs on
a GPU differ by the recipe only. A custom suite is a YAML file: a list of attacks, each a name
of a shipped suite or a table of settings.

    - quick
    - {name: gait, kind: "gait_attack.py:Gait", temporal: true}
    - {name: long, kind: recognise, schedule: {epochs: 200, batch: 16, lr: 0.001}}
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from motionveil.datasets.manifest import Manifest
from motionveil.errors import MotionveilError
from motionveil.evaluation.attack import Attack, attack_class, read_attack
from motionveil.evaluation.confounds import confounds
from motionveil.evaluation.encode_clips import QUALITIES
from motionveil.training.recipe import AttackerTraining, NetworkRecipe, Recipe, Schedule
from motionveil.yaml_file import read_yaml

ADVERSARIES = (
    "resnet50",
    "resnext50_32x4d",
    "wide_resnet50_2",
    "densenet121",
    "vgg16_bn",
    "efficientnet_b0",
    "mobilenet_v3_large",
    "shufflenet_v2",
    "mnasnet_100",
    "convnext_tiny",
    "deit_tiny",
)
"""Ten families of image networks, as in the paper's figure 5, and a vision transformer.

The paper's text names ResNet-50 and MobileNetV3 of them, its figure is a drawing: the others are
the families of its time.
"""

ACTION_NETWORKS = (
    "resnet50_3d",
    "resnext101_3d",
    "shufflenet_v2_3d",
    "mobilenet_v2_3d",
    "squeezenet_3d",
    "r2plus1d_18",
    "s3d",
)
"""Families of video networks, as in the paper's figure 6, of which its text names two.

Those are the 3D ResNeXt-101 and the 3D ShuffleNet v2.
"""

FRAMES, CLIP, COURSE = "frame", "clip", "course"
TRANSFORMER, RETRIEVAL = "transformer", "re-identification"
"""Names of the attackers of which the strongest counts."""

_USUAL_QUALITY = QUALITIES[1]

_ADAMW: dict[str, Any] = {"optimizer": "adamw", "lr": 0.001, "weight_decay": 0.01}
"""For networks that hardly learn from fresh weights with SGD."""

_UNTIL_FLAT = AttackerTraining(patience=4, longest=3, held_out=0.2, rates=(1.0,))
"""A U-Net learns until its error on a fifth of its clips has not fallen for four epochs."""


def attackers(recipe: Recipe) -> list[Attack]:
    """Return the attackers of which the strongest counts, each trained until it is saturated.

    Frames (whose answers are read by frame, and averaged over a clip's frames), whole clips by the
    recipe's 3D network, by one that sees the course of coarse parts over time and by a
    transformer, and re-identification.
    """
    schedule, until = recipe.validation, recipe.attackers
    plain = schedule.model_copy(update=_ADAMW | {"lr": 0.003})
    own = schedule.model_copy(update=_ADAMW if recipe.transformer.weights is None else {})
    return [
        _frames(recipe, schedule, FRAMES, until=until),
        _clips(recipe, schedule, CLIP, until=until),
        _clips(recipe, plain, COURSE, until=until, network=NetworkRecipe(name="small1d")),
        _clips(recipe, own, TRANSFORMER, until=until, network=recipe.transformer),
        _clips(recipe, schedule, RETRIEVAL, until=until, kind="retrieve", everyone=True),
    ]


def brief(recipe: Recipe) -> list[Attack]:
    """Return the two attackers that see whole clips, for half of the recipe's epochs.

    Small networks, which are also the strongest of few epochs: the 3D network, and the one that
    sees the course of coarse parts.
    """
    half = _stretched(recipe.validation, 0.5)
    plain = half.model_copy(update=_ADAMW | {"lr": 0.003})
    return [
        _clips(recipe, half, CLIP),
        _clips(recipe, plain, COURSE, network=NetworkRecipe(name="small1d")),
    ]


def strongest(recipe: Recipe) -> list[Attack]:
    """Return the attackers of which the strongest counts, and the action as what is left of use."""
    return [*attackers(recipe), _clips(recipe, recipe.validation, "action", target="action")]


def quick(recipe: Recipe) -> list[Attack]:
    """Return a small version of each kind of attack, for minutes on two cores."""
    schedule = _stretched(recipe.validation, 0.5)
    return [
        *_kinds(recipe, schedule),
        _frames(
            recipe,
            _stretched(schedule, 0.5),
            "reconstruction",
            kind="reconstruct",
            until=_UNTIL_FLAT,
        ),
        _frames(recipe, schedule, f"h264-{_USUAL_QUALITY}", quality=_USUAL_QUALITY),
        _frames(recipe, schedule, "persistent", rates=_rates(schedule), restarts=2, crops=4),
        _clips(recipe, schedule, "action", target="action"),
    ]


def full(recipe: Recipe) -> list[Attack]:
    """Return every attack at the recipe's own length, each network of the paper's figures too."""
    schedule = recipe.validation
    longer = _stretched(schedule, 2)
    vit = NetworkRecipe(name="small_vit")
    return [
        *_kinds(recipe, schedule),
        _frames(recipe, schedule.model_copy(update=_ADAMW), "frame-transformer", network=vit),
        *(_frames(recipe, schedule, f"h264-{quality}", quality=quality) for quality in QUALITIES),
        _frames(recipe, longer, "persistent", rates=_rates(schedule), restarts=3, crops=8),
        _clips(recipe, longer, "persistent-clip", rates=_rates(schedule), restarts=2, crops=8),
        _clips(recipe, schedule, "action", target="action"),
        *paper(recipe),
    ]


def paper(recipe: Recipe) -> list[Attack]:
    """Return the paper's attacks: networks of figures 5 and 6, pretrained, and reconstruction.

    The networks of figure 5 from scratch too. The paper's U-Net learns for 200 epochs where its
    networks learn for 50, on all training clips.
    """
    schedule = recipe.validation
    return [
        *(
            _frames(recipe, schedule, f"{name}{ending}", network=network)
            for name in ADVERSARIES
            for network, ending in (
                (_pretrained(recipe, name), ""),
                (NetworkRecipe(name=name), "-scratch"),
            )
        ),
        *(
            _clips(recipe, schedule, name, target="action", network=_pretrained(recipe, name))
            for name in ACTION_NETWORKS
        ),
        _frames(recipe, _stretched(schedule, 4), "reconstruction", kind="reconstruct"),
    ]


SUITES: dict[str, Callable[[Recipe], list[Attack]]] = {
    "strongest": strongest,
    "quick": quick,
    "paper": paper,
    "full": full,
}
"""By the names that `--suite` takes."""


def read_suite(name: str, recipe: Recipe) -> list[Attack]:
    """Return the attacks of a shipped suite, or of a custom one, a YAML file.

    What an attack of a file does not say of its network and schedule is the recipe's.

    Raises:
        MotionveilError: There is no such suite or file, or an attack of it is wrong.
    """
    if name in SUITES:
        return SUITES[name](recipe)
    file = Path(name)
    if not file.exists():
        raise MotionveilError(
            f"--suite {name}: no such file, and no suite of ours; those are {', '.join(SUITES)}"
        )
    listed = read_yaml(file, "the suite")
    if not isinstance(listed, list):
        raise MotionveilError(f"{file}: a suite is a list of attacks")
    attacks: list[Attack] = []
    for item in listed:
        if isinstance(item, str) and item in SUITES:
            attacks += SUITES[item](recipe)
        else:
            attacks.append(_with_defaults(item, recipe, file))
    names = [attack.name for attack in attacks]
    if twice := {attack for attack in names if names.count(attack) > 1}:
        raise MotionveilError(f"{file}: several attacks are called {', '.join(sorted(twice))}")
    return attacks


def _with_defaults(item: Any, recipe: Recipe, file: Path) -> Attack:
    if not isinstance(item, dict):
        raise MotionveilError(
            f"{file}: {item!r}: expected a table with name and kind, or the name of a suite"
        )
    place, _, name = str(item.get("kind")).rpartition(":")
    if place.endswith(".py"):  # beside the suite, for every process
        item = item | {"kind": f"{(file.parent / place).absolute()}:{name}"}
    fields = attack_class(item.get("kind")).model_fields  # a plugin needs no network
    network = recipe.action if item.get("temporal") else recipe.privacy
    defaults = {"network": network, "schedule": recipe.validation}
    return read_attack({k: v for k, v in defaults.items() if k in fields} | item)


def beside(recipe: Recipe, manifest: Manifest, split: str, label: str) -> list[Attack]:
    """Return the attacks for the other columns of a data set.

    One by frame and one by clip on every other label; and where a column predicts the label, and
    the same people were filmed under several of its values, both across it, with their controls.
    """
    schedule = _stretched(recipe.validation, 0.5)
    attacks: list[Attack] = []
    own = manifest.columns_of(label)
    for other in manifest.privacy_labels:
        if other not in own:
            attacks.append(_frames(recipe, schedule, f"frame-{other}", label=other))
            attacks.append(_clips(recipe, schedule, f"clip-{other}", label=other))
    for found in confounds(manifest, split, label):
        if found.at_work and found.crossable:
            for way, control in (("across", False), ("within", True)):
                changes = {"across": found.column, "control": control}
                name = f"{way}-{found.column}"
                attacks.append(_frames(recipe, schedule, f"frame-{name}", **changes))
                attacks.append(_clips(recipe, schedule, f"clip-{name}", **changes))
    return attacks


def _kinds(recipe: Recipe, schedule: Schedule) -> list[Attack]:
    """Return the attacks that every suite but the paper's begins with."""
    return [
        _frames(recipe, schedule, "frame", crops=4),
        _frames(recipe, schedule, "integrated", view="integrated"),
        _frames(recipe, schedule, "stacked", view="stacked"),
        _frames(recipe, schedule, "most-motion", view="most-motion"),
        _clips(recipe, schedule, "clip", crops=4),
        _clips(recipe, schedule, "clip-integrated", view="integrated"),
        _frames(recipe, schedule, "retrieval", kind="retrieve"),
        _clips(recipe, schedule, "clip-retrieval", kind="retrieve"),
    ]


def _frames(recipe: Recipe, schedule: Schedule, name: str, **changes: Any) -> Attack:
    values = {"kind": "recognise", "name": name, "network": recipe.privacy, "schedule": schedule}
    return read_attack(values | changes)


def _clips(recipe: Recipe, schedule: Schedule, name: str, **changes: Any) -> Attack:
    return _frames(recipe, schedule, name, **{"temporal": True, "network": recipe.action} | changes)


def _pretrained(recipe: Recipe, name: str) -> NetworkRecipe:
    """Return a network with its weights: the recipe's own, its file, else those of the name."""
    for own in (recipe.action, recipe.privacy):
        if own.name == name and own.weights is not None:
            return own
    return recipe.from_file(NetworkRecipe(name=name, weights="pretrained"))


def _stretched(schedule: Schedule, factor: float) -> Schedule:
    epochs = max(1, round(schedule.epochs * factor))
    return schedule.model_copy(update={"epochs": epochs})


def _rates(schedule: Schedule) -> tuple[float, ...]:
    return (schedule.lr, schedule.lr / 3)
