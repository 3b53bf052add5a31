"""What an analysis leaves behind: `study-results.json`, from which every figure can be drawn."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from motionveil.files import write_text_atomically
from motionveil.results import Stored, read_stored
from motionveil.statistics import Interval
from motionveil.study.design import Study

RESULTS_FILE = "study-results.json"


class Share(Stored):
    """A share of right answers.

    Attributes:
        value: In [0, 1].
        interval: Its 95 % interval; None where nothing is known of how people or clips differ.
        n: Number of answers.
    """

    value: float
    interval: Interval | None
    n: int


class Score(Stored):
    """One way to be right, in one condition.

    Attributes:
        measure: `"right"` with one person a clip; `"both"` or `"at least one"` with two.
        share: How often answers were right.
        chance: What guessing scores, exactly.
        informed: What one scores who knows which people occur together in the study and guesses
            among those.
        p: How often people dealt at random are named as well; see `resampling.chance_test`.
    """

    measure: str
    share: Share
    chance: float
    informed: float
    p: float


class Times(Stored):
    """Response times in seconds: the quartiles, and the number of answers whose time is known."""

    quarter: float
    median: float
    three_quarters: float
    n: int


class Difference(Stored):
    """A condition held against the control, original video.

    Attributes:
        measure: As in `Score`.
        value: Share in the condition less that in the control.
        interval: Its 95 % interval.
        p: Two-sided; see `resampling.compare`.
    """

    measure: str
    value: float
    interval: Interval | None
    p: float


class Learning(Stored):
    """Whether answers become better over the session.

    Attributes:
        measure: As in `Score`.
        slope: By how much the share of right answers rises in ten questions.
        interval: Its 95 % interval.
        parts: The share in each quarter of the session.
    """

    measure: str
    slope: float
    interval: Interval | None
    parts: list[Share]


class PersonLine(Stored):
    """How well somebody in the pictures is recognised.

    Attributes:
        name: The label's value.
        recognised: Of the answers to clips that show them, the share that has them.
        taken: Of the answers to clips that do not, with their picture among the options, the
            share that has them all the same; None where there are none.
    """

    name: str
    recognised: Share
    taken: Share | None


class GroupLine(Stored):
    """Scores of the answers of one action, or of one participant; a share a measure."""

    name: str
    shares: list[Share]


class ConditionFinding(Stored):
    """What came out in one condition.

    Attributes:
        condition: What was done to the clips.
        participants, questions: How many there were.
        scores: One for each measure.
        chance_person: What guessing scores for one of the people.
        times: Response times; None where none is known.
        control: This condition held against original video; empty for that itself.
        learning: One for each measure that can be computed.
        people, actions, members: The answers by person, by action and by participant.
    """

    condition: str
    participants: int
    questions: int
    scores: list[Score]
    chance_person: float
    times: Times | None
    control: list[Difference]
    learning: list[Learning]
    people: list[PersonLine]
    actions: list[GroupLine]
    members: list[GroupLine]


class Exclusion(Stored):
    """Somebody whose answers do not count, and why."""

    participant: str
    reasons: list[str]


class StudyFindings(Stored):
    """Everything that an analysis leaves behind.

    Attributes:
        motionveil: Version that made it.
        kind: What took part: `"simulated"` is no finding on people.
        study: The design.
        participants: How many began.
        excluded: Whose answers do not count.
        draws: Of the bootstrap and of each test.
        conditions: What came out of the answers that count; empty where none does.
        everybody: The same of all who consented, for comparison.
    """

    motionveil: str
    kind: Literal["real", "simulated"]
    study: Study
    participants: int
    excluded: list[Exclusion]
    draws: int
    conditions: list[ConditionFinding]
    everybody: list[ConditionFinding]

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write `study-results.json` into a folder, whole or not at all, and return its path."""
        text = self.model_dump_json(indent=1) + "\n"
        return write_text_atomically(Path(folder) / RESULTS_FILE, text)

    @classmethod
    def read(cls, file: str | os.PathLike[str]) -> StudyFindings:
        """Read and check a `study-results.json`.

        Raises:
            MotionveilError: The file is missing or is none; names the file and the fault.
        """
        return read_stored(cls, Path(file), "study's results")
