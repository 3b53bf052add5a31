"""Messages for a receiver that may be slow or dead: in order, from a thread of their own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Condition, Thread
from typing import Generic, TypeVar

Message = TypeVar("Message")

ROOM = 1000
"""Messages that wait at most."""

GRACE = 5.0
"""Seconds that the end of a run waits for what has not been delivered yet."""


class RefusedError(Exception):
    """The receiver has answered that it will not take this message, now or later."""


@dataclass(frozen=True)
class Delivered:
    """What became of the messages.

    Attributes:
        delivered: The receiver has confirmed them. Others may have arrived nevertheless.
        dropped: The oldest that waited, when there was no room for a new one.
        refused: The receiver would not take them.
        left: Not confirmed yet, or when the run ended.
    """

    delivered: int
    dropped: int
    refused: int
    left: int

    @property
    def lost(self) -> int:
        """Messages that were not delivered."""
        return self.dropped + self.refused + self.left

    def __str__(self) -> str:
        reasons = {"dropped": self.dropped, "refused": self.refused, "left": self.left}
        listed = ", ".join(f"{number} {reason}" for reason, number in reasons.items() if number)
        more = f" ({listed})" if listed else ""
        return f"{self.delivered} delivered, {self.lost} not delivered{more}"


class Delivery(Generic[Message]):
    """A bounded queue and the thread that empties it; `put` never waits.

    A message that could not be sent is sent again, with exponential back-off, before the next one.
    When there is no room the oldest message that waits is dropped: the newest says what is so now.

    Args:
        name: The receiver's name in notices, without passwords.
        send: Sends a message within a bounded time; raises `RefusedError`, or anything else for
            what may pass.
        notice: Takes a line when the receiver fails, and when it takes messages again.
        finish: Called in the thread after the last message.
        room: Messages that wait at most.
        first_wait: Seconds before a message is sent again; doubled each time.
    """

    def __init__(
        self,
        name: str,
        send: Callable[[Message], None],
        *,
        notice: Callable[[str], None],
        finish: Callable[[], None] = lambda: None,
        room: int = ROOM,
        first_wait: float = 0.5,
        longest_wait: float = 30.0,
    ) -> None:
        self._name, self._send, self._notice, self._finish = name, send, notice, finish
        self._room, self._first_wait, self._longest_wait = room, first_wait, longest_wait
        self._queue: deque[Message] = deque()
        self._changed = Condition()
        self._closing = self._abandoned = self._failing = False
        self._taken = self._delivered = self._dropped = self._refused = 0
        # A daemon: a name server or a receiver that hangs must not keep the program alive.
        self._thread = Thread(target=self._work, name=f"deliver to {name}", daemon=True)
        self._thread.start()

    def put(self, message: Message) -> None:
        """Take a message, at once."""
        with self._changed:
            self._taken += 1
            if len(self._queue) >= self._room:
                self._queue.popleft()
                self._dropped += 1
            self._queue.append(message)
            self._changed.notify_all()

    def close(self, grace: float = GRACE) -> Delivered:
        """Wait at most so many seconds for what is left, and say what became of all messages."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(grace)
        with self._changed:
            self._abandoned = True
            self._changed.notify_all()
        return self.counts()

    def counts(self) -> Delivered:
        """Return what has become of the messages so far."""
        with self._changed:
            known = self._delivered + self._dropped + self._refused
            return Delivered(self._delivered, self._dropped, self._refused, self._taken - known)

    def _work(self) -> None:
        while self._deliver_next():
            pass
        self._finish()

    def _deliver_next(self) -> bool:
        """Deliver a message; return False when there will be none."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing)
            if self._abandoned or not self._queue:
                return False
            message = self._queue.popleft()
        wait = self._first_wait
        while not self._abandoned:
            try:
                self._send(message)
            except RefusedError as error:
                self._count(refused=1)
                self._report_failure(f"refused: {error}")
                break
            except Exception as error:  # whatever a network library raises
                self._report_failure(f"{_reason(error)}; trying again")
                self._pause(wait)
                wait = min(2 * wait, self._longest_wait)
            else:
                self._count(delivered=1)
                self._report_success()
                break
        return True

    def _pause(self, wait: float) -> None:
        """Wait; the end of the run is a reason to try again at once, and then often."""
        with self._changed:
            if not self._closing:
                self._changed.wait_for(lambda: self._closing, wait)
            else:
                self._changed.wait_for(lambda: self._abandoned, self._first_wait)

    def _count(self, delivered: int = 0, refused: int = 0) -> None:
        with self._changed:
            self._delivered += delivered
            self._refused += refused

    def _report_failure(self, text: str) -> None:
        if not self._failing:
            self._notice(f"{self._name}: {text}")
        self._failing = True

    def _report_success(self) -> None:
        if self._failing:
            self._notice(f"{self._name}: takes messages again")
        self._failing = False


def _reason(error: Exception) -> str:
    """Return what may be shown of an error; the text of unknown ones could quote an address."""
    if isinstance(error, TimeoutError):
        return "does not answer"
    if isinstance(error, OSError):
        return error.strerror or str(error) or type(error).__name__
    return type(error).__name__
