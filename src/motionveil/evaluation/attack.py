"""What an attack is, and the registry of its kinds.

A kind of attack is a file of `motionveil.evaluation.attacks`, an entry point of the group
`motionveil.attacks`, or a class that a suite names as `module:Class` or `file.py:Class`:

    class Brightness(Attack):
        description: ClassVar[str] = "The mean brightness of a clip is compared with each person's."
        kind: str = "brightness"

        def run(self, data: AttackData) -> Finding:
            ...
            return self.finding(data, columns=[Column.share("Accuracy, %", 0.3)], seconds=1.0)
"""

from __future__ import annotations

import inspect
from functools import cache
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SerializeAsAny, ValidationError

from motionveil.audit_results import Finding
from motionveil.errors import MotionveilError, describe_faults, no_such
from motionveil.evaluation.data import AttackData, Video
from motionveil.plugins import classes_in, import_object, load_entry_points
from motionveil.statistics import Integers
from motionveil.training.adversary_inputs import VIEWS, InputFormat
from motionveil.training.recipe import AttackerTraining, NetworkRecipe, Schedule

GROUP = "motionveil.attacks"


class Attack(BaseModel):
    """Settings of an attack, and how it is carried out. Base of all kinds.

    Attributes:
        name: Its name in reports and folders.
        kind: The kind's name, or the class as a suite names it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: ClassVar[str]
    """What attacks of this kind do; one sentence."""

    needs_people: ClassVar[bool] = False
    """Whether it needs four people who are in both parts of the split."""

    takes_attributes: ClassVar[bool] = False
    """Whether the label may be several attributes."""

    name: str = Field(pattern=r"^[^./\\][^/\\]*$")
    kind: str

    @property
    def videos(self) -> tuple[Video, ...]:
        """What it is carried out on."""
        return ("veiled", "raw")

    def run(self, data: AttackData) -> Finding:
        """Carry out the attack.

        Raises:
            MotionveilError: It cannot be carried out on these data.
        """
        raise NotImplementedError

    def finding(self, data: AttackData, **values: Any) -> Finding:
        """Return what was found as a generic finding; `values` are fields of `Finding`."""
        return Finding(**(self.origin(data) | values))

    def origin(self, data: AttackData) -> dict[str, Any]:
        """Return the fields of a finding that say where it comes from."""
        return {
            "kind": self.kind,
            "name": self.name,
            "label": data.label,
            "video": data.video,
            "attack": self.model_dump(mode="json"),
            "description": self.description,
        }


class LearningAttack(Attack):
    """An attack by a network that learns from veiled clips.

    Attributes:
        network: The network.
        schedule: How it is trained.
        view: What it makes of a clip before the network sees it, one of `VIEWS`.
        temporal: Whether the network sees the whole clip (an action network of the registry) or
            frame by frame (a privacy network).
        until: Ends the training by what was learned, and chooses the learning rate, see
            `motionveil.evaluation.fit`; None for the schedule's epochs and rate.
    """

    network: NetworkRecipe
    schedule: Schedule
    view: str = "plain"
    temporal: bool = False
    until: AttackerTraining | None = None

    @property
    def input_format(self) -> InputFormat:
        """What the network is shown.

        Raises:
            MotionveilError: There is no such view.
        """
        if self.view not in VIEWS:
            raise MotionveilError(f"{self.name}: {no_such('view', self.view, VIEWS)}")
        return InputFormat(self.view, self.temporal)


@cache
def attack_kinds() -> dict[str, type[Attack]]:
    """Return the kinds of attacks by their names.

    Raises:
        MotionveilError: A plugin cannot be imported.
    """
    found = classes_in("motionveil.evaluation.attacks", Attack)
    own = {cls.model_fields["kind"].default: cls for cls in found}
    return own | load_entry_points(GROUP)


def attack_class(kind: Any) -> type[Attack]:
    """Return the class of a kind: one of `attack_kinds()`, or `module:Class`, `file.py:Class`.

    Raises:
        MotionveilError: There is no such kind.
    """
    if not isinstance(kind, str):
        raise MotionveilError(
            f"kind {kind!r}: expected a name, such as {next(iter(attack_kinds()))}"
        )
    cls = import_object(kind) if ":" in kind else attack_kinds().get(kind)
    if cls is None:
        raise MotionveilError(no_such("kind of attack", kind, attack_kinds()))
    if not (inspect.isclass(cls) and issubclass(cls, Attack)):
        raise MotionveilError(f"{kind}: is no motionveil.evaluation.attack.Attack")
    return cls


def read_attack(values: Any) -> Attack:
    """Return an attack from its settings; `kind` names its class.

    Raises:
        MotionveilError: There is no such kind, or a setting is wrong.
    """
    if isinstance(values, Attack):
        return values
    cls = attack_class(values.get("kind"))
    try:
        return cls.model_validate(values)
    except ValidationError as error:
        raise MotionveilError(
            f"attack {values.get('name')!r}: {describe_faults(error.errors())}"
        ) from error


AnyAttack = Annotated[SerializeAsAny[Attack], BeforeValidator(read_attack)]


def true_classes(data: AttackData, target: str = "privacy") -> Integers:
    """Return the true classes of the clips held out."""
    held_out = data.clips(training=False, drawn=False)
    return np.asarray(held_out.actions if target == "action" else held_out.privacy)
