"""How well actions are found in long video: segments told against segments that are true."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

OVERLAPS = (0.1, 0.25, 0.5)
PRECISION_OVERLAP = 0.5
BACKGROUND = ""  # the label of a frame in which there is no action


@dataclass(frozen=True)
class Segment:
    """An action in a source, from `start` to `end` in seconds.

    Attributes:
        source: The source's name.
        start: When it begins.
        end: When it ends.
        label: The action.
        probability: Of one that was told.
        told: Time at which it was first told; None for the truth.
    """

    source: str
    start: float
    end: float
    label: str
    probability: float = 1.0
    told: float | None = None


@dataclass(frozen=True)
class Latency:
    """Seconds until an action was told, over those that were found: median and 95th percentile."""

    median: float
    percentile_95: float


@dataclass(frozen=True)
class Score:
    """How well actions were found. None where there is nothing to measure.

    Attributes:
        f1: Segment F1 by overlap, over all classes together (Lea et al., CVPR 2017).
        f1_by_class: The same of each class.
        confusion: For each true label, how many of its actions were told as what: under the label
            told that they share most time with, or `BACKGROUND` where nothing was told.
        frame_accuracy: Share of frames with the right label or, rightly, none.
        mean_average_precision: At an intersection over union of 0.5, over the classes of the truth.
        latency_from_start: From the true action's start.
        latency_from_end: From its end; negative where it was told while it went on.
        false_alarms_per_hour: Actions told that overlap no true one, by the time without any.
        false_alarms: Their number.
        true_segments: Number of true actions.
        told_segments: Number of actions told.
        seconds: Length of all sources.
        background_seconds: Time without a true action.
        rate: Frames a second of `frame_accuracy`.
    """

    f1: dict[float, float | None]
    f1_by_class: dict[str, dict[float, float | None]]
    confusion: dict[str, dict[str, int]]
    frame_accuracy: float | None
    mean_average_precision: float | None
    latency_from_start: Latency | None
    latency_from_end: Latency | None
    false_alarms_per_hour: float | None
    false_alarms: int
    true_segments: int
    told_segments: int
    seconds: float
    background_seconds: float
    rate: float


def score(
    told: Sequence[Segment],
    truth: Sequence[Segment],
    seconds: dict[str, float],
    *,
    rate: float = 10.0,
) -> Score:
    """Compare actions that were told with the true ones.

    Args:
        seconds: Length of each source; those of both lists must be there.
        rate: Frames a second at which labels are compared.
    """
    labels = sorted({segment.label for segment in (*told, *truth)})
    background = sum(_background(truth, source, length) for source, length in seconds.items())
    alarms = sum(not any(_meets(segment, true) for true in truth) for segment in told)
    return Score(
        f1={overlap: segment_f1(told, truth, overlap) for overlap in OVERLAPS},
        f1_by_class={
            label: {
                overlap: segment_f1(_of(told, label), _of(truth, label), overlap)
                for overlap in OVERLAPS
            }
            for label in labels
        },
        confusion=confusion(told, truth),
        frame_accuracy=frame_accuracy(told, truth, seconds, rate),
        mean_average_precision=mean_average_precision(told, truth),
        latency_from_start=_latency(told, truth, from_end=False),
        latency_from_end=_latency(told, truth, from_end=True),
        false_alarms_per_hour=alarms / background * 3600 if background > 0 else None,
        false_alarms=alarms,
        true_segments=len(truth),
        told_segments=len(told),
        seconds=sum(seconds.values()),
        background_seconds=background,
        rate=rate,
    )


def confusion(told: Sequence[Segment], truth: Sequence[Segment]) -> dict[str, dict[str, int]]:
    """Return the number of true actions by label and by what was told; see `Score.confusion`."""
    rows: dict[str, dict[str, int]] = {label: {} for label in sorted({one.label for one in truth})}
    for true in truth:
        met = [segment for segment in told if _meets(segment, true)]
        best = max(met, key=lambda segment: _shared(segment, true), default=None)
        row, label = rows[true.label], BACKGROUND if best is None else best.label
        row[label] = row.get(label, 0) + 1
    return rows


def intersection_over_union(one: Segment, other: Segment) -> float:
    """Return the overlap of two segments, 0 to 1; 0 for those of two sources."""
    if one.source != other.source:
        return 0.0
    shared = _shared(one, other)
    whole = max(one.end, other.end) - min(one.start, other.start)
    return max(0.0, shared) / whole if whole > 0 else 0.0


def match(told: Sequence[Segment], truth: Sequence[Segment], overlap: float) -> dict[int, int]:
    """Return which true segment each segment told has found: index of the told to that of the true.

    In the order of their starts, each goes to the true segment of its class that it overlaps most,
    and has found it if the intersection over union is at least `overlap` and no other has found it
    before (Lea et al., "Temporal Convolutional Networks for Action Segmentation and Detection",
    CVPR 2017).
    """
    found: dict[int, int] = {}
    for place in sorted(range(len(told)), key=lambda one: (told[one].source, told[one].start)):
        overlaps = [
            intersection_over_union(told[place], true) if true.label == told[place].label else 0.0
            for true in truth
        ]
        best = int(np.argmax(overlaps)) if overlaps else -1
        if best >= 0 and overlaps[best] >= overlap and best not in found.values():
            found[place] = best
    return found


def segment_f1(told: Sequence[Segment], truth: Sequence[Segment], overlap: float) -> float | None:
    """Return the F1 of segments, see `match`; None if there are none at all."""
    if not told and not truth:
        return None
    return 2 * len(match(told, truth, overlap)) / (len(told) + len(truth))


def frame_accuracy(
    told: Sequence[Segment], truth: Sequence[Segment], seconds: dict[str, float], rate: float
) -> float | None:
    """Return the share of frames with the same label in both; None if there is no frame.

    Where true segments overlap, that which began last counts.
    """
    right = frames = 0
    for source, length in seconds.items():
        times = (np.arange(int(length * rate + 1e-9)) + 0.5) / rate
        same = _labels(told, source, times) == _labels(truth, source, times)
        right, frames = right + int(same.sum()), frames + len(times)
    return right / frames if frames else None


def mean_average_precision(
    told: Sequence[Segment], truth: Sequence[Segment], overlap: float = PRECISION_OVERLAP
) -> float | None:
    """Return the mean over the truth's classes of `average_precision`; None without truth."""
    labels = sorted({true.label for true in truth})
    values = [average_precision(_of(told, name), _of(truth, name), overlap) for name in labels]
    return float(np.mean(values)) if values else None


