"""A bounded queue between two threads that can end, fail, or make room for the newest."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from threading import Condition, Event
from typing import Generic, TypeVar

T = TypeVar("T")

_LOOK_AT_STOP = 0.2  # seconds


class ClosedError(Exception):
    """Nobody takes what would be put; the one who puts can stop."""


class Lane(Generic[T]):
    """A first-in, first-out queue for one thread that puts and one that takes.

    Args:
        size: Items it holds.
        stop: When set, the lane ends as soon as it is empty, whether or not the one who puts has
            noticed: it may hang in a read from a dead network.
    """

    def __init__(self, size: int, *, stop: Event | None = None) -> None:
        self._items: deque[T] = deque()
        self._size = size
        self._stop = stop or Event()
        self._changed = Condition()
        self._ended = False
        self._closed = False
        self._error: BaseException | None = None
        self.merged = 0

    def put(self, item: T, *, merge: Callable[[T, T], T] | None = None) -> None:
        """Append an item.

        Args:
            item: What to append.
            merge: What to put in the place of the oldest two items when the lane is full; None to
                wait for room instead. A live source must not wait.

        Raises:
            ClosedError: Whoever took has closed the lane.
        """
        with self._changed:
            if merge is not None and len(self._items) >= self._size:
                oldest = self._items.popleft()
                if self._items:
                    self._items[0] = merge(oldest, self._items[0])
                else:
                    item = merge(oldest, item)
                self.merged += 1
            while len(self._items) >= self._size and not self._closed:
                self._changed.wait()
            if self._closed:
                raise ClosedError
            self._items.append(item)
            self._changed.notify_all()

    def end(self, error: BaseException | None = None) -> None:
        """Say that nothing follows; with an error, what is raised after the last item."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def close(self) -> None:
        """Stop taking: drop what is there, and let whoever puts know."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        """Take items until the end; raise the error of the end, if there was one."""
        while True:
            with self._changed:
                while not self._items and not self._is_over():
                    self._changed.wait(_LOOK_AT_STOP)
                if not self._items:
                    if self._error is not None and not self._closed:
                        raise self._error
                    return
                item = self._items.popleft()
                self._changed.notify_all()
            yield item

    def _is_over(self) -> bool:
        return self._ended or self._closed or self._stop.is_set()
