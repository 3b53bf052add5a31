"""How often the preview's token may be guessed, and that nobody else is put out by guesses."""

from __future__ import annotations

import re

import pytest
from test_preview import request, status

from motionveil.streaming.preview_buffer import Preview
from motionveil.streaming.preview_connections import (
    GUESSES,
    GUESSES_OF_ALL,
    Admission,
    TooManyGuessesError,
    origin_of,
)

TOKEN = "0123456789abcdef"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class TestGuesses:
    def test_ten_a_minute_are_looked_at(self) -> None:
        clock = Clock()
        admission = Admission(TOKEN, clock)
        for _ in range(GUESSES):
            assert not admission.admits("192.0.2.1", b"wrong", "")
            clock.now += 1
        for given in (b"wrong", TOKEN.encode()):
            with pytest.raises(TooManyGuessesError) as error:
                admission.admits("192.0.2.1", given, "")
            assert error.value.seconds == 50
        assert admission.admits("192.0.2.2", TOKEN.encode(), ""), "another address"
        clock.now += 49.9
        with pytest.raises(TooManyGuessesError):
            admission.admits("192.0.2.1", TOKEN.encode(), "")
        clock.now += 0.2
        assert admission.admits("192.0.2.1", TOKEN.encode(), "")

    def test_what_was_not_looked_at_does_not_prolong_the_wait(self) -> None:
        clock = Clock()
        admission = Admission(TOKEN, clock)
        for _ in range(GUESSES):
            admission.admits("192.0.2.1", b"wrong", "")
        for _ in range(59):
            clock.now += 1
            with pytest.raises(TooManyGuessesError):
                admission.admits("192.0.2.1", b"wrong", "")
        clock.now += 1
        assert admission.admits("192.0.2.1", TOKEN.encode(), "")

    def test_from_many_addresses_are_bounded_but_for_those_who_know_it(self) -> None:
        admission = Admission(TOKEN, Clock())
        assert admission.admits("192.0.2.1", TOKEN.encode(), "")
        for number in range(GUESSES_OF_ALL):
            assert not admission.admits(f"198.51.100.{number}", b"wrong", "")
        with pytest.raises(TooManyGuessesError):
            admission.admits("192.0.2.2", TOKEN.encode(), "")
        assert admission.admits("192.0.2.1", TOKEN.encode(), "")

    def test_of_a_ticket_are_no_use_and_not_counted(self) -> None:
        admission = Admission(TOKEN, Clock())
        for _ in range(2 * GUESSES):
            assert not admission.admits("192.0.2.1", None, "wrong")
        assert admission.admits("192.0.2.1", TOKEN.encode(), "")
        assert Admission(TOKEN).ticket != admission.ticket

    def test_do_not_put_out_who_has_a_ticket(self) -> None:
        admission = Admission(TOKEN, Clock())
        for _ in range(GUESSES):
            admission.admits("192.0.2.1", b"wrong", "")
        assert admission.admits("192.0.2.1", None, admission.ticket)
        assert admission.admits("192.0.2.1", b"wrong", admission.ticket)

    def test_are_forgotten_in_the_end(self) -> None:
        admission = Admission(TOKEN, clock := Clock())
        for number in range(5000):
            clock.now += 1
            admission.admits(f"2001:db8:{number:x}::1", b"wrong", "")
        assert len(admission._wrong) <= 1000
        assert len(admission._wrong_of_all) <= GUESSES_OF_ALL

    @pytest.mark.parametrize(
        ("one", "other", "same"),
        [
            ("192.0.2.1", "192.0.2.2", False),
            ("2001:db8::1", "2001:db8::ffff:1", True),
            ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
            ("::ffff:192.0.2.1", "192.0.2.1", True),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
            ("fe80::1%eth0", "fe80::2%eth0", True),
        ],
    )
    def test_from_one_machine_count_together(self, one: str, other: str, same: bool) -> None:
        assert (origin_of(one) == origin_of(other)) == same


class TestServer:
    def test_answers_429_and_says_when_to_come_again(self) -> None:
        with Preview("127.0.0.1:0", token=TOKEN) as preview:
            page = request(preview, f"/?token={TOKEN}")[1].decode()
            ticket = re.findall(r'TICKET = "([\w-]{16,})"', page)[0]
            for _ in range(GUESSES):
                assert status(preview, "/stats?token=wrong") == 403
            for path in ("/stats?token=wrong", f"/stats?token={TOKEN}", f"/?token={TOKEN}"):
                response, body = request(preview, path)
                assert response.status == 429
                assert 50 <= int(response.headers["Retry-After"]) <= 60
                assert b"Too many wrong tokens" in body
            assert status(preview, "/stats", Authorization=f"Bearer {TOKEN}") == 429
            assert status(preview, "/stats") == 403, "without a token nothing is guessed"
            assert status(preview, f"/stats?ticket={ticket}") == 200, "an open page goes on"
            assert status(preview, f"/stream?ticket={ticket}", "HEAD") == 200

    def test_looks_at_one_token_of_a_request(self) -> None:
        with Preview("127.0.0.1:0", token=TOKEN) as preview:
            assert status(preview, f"/stats?token=wrong&token={TOKEN}") == 403
            assert status(preview, f"/stats?token={TOKEN}", Authorization="Bearer wrong") == 403

    def test_a_ticket_does_not_outlive_it(self) -> None:
        with Preview("127.0.0.1:0", token=TOKEN) as preview:
            page = request(preview, f"/?token={TOKEN}")[1].decode()
        ticket = re.findall(r'TICKET = "([\w-]+)"', page)[0]
        with Preview("127.0.0.1:0", token=TOKEN) as preview:
            assert status(preview, f"/stats?ticket={ticket}") == 403
            assert status(preview, f"/stats?ticket={ticket}&token={TOKEN}") == 200