def average_precision(
    told: Sequence[Segment], truth: Sequence[Segment], overlap: float = PRECISION_OVERLAP
) -> float:
    """Return the area under the interpolated precision of one class.

    By falling probability, each segment told finds the true one, of those not found yet, that it
    overlaps most, as the ActivityNet challenge counts.
    """
    ranked = sorted(told, key=lambda one: -one.probability)
    left, hits = list(truth), np.zeros(len(ranked))
    for place, segment in enumerate(ranked):
        best = max(left, key=lambda true: intersection_over_union(segment, true), default=None)
        if best is not None and intersection_over_union(segment, best) >= overlap:
            left.remove(best)
            hits[place] = 1
    precision = np.cumsum(hits) / np.arange(1, len(ranked) + 1)
    interpolated = np.maximum.accumulate(precision[::-1])[::-1]
    return float((interpolated * hits).sum() / len(truth))


def _latency(
    told: Sequence[Segment], truth: Sequence[Segment], *, from_end: bool
) -> Latency | None:
    """Return the latency over the actions found at the smallest overlap."""
    values = []
    for place, true in match(told, truth, OVERLAPS[0]).items():
        time = told[place].told
        if time is not None:
            values.append(time - (truth[true].end if from_end else truth[true].start))
    if not values:
        return None
    return Latency(float(np.median(values)), float(np.percentile(values, 95)))


def _of(segments: Iterable[Segment], label: str) -> list[Segment]:
    return [segment for segment in segments if segment.label == label]


def _shared(one: Segment, other: Segment) -> float:
    """Return the time that two segments of a source share; negative where they are apart."""
    return min(one.end, other.end) - max(one.start, other.start)


def _meets(one: Segment, other: Segment) -> bool:
    return one.source == other.source and one.start < other.end and other.start < one.end


def _labels(
    segments: Iterable[Segment], source: str, times: NDArray[np.floating[Any]]
) -> NDArray[np.object_]:
    """Return the label at each time, (times,)."""
    labels = np.full(len(times), BACKGROUND, dtype=object)
    for segment in sorted(segments, key=lambda one: one.start):
        if segment.source == source:
            labels[(times >= segment.start) & (times < segment.end)] = segment.label
    return labels


def _background(truth: Iterable[Segment], source: str, length: float) -> float:
    """Return the time of a source without a true action, in seconds."""
    free, reached = 0.0, 0.0
    for true in sorted(truth, key=lambda one: one.start):
        if true.source == source:
            free += max(0.0, true.start - reached)
            reached = max(reached, true.end)
    return free + max(0.0, length - reached)
