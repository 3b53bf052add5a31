"""A destination that is opened again after a failure, with exponential back-off."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Condition, Lock, Thread
from types import TracebackType
from typing import Any, Protocol

from motionveil.errors import MotionveilError
from motionveil.video.codecs import Encoding
from motionveil.video.packets import Packet, PacketSink

_FIRST_WAIT, _LONGEST_WAIT = 0.5, 10.0  # seconds
_ROOM = 60  # packets that wait for a realtime destination
_GRACE = 2.0  # seconds that the end waits for a realtime destination


class LostError(Exception):
    """A destination takes no packets.

    Args:
        reason: Why; without a password.
        hopeless: Whether trying again would not help.
    """

    def __init__(self, reason: str, *, hopeless: bool = False) -> None:
        super().__init__(reason)
        self.hopeless = hopeless


@contextmanager
def writing() -> Iterator[None]:
    """Within the block, an `OSError` means that the destination is lost."""
    try:
        yield
    except OSError as error:
        raise LostError(f"cannot write: {error.strerror}") from error


class Connection(Protocol):
    """An open destination."""

    def write(self, packet: Packet) -> None:
        """Append a packet, the first one a key frame; raise `LostError` if that is not possible."""
        ...

    def close(self) -> None:
        """Finish; raise `LostError` if that is not possible. Called once, after an error too."""
        ...


class ReopeningSink(PacketSink):
    """Writes packets, and opens the destination again when it has failed.

    Packets in between are dropped and counted; it begins again with a key frame.

    Args:
        name: As in `PacketSink`, like `encoding`.
        connect: Opens the destination for a stream of FFmpeg; raises `LostError`.
        notice: Called with one line when the destination fails, and when it takes frames again.
    """

    def __init__(
        self,
        name: str,
        encoding: Encoding,
        connect: Callable[[Any], Connection],
        *,
        notice: Callable[[str], None],
    ) -> None:
        super().__init__(name, encoding)
        self._connect, self._notice = connect, notice
        self._connection: Connection | None = None
        self._since = self._again = 0.0  # when it was opened; when to open it again
        self._wait = _FIRST_WAIT
        self._counting = Lock()

    def write(self, packet: Packet) -> None:
        """Append a packet, or count it as dropped.

        Raises:
            MotionveilError: The destination refuses, and will again.
        """
        try:
            if self._connection is None:
                if not packet.key or time.monotonic() < self._again:
                    self._drop(1)
                    return
                self._connection = self._connect(self.stream)
                self._since = time.monotonic()
            self._connection.write(packet)
        except LostError as error:
            self._drop(1)
            self._lose(error)
        else:
            self.frames += 1
            self._recover()

    def __exit__(self, *error: Any) -> None:
        try:
            self._close()
        except LostError as lost:
            self.trouble = str(lost)
            self._notice(f"{self.name}: {lost}")

    def _drop(self, number: int) -> None:
        with self._counting:
            self.dropped += number

    def _lose(self, error: LostError) -> None:
        with suppress(LostError):  # the first error is the one to tell
            self._close()
        reason = str(error)
        if error.hopeless:
            self.trouble = reason
            raise MotionveilError(f"{self.name}: {reason}")
        if self.trouble is None:
            self._notice(f"{self.name}: {reason}; trying again")
        self.trouble = reason
        self._again = time.monotonic() + self._wait
        self._wait = min(2 * self._wait, _LONGEST_WAIT)

    def _recover(self) -> None:
        if self.trouble is not None:
            self._notice(f"{self.name}: takes frames again; {self.dropped} dropped so far")
            self.trouble = None
        if time.monotonic() - self._since > _LONGEST_WAIT:  # one that fails at once is no success
            self._wait = _FIRST_WAIT

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class KillableConnection(Connection, Protocol):
    """A connection whose `write` may hang."""

    def kill(self) -> None:
        """End it now; `write` raises `LostError` then. Any thread may call it."""
        ...


class RealtimeSink(ReopeningSink):
    """A destination that never makes the video wait: it is written in a thread of its own.

    When it takes packets too slowly, all that wait are dropped, and those up to the next key frame.

    Args:
        name, encoding, connect, notice: As in `ReopeningSink`.
    """

    realtime = True

    def __init__(
        self,
        name: str,
        encoding: Encoding,
        connect: Callable[[Any], KillableConnection],
        *,
        notice: Callable[[str], None],
    ) -> None:
        super().__init__(name, encoding, connect, notice=notice)
        self._queue: deque[Packet] = deque()
        self._changed = Condition()
        self._broken = False  # what comes before the next key frame cannot be decoded
        self._ends: float | None = None  # when the end waits no longer
        self._error: MotionveilError | None = None
        # A daemon: a name server that hangs must not keep the program alive.
        self._thread = Thread(target=self._work, name=f"publish to {name}", daemon=True)

    def __enter__(self) -> RealtimeSink:
        self._thread.start()
        return self

    def write(self, packet: Packet) -> None:
        """Take a packet, at once.

        Raises:
            MotionveilError: The destination has refused, and will again.
        """
        with self._changed:
            if self._error is not None:
                raise self._error
            if len(self._queue) >= _ROOM:
                self._drop(len(self._queue))
                self._queue.clear()
                self._broken = True
            if self._broken and not packet.key:
                self._drop(1)
                return
            self._broken = False
            self._queue.append(packet)
            self._changed.notify_all()

    def end(self) -> None:
        """Let the thread finish."""
        with self._changed:
            self._ends = time.monotonic() + _GRACE
            self._changed.notify_all()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._ends is None:
            self.end()
        assert self._ends is not None
        self._thread.join(max(0.0, self._ends - time.monotonic()))
        if self._thread.is_alive():
            with self._changed:
                self._drop(len(self._queue))
                self._queue.clear()
            connection = self._connection
            if connection is not None:
                connection.kill()  # type: ignore[attr-defined]
            self._thread.join(1.0)
        if self._error is not None and error is None:
            raise self._error

    def _work(self) -> None:
        try:
            while (packet := self._next()) is not None:
                super().write(packet)
        except MotionveilError as error:
            with self._changed:
                self._error = error
                self._drop(len(self._queue))
                self._queue.clear()
        super().__exit__(None, None, None)

    def _next(self) -> Packet | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._ends is not None)
            return self._queue.popleft() if self._queue else None
