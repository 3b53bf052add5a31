"""What is known of a camera: its state, its counts over all starts, its actions."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from motionveil.service.channel import LATENCIES

STEP = 300
"""Seconds of a step."""

STEPS = 86_400 // STEP

State = Literal["starting", "running", "waiting", "restarting", "ended", "stopped"]
"""- `starting`: its process has been started, and no frame has come yet;
- `running`: frames come;
- `waiting`: none has come for some seconds;
- `restarting`: its process has ended, and will be started again;
- `ended`: its source has ended;
- `stopped`: the service has stopped it."""

HEALTHY: frozenset[State] = frozenset({"starting", "running", "ended"})

_SILENCE = 5.0  # seconds without a frame
_LAST = 20  # actions that are listed
COUNTS = ("frames_in", "frames_out", "left_out", "dropped", "damaged")
"""Counts of frames, as `Status.snapshot` calls them."""


@dataclass(frozen=True)
class Action:
    """An action, by the wall clock; `end` is None as long as it goes on."""

    label: str
    probability: float
    begin: float
    end: float | None


class Totals:
    """Counts of a camera over all starts of its process."""

    def __init__(self) -> None:
        # Of all processes before, and of the one that runs; replaced together, for who reads.
        self._parts: tuple[Counter[str], Counter[str]] = (Counter(), Counter())

    def update(self, counts: Mapping[str, float]) -> None:
        """Take the counts of the process that runs."""
        self._parts = (self._parts[0], Counter(counts))

    def restart(self) -> None:
        """Keep what was counted: the next process begins at 0."""
        self._parts = (self(), Counter())

    def __call__(self) -> Counter[str]:
        """Return the sums."""
        before, now = self._parts
        return before + now


class CameraState:
    """One thread writes, any may read.

    Attributes:
        state: See `State`.
        since: When it began, by the wall clock.
        problem: Why the process ended last time; "" if it never did.
        restarts: How often it was started again.
        numbers: The newest counts of the process, as `Status.snapshot` gives them.
        totals: Counts over all starts: frames, `guarded:REASON`, `delivered:KIND`, `lost:KIND`
            (events by kind of receiver), `written:NAME`, `missed:NAME` (frames by destination),
            `latency:BOUND`, `latency_sum`.
        waiting_events: Events that are not delivered yet, by kind of receiver.
        memory: Bytes of the process.
        encoder, source: What they are called.
        current: The action that goes on; None if none does.
        last: Actions that have ended, the newest first.
        timeline: Actions of the last day.
    """

    def __init__(self) -> None:
        self.state: State = "starting"
        self.since = time.time()
        self.problem, self.restarts, self.memory = "", 0, 0
        self.encoder = self.source = ""
        self.numbers: Mapping[str, Any] = {}
        self.totals, self._actions = Totals(), Counter[str]()
        self.waiting_events: dict[str, int] = {}
        self.current: Action | None = None
        self.last: deque[Action] = deque(maxlen=_LAST)
        self.timeline = DayTimeline()
        self._newest_frame = time.monotonic()

    def enter(self, state: State) -> None:
        """Change the state."""
        if state != self.state:
            self.state, self.since = state, time.time()

    def started(self) -> None:
        """Note that a process has been started."""
        self._newest_frame = time.monotonic()
        self.enter("starting")

    def ended(self) -> None:
        """Note that the process has ended; what went on is over."""
        self.totals.restart()
        if self.current is not None:
            self._finish(self.current, time.time())
        self.numbers, self.waiting_events, self.memory = {}, {}, 0

    def status(self, said: Mapping[str, Any]) -> None:
        """Take a status of the process."""
        before = self.numbers.get("frames_out", 0)
        self.numbers = numbers = said.get("counts", {})
        self.memory = said["memory"]
        self.encoder, self.source = said.get("encoder", ""), said.get("source", "")
        receivers = said.get("receivers", {})
        self.waiting_events = {kind: counts["waiting"] for kind, counts in receivers.items()}
        self.totals.update(_flat(said, numbers, receivers))
        if numbers.get("frames_out", 0) > before:
            self._newest_frame = time.monotonic()
            self.enter("running")
        elif self.state == "running" and time.monotonic() - self._newest_frame > _SILENCE:
            self.enter("waiting")

    def event(self, said: Mapping[str, Any]) -> None:
        """Take an event that begins or ends; what is no action ends the one before only."""
        if not said["action"]:
            return
        action = Action(said["label"], said["probability"], said["begin"], said["end"])
        if action.end is None:
            self.current = action
        else:
            self._finish(action, action.end)

    @property
    def actions(self) -> Mapping[str, int]:
        """Actions that have ended since the service started, by label."""
        return self._actions.copy()

    def _finish(self, action: Action, end: float) -> None:
        self.current = None
        self._actions[action.label] += 1
        self.last.appendleft(Action(action.label, action.probability, action.begin, end))
        self.timeline.add(action.label, action.begin, end)


def _flat(
    said: Mapping[str, Any], numbers: Mapping[str, Any], receivers: Mapping[str, Mapping[str, int]]
) -> dict[str, float]:
    flat: dict[str, float] = {name: numbers.get(name, 0) for name in COUNTS}
    flat |= {f"guarded:{reason}": n for reason, n in said.get("guarded", {}).items()}
    bins = zip(LATENCIES, said.get("latency", []), strict=False)
    flat |= {f"latency:{bound}": n for bound, n in bins}
    flat["latency_sum"] = said.get("latency_sum", 0.0)
    for dest in numbers.get("destinations", []):
        flat |= {
            f"written:{dest['name']}": dest["frames"],
            f"missed:{dest['name']}": dest["dropped"],
        }
    for kind, counts in receivers.items():
        flat |= {f"{name}:{kind}": counts[name] for name in ("delivered", "lost")}
    return flat


class DayTimeline:
    """How long each action went on, in each step of the last 24 hours.

    Args:
        clock: The wall clock, in seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._steps: dict[int, Counter[str]] = {}  # by number since 1970; replaced, not changed

    def add(self, label: str, begin: float, end: float) -> None:
        """Add an action that has ended; a part before the last day is left out."""
        oldest, newest = self._limits()
        for number in range(max(int(begin) // STEP, oldest), min(int(end) // STEP, newest) + 1):
            seconds = min(end, (number + 1) * STEP) - max(begin, number * STEP)
            if seconds > 0:
                known = self._steps.get(number, Counter())
                self._steps[number] = known + Counter({label: seconds})
        self._forget(oldest)

    def steps(self) -> list[tuple[int, str, float]]:
        """Return, oldest first: begin of a step (seconds since 1970), action, its seconds in it."""
        oldest, _ = self._limits()
        return [
            (number * STEP, label, round(seconds, 1))
            for number, actions in sorted(self._steps.copy().items())
            if number >= oldest
            for label, seconds in sorted(actions.items())
        ]

    def _limits(self) -> tuple[int, int]:
        newest = int(self._clock()) // STEP
        return newest - STEPS + 1, newest

    def _forget(self, oldest: int) -> None:
        for number in [number for number in self._steps if number < oldest]:
            del self._steps[number]
