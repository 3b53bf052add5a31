"""What was recognised in the last minute, as the preview's page gets it."""

from __future__ import annotations

import json

from motionveil.recognition import Answer
from motionveil.recognition.reports import Timeline
from recognition.event_examples import begins, ends


def test_nothing_was_told() -> None:
    assert Timeline().snapshot() == {"time": 0.0, "seconds": 60.0, "label": None, "events": []}


def test_what_goes_on_and_what_ended_in_the_last_minute() -> None:
    timeline = Timeline()
    for number in (1, 20, 70):
        timeline.event(begins(number, f"wave {number}"))
        timeline.event(ends(number, f"wave {number}"))
    timeline.event(begins(75, "手を振る"))
    timeline.answer(Answer(77.0, 76.0, "action", "手を振る", 0.7))
    found = timeline.snapshot()
    assert (found["label"], found["kind"], found["probability"]) == ("手を振る", "action", 0.7)
    assert found["time"] == 77.0
    told = [(event["label"], event["from"], event["to"]) for event in found["events"]]
    assert told == [("wave 20", 20.0, 21.0), ("wave 70", 70.0, 71.0), ("手を振る", 75.0, 77.0)]
    assert json.loads(json.dumps(found)) == found
    timeline.answer(Answer(77.25, 76.25, "none of these", "none of these", 0.6))
    assert timeline.snapshot()["probability"] == 0.9, "a label that is left is as it was"
    timeline.event(ends(75, "手を振る"))
    assert timeline.snapshot()["label"] is None
    assert timeline.snapshot()["events"][-1]["to"] == 76.0


def test_memory_is_bounded() -> None:
    timeline = Timeline()
    for number in range(0, 10_000, 2):
        timeline.event(begins(number))
        timeline.event(ends(number))
        timeline.answer(Answer(number + 1.5, number, "action", "wave", 0.9))
    assert len(timeline.snapshot()["events"]) == 30
