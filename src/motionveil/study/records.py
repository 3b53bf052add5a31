"""What participants did, as the store exports it and the analysis reads it."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from motionveil.results import Stored
from motionveil.study.design import IsoTime


class _Record(Stored):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Answer(_Record):
    """One answer of a participant.

    Attributes:
        question: The question's id.
        chosen: Ids of the people chosen.
        position: Place in the session, from 0; examples and checks have places too.
        order: Ids of the people whose pictures were shown, in the order shown.
        seconds: From shown to answered; None where nobody knows.
        answered: When, as ISO 8601.
    """

    question: str
    chosen: list[str]
    position: int = Field(ge=0)
    order: list[str]
    seconds: float | None = Field(default=None, ge=0)
    answered: IsoTime


class Participant(_Record):
    """Somebody who took part, and all that they answered.

    Attributes:
        id: Public and short, such as `"p-7Q2M"`; tells nothing.
        kind: `"simulated"` is for tests; nobody may mix the two.
        created: When their link was made, as ISO 8601.
        consented: When they agreed to take part; None where they have not.
        finished: When they answered the last question; None where they have not.
        answers: Their answers, in the order of their places.
    """

    id: str
    kind: Literal["real", "simulated"]
    created: IsoTime
    consented: IsoTime | None = None
    finished: IsoTime | None = None
    answers: list[Answer] = Field(default_factory=list)
