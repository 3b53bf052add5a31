"""Which attacks are carried out: suites, as lists of attacks.

Every suite attacks with the recipe's own networks, so that what runs on two cores and what runs on
a GPU differ by the recipe only.
"""

from __future__ import annotations

from collections.abc import Callable

from motionveil.audit.attack import Attack
from motionveil.audit.compression import QUALITIES
from motionveil.audit.crossing import confounds
from motionveil.data.manifest import Manifest
from motionveil.training.recipe import NetworkRecipe, Recipe, Schedule

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
"""Ten families of networks for pictures and a vision transformer (paper, figure 5)."""

ACTION_NETWORKS = (
    "resnet50_3d",
    "resnext101_3d",
    "shufflenet_v2_3d",
    "mobilenet_v2_3d",
    "squeezenet_3d",
    "r2plus1d_18",
    "s3d",
)
"""Families of networks for clips (paper, figure 6, and two more)."""

_USUAL_QUALITY = QUALITIES[1]


def quick(recipe: Recipe) -> list[Attack]:
    """Return a small version of each kind of attack, for minutes on two cores."""
    schedule = _stretched(recipe.validation, 0.5)
    return [
        *_kinds(recipe, schedule),
        _frames(recipe, _stretched(schedule, 0.5), "reconstruction", kind="reconstruct"),
        _frames(recipe, schedule, f"h264-{_USUAL_QUALITY}", quality=_USUAL_QUALITY),
        _frames(recipe, schedule, "persistent", rates=_rates(schedule), restarts=2, crops=4),
        _clips(recipe, schedule, "action", target="action"),
    ]


def full(recipe: Recipe) -> list[Attack]:
    """Return every attack at the recipe's own length, each network of the paper's figures too."""
    schedule = recipe.validation
    longer = _stretched(schedule, 2)
    return [
        *_kinds(recipe, schedule),
        *(_frames(recipe, schedule, f"h264-{quality}", quality=quality) for quality in QUALITIES),
        _frames(recipe, longer, "persistent", rates=_rates(schedule), restarts=3, crops=8),
        _clips(recipe, longer, "persistent-clip", rates=_rates(schedule), restarts=2, crops=8),
        _clips(recipe, schedule, "action", target="action"),
        *paper(recipe),
    ]


def paper(recipe: Recipe) -> list[Attack]:
    """Return the paper's attacks: networks of figures 5 and 6, pretrained, and reconstruction.

    The networks of figure 5 from scratch too. The paper's U-Net learns for 200 epochs where its
    networks learn for 50.
    """
    schedule = recipe.validation
    adversaries = [
        Attack(name=f"{name}{ending}", network=network, schedule=schedule)
        for name in ADVERSARIES
        for network, ending in (
            (_pretrained(name), ""),
            (NetworkRecipe(name=name), "-scratch"),
        )
    ]
    watchers = [
        Attack(
            name=name,
            target="action",
            temporal=True,
            network=_pretrained(name),
            schedule=schedule,
        )
        for name in ACTION_NETWORKS
    ]
    rebuilding = _frames(recipe, _stretched(schedule, 4), "reconstruction", kind="reconstruct")
    return [*adversaries, *watchers, rebuilding]


def beside(recipe: Recipe, manifest: Manifest, split: str, label: str) -> list[Attack]:
    """Return the attacks that other columns of a data set call for.

    One by frame and one by clip on every other label; and where a column tells the label, and the
    same people were filmed under several of its values, both across it, with their controls.
    """
    schedule = _stretched(recipe.validation, 0.5)
    attacks: list[Attack] = []
    for other in manifest.privacy_labels:
        if other != label:
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


def faces(recipe: Recipe, detector: str, describer: str = "") -> Attack:
    """Return the search for faces, by files of the user's own."""
    network = NetworkRecipe(name="yunet", weights=detector)
    schedule = recipe.validation
    return Attack(
        name="faces", kind="faces", network=network, describer=describer, schedule=schedule
    )


SUITES: dict[str, Callable[[Recipe], list[Attack]]] = {"quick": quick, "paper": paper, "full": full}
"""By the names that `--suite` takes."""


def _kinds(recipe: Recipe, schedule: Schedule) -> list[Attack]:
    """Return one attack of each kind."""
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


def _frames(recipe: Recipe, schedule: Schedule, name: str, **changes: object) -> Attack:
    values = {"name": name, "network": recipe.privacy, "schedule": schedule}
    return Attack.model_validate(values | changes)


def _clips(recipe: Recipe, schedule: Schedule, name: str, **changes: object) -> Attack:
    values = {"name": name, "temporal": True, "network": recipe.action, "schedule": schedule}
    return Attack.model_validate(values | changes)


def _pretrained(name: str) -> NetworkRecipe:
    return NetworkRecipe(name=name, weights="pretrained")


def _stretched(schedule: Schedule, factor: float) -> Schedule:
    epochs = max(1, round(schedule.epochs * factor))
    return schedule.model_copy(update={"epochs": epochs})


def _rates(schedule: Schedule) -> tuple[float, ...]:
    return (schedule.lr, schedule.lr / 3)
