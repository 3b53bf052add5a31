"""How well recognisers find actions in long video of people whom training has never seen.

The video is drawn as it goes, by `motionveil.actors.footage`, from people of other seeds than those
of any training data:

- `acting`: sessions of about a minute. A person comes in, does every action once in random order,
  with pauses of 1 to 4 s between, and leaves.
- `wandering`: a person who only walks about in all directions, stops and stands. Whatever is named
  other than walking forward is a false alarm.
- `empty`: an empty room under the camera's noise. Whatever is named is a false alarm.

All recognisers see the same frames. Intervals are of 95 %: of the sessions by bootstrap, of the
false alarms per hour as counts of a Poisson process.

    python benchmarks/detector.py raw=runs/raw bdq=runs/bdq flow=runs/flow --json FILE

Needs `pip install '.[recognise]'`. Seed 1 was used for tuning, the published figures are of seed 2.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from measuring import write_figures
from motionveil.actors.footage import (
    BACKGROUND,
    Instant,
    Script,
    acting,
    film_footage,
    nobody,
    stretches,
    wandering,
)
from motionveil.actors.people import make_people
from motionveil.actors.render import FRAME_RATE, Session
from motionveil.recognition import Event, Recogniser, StreamRecogniser, load_recogniser
from motionveil.recognition.score import (
    OVERLAPS,
    Segment,
    confusion,
    frame_accuracy,
    match,
    mean_average_precision,
)
from motionveil.statistics import interval_of
from motionveil.streaming import Guard, StreamEncoder, prepare

PEOPLE, FIRST_SEED = 20, 1000  # seeds from here on are no training data's
SIZE = 96  # pixels of a side, as in the built-in data
PART = 10  # minutes of one person who walks about, or of one room
SCENES: tuple[tuple[str, Script], ...] = (
    ("acting", acting),
    ("wandering", wandering),
    ("empty", nobody),
)
DRAWS = 300
RATE = 10.0  # instants a second of the frame-wise accuracy

Range = tuple[float, float]


@dataclass
class Found:
    """What one recogniser reported of one scene, with the truth."""

    told: list[Segment]
    truth: list[Segment]
    seconds: float


class Listener:
    """A recogniser with its encoder at the end of a camera; it collects the actions told."""

    def __init__(self, recogniser: Recogniser) -> None:
        self._encoder = StreamEncoder(recogniser.spec.stream_spec(), guard=Guard())
        self._stream = StreamRecogniser(recogniser)
        self._begun = 0.0
        self.told: list[Segment] = []

    def see(self, image: NDArray[np.uint8], time: float) -> None:
        """Take a frame, uint8 (H, W, 3), of a time in seconds."""
        veiled = self._encoder(image, time=time)
        if veiled is not None:
            self._take(self._stream(veiled, time, guarded=self._encoder.guarded))

    def finish(self) -> list[Segment]:
        """End the video, and return what was reported."""
        self._take(self._stream.finish())
        return self.told

    def _take(self, events: list[Event]) -> None:
        for event in events:
            if event.kind != "action":
                continue
            if event.end is None:
                self._begun = event.time
                continue
            self.told.append(
                Segment("", event.start, event.end, event.label, event.probability, self._begun)
            )


@dataclass
class Sums:
    """What can be added up over sessions."""

    hits: dict[float, int]
    segments: int
    frames: float
    right: float
    latencies: list[float] = field(default_factory=list)


def scene(kind: int, number: int, seed: int, minutes: float) -> Iterator[Instant]:
    """Draw one scene of a kind."""
    rng = np.random.default_rng([FIRST_SEED + seed, kind, number])
    person = make_people(PEOPLE, FIRST_SEED + seed)[number % PEOPLE]
    filmed = film_footage(person, SCENES[kind][1], Session.draw(SIZE, SIZE, rng), rng)
    return filmed if kind == 0 else islice(filmed, round(minutes * 60 * FRAME_RATE))


def play(footage: Iterator[Instant], recognisers: dict[str, Recogniser]) -> dict[str, Found]:
    """Show one scene to every recogniser."""
    listeners = {name: Listener(recogniser) for name, recogniser in recognisers.items()}
    labels = []
    for number, instant in enumerate(footage):
        labels.append(instant.label)
        for listener in listeners.values():
            listener.see(instant.image, number / FRAME_RATE)
    truth = [
        Segment("", start / FRAME_RATE, end / FRAME_RATE, label)
        for label, start, end in stretches(labels)
        if label != BACKGROUND
    ]
    seconds = len(labels) / FRAME_RATE
    return {name: Found(one.finish(), truth, seconds) for name, one in listeners.items()}


def sums_of(found: Found) -> Sums:
    """Score one session."""
    matched = match(found.told, found.truth, OVERLAPS[0])
    right = frame_accuracy(found.told, found.truth, {"": found.seconds}, RATE) or 0.0
    return Sums(
        hits={overlap: len(match(found.told, found.truth, overlap)) for overlap in OVERLAPS},
        segments=len(found.told) + len(found.truth),
        frames=found.seconds,
        right=right * found.seconds,
        latencies=[
            (found.told[told].told or 0.0) - found.truth[true].end for told, true in matched.items()
        ],
    )


def f1(sessions: list[Sums], overlap: float) -> float:
    return 2 * sum(one.hits[overlap] for one in sessions) / sum(one.segments for one in sessions)


def accuracy(sessions: list[Sums]) -> float:
    return sum(one.right for one in sessions) / sum(one.frames for one in sessions)


def latency(sessions: list[Sums], percentile: float) -> float:
    return float(np.percentile([late for one in sessions for late in one.latencies], percentile))


def precision(sessions: list[Found]) -> float:
    return mean_average_precision(*apart(sessions)) or 0.0


def apart(sessions: list[Found]) -> tuple[list[Segment], list[Segment]]:
    """Return what was told and what is true, each session a source of its own."""
    told, truth = [], []
    for number, one in enumerate(sessions):
        told += [replace(segment, source=str(number)) for segment in one.told]
        truth += [replace(segment, source=str(number)) for segment in one.truth]
    return told, truth


def with_interval(sessions: list[Any], measure: Callable[[list[Any]], float]) -> dict[str, Any]:
    """Return a measure of all sessions, and its interval over draws of sessions."""
    rng = np.random.default_rng(0)
    draws = [
        measure([sessions[place] for place in rng.integers(0, len(sessions), len(sessions))])
        for _ in range(DRAWS)
    ]
    return {"value": measure(sessions), "interval": interval_of(np.array(draws))}


def score_acting(sessions: list[Found]) -> dict[str, Any]:
    """Score the sessions in which people act."""
    sums = [sums_of(found) for found in sessions]
    return {
        "sessions": len(sessions),
        "seconds": sum(found.seconds for found in sessions),
        "true_actions": sum(len(found.truth) for found in sessions),
        "told_actions": sum(len(found.told) for found in sessions),
        "f1": {
            str(overlap): with_interval(sums, lambda some, o=overlap: f1(some, o))
            for overlap in OVERLAPS
        },
        "frame_accuracy": with_interval(sums, accuracy),
        "mean_average_precision": with_interval(sessions, precision),
        "latency_from_end_median": with_interval(sums, lambda some: latency(some, 50)),
        "latency_from_end_95": with_interval(sums, lambda some: latency(some, 95)),
        "confusion": confusion(*apart(sessions)),
    }


def score_alarms(parts: list[Found], *, allowed: str | None = None) -> dict[str, Any]:
    """Count what was named in video in which nothing is to be named but what is allowed."""
    labels = [told.label for found in parts for told in found.told if told.label != allowed]
    hours = sum(found.seconds for found in parts) / 3600
    low, high = poisson_interval(len(labels))
    return {
        "hours": hours,
        "false_alarms": len(labels),
        "per_hour": len(labels) / hours,
        "interval": (low / hours, high / hours),
        "labels": dict(Counter(labels)),
    }


def poisson_interval(count: int) -> Range:
    """Return the exact 95 % interval of the mean of a Poisson process that gave a count."""

    def at_most(number: int, mean: float) -> float:
        return sum(
            math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(number + 1)
        )

    def solve(number: int, share: float) -> float:
        low, high = 1e-9, 10.0 + 3 * number
        for _ in range(60):
            mean = (low + high) / 2
            low, high = (mean, high) if at_most(number, mean) > share else (low, mean)
        return low

    return (solve(count - 1, 0.975) if count else 0.0), solve(count, 0.025)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", metavar="NAME=RUN", nargs="+", help="a recogniser and its name")
    parser.add_argument("--seed", type=int, default=2, help="of people and scenes (default: 2)")
    parser.add_argument("--sessions", type=int, default=30, help="of people who act (default: 30)")
    parser.add_argument(
        "--minutes", type=int, default=60, help="walking about, and of empty rooms (default: 60)"
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures")
    arguments = parser.parse_args()
    models = dict(model.split("=", 1) for model in arguments.models)
    recognisers = {name: load_recogniser(run) for name, run in models.items()}
    prepare()
    parts = math.ceil(arguments.minutes / PART)
    found: dict[str, dict[str, list[Found]]] = {name: {} for name in models}
    for kind, (what, _) in enumerate(SCENES):
        for number in range(arguments.sessions if kind == 0 else parts):
            footage = scene(kind, number, arguments.seed, arguments.minutes / parts)
            for name, one in play(footage, recognisers).items():
                found[name].setdefault(what, []).append(one)
            print(f"{what} {number + 1}", end="\r", flush=True)
    figures: dict[str, Any] = {"seed": arguments.seed, "models": {}}
    for name, scenes in found.items():
        spec = recognisers[name].spec
        figures["models"][name] = {
            "encoder": spec.encoder.name,
            "background": spec.background,
            "window_seconds": spec.seconds,
            "provenance": spec.provenance,
            "acting": score_acting(scenes["acting"]),
            "wandering": score_alarms(scenes["wandering"], allowed="walk-forward"),
            "empty": score_alarms(scenes["empty"]),
        }
    print(table(figures["models"]))
    if arguments.json:
        write_figures(arguments.json, figures)


def table(models: dict[str, Any]) -> str:
    """Return the figures of all recognisers as a table in Markdown."""
    rows: dict[str, list[str]] = {"": list(models), "---": ["---"] * len(models)}
    for figures in models.values():
        told = figures["acting"]
        cells = {f"F1@{overlap}": entry(told["f1"][str(overlap)]) for overlap in OVERLAPS}
        cells["frame-wise accuracy"] = entry(told["frame_accuracy"])
        cells["mean average precision"] = entry(told["mean_average_precision"])
        for percent, title in ((50, "median"), (95, "95 %")):
            key = "latency_from_end_median" if percent == 50 else "latency_from_end_95"
            cells[f"latency from the end, {title}, s"] = entry(told[key])
        for what in ("wandering", "empty"):
            cells[f"false alarms per hour, {what}"] = entry(figures[what], "per_hour", digits=1)
        for title, cell in cells.items():
            rows.setdefault(title, []).append(cell)
    return "\n".join(f"| {' | '.join([title, *cells])} |" for title, cells in rows.items())


def entry(figures: dict[str, Any], key: str = "value", *, digits: int = 2) -> str:
    low, high = figures["interval"]
    return f"{figures[key]:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


if __name__ == "__main__":
    main()
