"""Windows, labels and events of a stream of known frames."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pytest

from motionveil import MotionveilError, load_recogniser
from motionveil.recognition import Answer, Event, StreamOptions, StreamRecogniser
from motionveil.recognition.stream_recogniser import Window
from motionveil.streaming.guard import Reason
from recognition.conftest import CLASSES, FRAMES, RATE, Make
from recognition.veiled_frames import REST, UNSURE, veiled

PLAIN = {"stride": 0.1, "half_life": 0.0, "shortest": 0.0}


class Stream:
    """A stream of one frame every tenth of a second, and what was reported of it."""

    def __init__(self, make: Make, **options: Any) -> None:
        self.told: list[Answer] = []
        self.events: list[Event] = []
        self.recogniser = StreamRecogniser(
            load_recogniser(make()), StreamOptions(**(PLAIN | options)), told=self.told.append
        )
        self.time = 0.0

    def show(self, shown: Sequence[int], guarded: Reason | None = None) -> Stream:
        for one in shown:
            self.events += self.recogniser(veiled(one), self.time, guarded=guarded)
            self.time += 1 / RATE
        return self

    def finish(self) -> Stream:
        self.events += self.recogniser.finish()
        return self

    @property
    def ended(self) -> list[tuple[str, float, float]]:
        return [
            (e.label, round(e.start, 3), round(e.end, 3)) for e in self.events if e.end is not None
        ]


def test_a_window_is_asked_when_it_is_full_and_then_every_stride(make: Make) -> None:
    every = Stream(make).show([0] * 8)
    assert [round(answer.time, 3) for answer in every.told] == [0.3, 0.4, 0.5, 0.6, 0.7]
    assert [round(answer.start, 3) for answer in every.told] == [0.0, 0.1, 0.2, 0.3, 0.4]
    assert {answer.label for answer in every.told} == {CLASSES[0]}


def test_the_stride_is_of_the_stream_s_own_clock(make: Make) -> None:
    stream = Stream(make, stride=0.25).show([0] * 20)
    # Due at 0.3, 0.55, 0.8, ...: asked with the first frame that is not before.
    assert [round(a.time, 1) for a in stream.told] == [0.3, 0.6, 0.8, 1.1, 1.3, 1.6, 1.8]


def test_events_begin_and_end_at_the_middles_of_windows(make: Make) -> None:
    stream = Stream(make).show([0] * 10 + [2] * 10).finish()
    begun = [event for event in stream.events if event.end is None]
    assert [event.label for event in begun] == [CLASSES[0], CLASSES[2]]
    first, last = stream.ended
    assert first[0] == CLASSES[0]
    assert first[1] == 0.0
    assert last[2] == 1.9
    assert last[1] == first[2]
    assert abs(first[2] - 0.95) <= 0.1  # between the last frame of one and the first of the other


@pytest.mark.parametrize("half_life", [0.0, 0.1, 0.3])
def test_smoothing_does_not_date_events_late(make: Make, half_life: float) -> None:
    """Two classes in turn; the longer half-life has them told later, but not dated later."""
    shown = ([0] * 15 + [2] * 15) * 3
    stream = Stream(make, half_life=half_life).show(shown).finish()
    assert [label for label, _, _ in stream.ended] == [CLASSES[0], CLASSES[2]] * 3
    for number, (_, begun, _) in enumerate(stream.ended[1:], 1):
        assert begun == pytest.approx(1.5 * number - 0.05, abs=0.11)


def test_what_is_too_short_to_be_told_makes_no_event_longer(make: Make) -> None:
    """Between an action and rest a few windows show none of these: the action ends before them."""
    stream = Stream(make, shortest=0.4).show([0] * 12 + [UNSURE] * 2 + [REST] * 12).finish()
    (action, _, end), (rest, begun, _) = stream.ended
    assert (action, rest) == (CLASSES[0], "no motion")
    windows = [a for a in stream.told if a.label == CLASSES[0]]
    assert end == pytest.approx((windows[-1].start + windows[-1].time) / 2 + 0.05)
    assert begun > end + 0.15


def test_no_motion_is_told_by_the_veil_and_not_by_the_network(make: Make) -> None:
    stream = Stream(make).show([1] * 8 + [REST] * 8)
    labels = [answer.kind for answer in stream.told]
    assert labels[0] == "action"
    assert labels[-1] == "no motion"
    assert stream.told[-1].top == ()
    assert stream.told[-1].probability == 1.0


def test_below_the_threshold_it_is_none_of_these(make: Make) -> None:
    stream = Stream(make, top=3).show([UNSURE] * 5)
    answer = stream.told[-1]
    assert answer.kind == answer.label == "none of these"
    assert [p for _, p in answer.top] == pytest.approx([1 / 3] * 3)
    assert answer.probability == pytest.approx(2 / 3)
    assert Stream(make, threshold=0.3).show([UNSURE] * 5).told[-1].kind == "action"


def test_a_label_does_not_flicker(make: Make) -> None:
    """One frame of another class within a long action."""
    mixed = [0] * 12 + [2, 2, 2] + [0] * 12
    plain = Stream(make).show(mixed).finish()
    smooth = Stream(make, half_life=0.3, shortest=0.3).show(mixed).finish()
    assert len(plain.ended) > 1
    assert [label for label, _, _ in smooth.ended] == [CLASSES[0]]


@pytest.mark.parametrize(("first", "end"), [(4, 9), (6, 11)])
def test_two_windows_a_stride_apart_hold_a_stride(make: Make, first: int, end: int) -> None:
    """Asked at 0.3, 0.6, 0.8, 1.1, 1.3: windows are 0.2 or 0.3 s apart, for a stride of 0.25."""
    shown = [2 if first <= number < end else 0 for number in range(20)]
    stream = Stream(make, stride=0.25, shortest=0.25).show(shown)
    labels = [answer.label for answer in stream.told]
    assert labels.count(CLASSES[2]) == 2
    assert CLASSES[2] in [event.label for event in stream.events]


def test_an_action_is_left_later_than_it_is_entered(make: Make) -> None:
    blended = veiled(0).astype(int)
    blended[..., 1] = 220  # the network gives about 0.9 to 0.1 times less
    answers = {}
    for leave in (1.0, 0.5):
        stream = Stream(make, threshold=0.95, leave=leave).show([0] * 4)
        assert stream.told[-1].kind == "action"
        for _ in range(6):
            stream.recogniser(blended.astype(np.uint8), stream.time)
            stream.time += 0.1
        answers[leave] = stream.told[-1].kind
    assert answers == {1.0: "none of these", 0.5: "action"}


@pytest.mark.parametrize("reason", ["first", "size", "fresh", "gap"])
def test_what_was_lost_begins_a_new_window(make: Make, reason: Reason) -> None:
    stream = Stream(make).show([0] * 6)
    before = len(stream.told)
    stream.show([REST], reason)
    assert stream.events[-1].end == pytest.approx(0.5)
    assert stream.recogniser.newest is None
    assert stream.recogniser.breaks == 1
    stream.show([1] * (FRAMES - 1))
    assert len(stream.told) == before
    stream.show([1])
    assert stream.told[-1].label == CLASSES[1]
    assert stream.told[-1].start == pytest.approx(0.7)


@pytest.mark.parametrize("leap", [1.0, -0.5, 0.0])
def test_a_clock_that_leaps_begins_a_new_window(make: Make, leap: float) -> None:
    stream = Stream(make).show([0] * 6)
    stream.time = 0.5 + leap
    stream.show([1] * 3)
    assert stream.recogniser.breaks == 1
    assert stream.told[-1].label == CLASSES[0]
    stream.show([1])
    assert stream.told[-1].label == CLASSES[1]


def test_other_neutral_frames_take_their_place(make: Make) -> None:
    stream = Stream(make).show([0] * 4).show([REST], "cut")
    assert len(stream.told) == 2
    assert stream.recogniser.breaks == 0
    stream.show([REST, REST], "camera")  # three of four frames are guarded
    assert stream.told[-1].kind == "none of these"
    assert stream.told[-1].top == ()


def test_a_stream_shorter_than_a_window_is_answered_once(make: Make) -> None:
    stream = Stream(make, shortest=5.0).show([2] * (FRAMES - 1))
    assert stream.events == []
    stream.finish()
    assert len(stream.told) == 1
    assert [(event.label, event.end) for event in stream.events] == [
        (CLASSES[2], None),
        (CLASSES[2], pytest.approx(0.2)),
    ]
    assert Stream(make).show([2]).finish().told == []


@pytest.mark.parametrize(
    "wrong", [{"stride": 0}, {"half_life": -1}, {"threshold": 2}, {"leave": 1.5}], ids=str
)
def test_options_out_of_range(wrong: dict[str, float]) -> None:
    with pytest.raises(MotionveilError):
        StreamOptions(**wrong)  # type: ignore[arg-type]


def test_the_ring_gives_frames_in_their_order() -> None:
    window = Window(3, 2, 10)
    for number in range(7):
        image = np.full((2, 2, 3), number, np.uint8)
        window.add(image, number / 10, moved=number / 10, guarded=number == 6)
        assert [int(i) for i in window.images()[:, 0, 0, 0]][-1] == number
    assert [int(i) for i in window.images()[:, 0, 0, 0]] == [4, 5, 6]
    assert (window.start, window.end) == (0.4, 0.6)
    assert window.moved == pytest.approx(0.5)
    assert window.guarded == pytest.approx(1 / 3)


def test_memory_does_not_grow(make: Make) -> None:
    stream = StreamRecogniser(load_recogniser(make()), StreamOptions(stride=0.2))
    frame = veiled(0)

    def run(count: int, first: int) -> None:
        for number in range(first, first + count):
            stream(frame, number / RATE)

    tracemalloc.start()
    run(6000, 0)  # Python keeps up to 2000 tuples of a size for later
    before = tracemalloc.get_traced_memory()[0]
    run(6000, 6000)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert stream.frames == 12_000
    assert grown < 20_000


def test_background_is_none_of_these(make: Make) -> None:
    """Even where the threshold would let it pass, and where it is more probable than an action."""
    options = StreamOptions(**PLAIN, threshold=0.01, leave=0.5, top=9)
    stream = Stream(make)
    stream.recogniser = StreamRecogniser(
        load_recogniser(make(background=CLASSES[2])), options, told=stream.told.append
    )
    stream.show([0] * 6 + [2] * 6 + [1] * 6)
    labels = [answer.label for answer in stream.told]
    assert [label for label, _ in groupby(labels)] == [CLASSES[0], "none of these", CLASSES[1]]
    assert {name for answer in stream.told for name, _ in answer.top} == set(CLASSES[:2])
    unknown = next(answer for answer in stream.told if answer.kind == "none of these")
    assert unknown.probability == pytest.approx(1 - unknown.top[0][1])
    with pytest.raises(ValueError, match="background is 'grün'"):
        make("other", background="grün")
