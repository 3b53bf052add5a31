"""The queue before a receiver that may be slow or dead."""

from __future__ import annotations

import time
from itertools import pairwise
from threading import Event as Flag

import pytest

from motionveil.recognition.delivery import Delivery, RefusedError
from recognition.event_examples import wait_until


class TestDelivery:
    def test_messages_arrive_in_order_though_sending_fails_now_and_then(self) -> None:
        arrived: list[int] = []
        tries: dict[int, int] = {}
        said: list[str] = []

        def send(message: int) -> None:
            tries[message] = tries.get(message, 0) + 1
            if message % 3 == 0 and tries[message] < 3:
                raise ConnectionRefusedError(111, "Connection refused")
            arrived.append(message)

        delivery = Delivery("r", send, notice=said.append, first_wait=0.01)
        for message in range(10):
            delivery.put(message)
        found = delivery.close(20)
        assert arrived == list(range(10))
        assert (found.delivered, found.lost) == (10, 0)
        assert tries[3] == 3
        assert said[:2] == ["r: Connection refused; trying again", "r: takes messages again"]

    def test_the_wait_between_tries_doubles_up_to_a_bound(self) -> None:
        times: list[float] = []

        def send(message: str) -> None:
            times.append(time.monotonic())
            raise OSError("no")

        delivery = Delivery("r", send, notice=lambda line: None, first_wait=0.1, longest_wait=0.4)
        delivery.put("a")
        assert wait_until(lambda: len(times) >= 6)
        delivery.close(0)
        waits = [after - before for before, after in pairwise(times)]
        for wait, least in zip(waits, (0.1, 0.2, 0.4, 0.4, 0.4), strict=False):
            assert wait >= least - 0.01

    def test_a_receiver_that_hangs_slows_nobody_and_its_loss_is_counted(self) -> None:
        release, sending = Flag(), Flag()

        def send(message: int) -> None:
            sending.set()
            release.wait(60)

        delivery = Delivery("r", send, notice=lambda line: None, room=100)
        delivery.put(0)
        assert sending.wait(20)
        start = time.monotonic()
        for message in range(1, 1001):
            delivery.put(message)
        found = delivery.close(0.2)
        assert time.monotonic() - start < 5
        release.set()
        assert (found.delivered, found.dropped, found.left) == (0, 900, 101)
        assert str(found) == "0 delivered, 1001 not delivered (900 dropped, 101 left)"

    def test_the_newest_messages_are_those_kept(self) -> None:
        release, sending = Flag(), Flag()
        arrived: list[int] = []

        def send(message: int) -> None:
            sending.set()
            release.wait(60)
            arrived.append(message)

        delivery = Delivery("r", send, notice=lambda line: None, room=3)
        delivery.put(0)
        assert sending.wait(20)
        for message in range(1, 10):
            delivery.put(message)
        release.set()
        assert delivery.close(20).dropped == 6
        assert arrived == [0, 7, 8, 9]

    def test_what_is_refused_is_not_sent_again(self) -> None:
        arrived: list[int] = []

        def send(message: int) -> None:
            arrived.append(message)
            if message == 1:
                raise RefusedError("status 404")

        said: list[str] = []
        delivery = Delivery("r", send, notice=said.append)
        for message in range(3):
            delivery.put(message)
        found = delivery.close(20)
        assert arrived == [0, 1, 2]
        assert (found.delivered, found.refused, found.left) == (2, 1, 0)
        assert said[0] == "r: refused: status 404"

    @pytest.mark.parametrize("wait", [0.05, 60.0])
    def test_the_end_tries_once_more_at_once(self, wait: float) -> None:
        tries: list[int] = []

        def send(message: int) -> None:
            tries.append(message)
            if len(tries) == 1:
                raise OSError("no")

        delivery = Delivery("r", send, notice=lambda line: None, first_wait=wait, longest_wait=wait)
        delivery.put(1)
        assert wait_until(lambda: tries)
        assert delivery.close(20).delivered == 1

    def test_the_text_of_unknown_errors_is_not_told(self) -> None:
        def send(message: int) -> None:
            raise ValueError("https://name:secret@host")

        said: list[str] = []
        delivery = Delivery("r", send, notice=said.append)
        delivery.put(1)
        assert wait_until(lambda: said)
        delivery.close(0)
        assert said == ["r: ValueError; trying again"]
