"""The results of a study as data: `study-results.json`, from which all figures can be drawn."""

from __future__ import annotations

import os
from pathlib import Path

from motionveil.atomic_write import write_text_atomically
from motionveil.results import Stored, read_stored
from motionveil.statistics import Interval
from motionveil.study.design import ParticipantKind, Study

RESULTS_FILE = "study-results.json"


class Share(Stored):
    """Share of correct answers in [0, 1], its 95 % interval if known, and number of answers."""

    value: float
    interval: Interval | None
    n: int


class AccuracyMeasure(Stored):
    """Accuracy by one measure, in one condition.

    Attributes:
        measure: `"right"` with one person per clip; `"both"` or `"at least one"` with two.
        share: Accuracy.
        chance: Exact chance level.
        informed: Chance level given knowledge of which people occur together in the study.
        p: Permutation test against chance, one-sided; see `chance_test`.
    """

    measure: str
    share: Share
    chance: float
    informed: float
    p: float


class Times(Stored):
    """Quartiles of the response times in seconds, and number of answers with a known time."""

    quarter: float
    median: float
    three_quarters: float
    n: int


class Difference(Stored):
    """Accuracy minus that in original video, in [-1, 1], with 95 % interval and two-sided p."""

    measure: str
    value: float
    interval: Interval | None
    p: float


class Learning(Stored):
    """Increase of accuracy per ten questions, with 95 % interval, and accuracy by quarter."""

    measure: str
    slope: float
    interval: Interval | None
    parts: list[Share]


class PersonLine(Stored):
    """How often a person is selected.

    Attributes:
        name: The label's value.
        recognised: Hit rate: share of answers to clips of the person that select them.
        taken: False-alarm rate: share of answers to clips of others, with the person among the
            options, that select them; None if there are none.
    """

    name: str
    recognised: Share
    taken: Share | None


class GroupLine(Stored):
    """Accuracy for one action or one participant, by each measure."""

    name: str
    shares: list[Share]


class ConditionFinding(Stored):
    """The results of one condition.

    Attributes:
        condition: How the clips were processed.
        participants, questions: Their numbers.
        scores: Accuracy by each measure.
        chance_person: Chance level of selecting one particular person.
        times: Response times; None if unknown.
        control: Difference from original video by each measure; empty for original video.
        learning: Change over the session by each measure, if computable.
        people, actions, members: Results by person, by action and by participant.
    """

    condition: str
    participants: int
    questions: int
    scores: list[AccuracyMeasure]
    chance_person: float
    times: Times | None
    control: list[Difference]
    learning: list[Learning]
    people: list[PersonLine]
    actions: list[GroupLine]
    members: list[GroupLine]


class Exclusion(Stored):
    """An excluded participant, and the criteria met."""

    participant: str
    reasons: list[str]


class StudyFindings(Stored):
    """The results of a study.

    Attributes:
        motionveil: Version that computed them.
        kind: `"simulated"` results are not about people.
        study: The design.
        participants: Number enrolled.
        excluded: Excluded participants.
        draws: Number of bootstrap samples, and of permutations of each test.
        conditions: Results without excluded participants; empty if all are.
        everybody: Results of everyone who consented.
    """

    motionveil: str
    kind: ParticipantKind
    study: Study
    participants: int
    excluded: list[Exclusion]
    draws: int
    conditions: list[ConditionFinding]
    everybody: list[ConditionFinding]

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write `study-results.json` into a folder, atomically, and return its path."""
        text = self.model_dump_json(indent=1) + "\n"
        return write_text_atomically(Path(folder) / RESULTS_FILE, text)

    @classmethod
    def read(cls, file: str | os.PathLike[str]) -> StudyFindings:
        """Read and validate a `study-results.json`.

        Raises:
            MotionveilError: The file is missing or invalid.
        """
        return read_stored(cls, Path(file), "study's results")
