"""Events as HTTP requests, to receivers that answer, refuse, hang and come back."""

from __future__ import annotations

import base64
import json
import time

import pytest

from motionveil.errors import MotionveilError
from motionveil.recognition.remote.webhook import Webhook
from recognition.event_examples import begins, ends, wait_until
from recognition.http_receivers import free_port, hanging, serving


def labels(bodies: list[bytes]) -> list[str]:
    return [json.loads(body)["label"] for body in bodies]


class TestWebhook:
    def test_each_event_is_one_post_of_json(self) -> None:
        said: list[str] = []
        with serving() as server:
            address = f"http://127.0.0.1:{server.server_port}/api/hook?x=1"
            with Webhook(address, "camera:0", top=2, notice=said.append) as webhook:
                webhook.event(begins(3, "läuft"))
                webhook.event(ends(3, "läuft"))
        first, second = (json.loads(body) for body in server.bodies)
        assert first.pop("at") <= second["at"]
        assert first == {
            "state": "begins",
            "source": "camera:0",
            "time": 3.5,
            "kind": "action",
            "label": "läuft",
            "probability": 0.9,
            "from": 3.0,
            "to": None,
            "top": [{"label": "läuft", "probability": 0.9}],
        }
        assert (second["state"], second["to"]) == ("ends", 4.0)
        path, headers = server.requests[0]
        assert path == "/api/hook?x=1"
        assert headers["Content-Type"] == "application/json"
        assert "Authorization" not in headers
        host = f"webhook http://127.0.0.1:{server.server_port}/...?..."
        assert said == [f"{host}: 2 delivered, 0 not delivered"]

    def test_a_server_that_is_ill_for_a_while_loses_nothing(self) -> None:
        said: list[str] = []
        with serving(statuses=(503, 429, 204, 500)) as server:
            address = f"http://127.0.0.1:{server.server_port}/"
            with Webhook(address, "s", notice=said.append, first_wait=0.05) as webhook:
                for number in range(4):
                    webhook.event(begins(number, str(number)))
                assert wait_until(lambda: len(server.bodies) == 4)
        assert labels(server.bodies) == ["0", "1", "2", "3"]
        assert said[0].endswith(": answers with status 503; trying again")
        assert said[-1].endswith(": 4 delivered, 0 not delivered")

    @pytest.mark.parametrize("status", [302, 400, 404, 413])
    def test_a_server_that_will_not_take_an_event_loses_only_that(self, status: int) -> None:
        with serving(statuses=(status,)) as server:
            webhook = Webhook(f"http://127.0.0.1:{server.server_port}/", "s")
            for number in range(3):
                webhook.event(begins(number, str(number)))
            found = webhook.delivery.close(20)
        assert (found.delivered, found.refused) == (2, 1)
        assert labels(server.bodies) == ["1", "2"]
        assert [path for path, _ in server.requests] == ["/"] * 3  # no redirection is followed

    def test_a_receiver_that_comes_back_gets_what_waited(self) -> None:
        port, said = free_port(), []
        webhook = Webhook(f"http://127.0.0.1:{port}/", "s", notice=said.append, first_wait=0.1)
        for number in range(3):
            webhook.event(begins(number, str(number)))
        assert wait_until(lambda: said)
        assert said == [f"webhook http://127.0.0.1:{port}/: Connection refused; trying again"]
        with serving(port) as server:
            assert wait_until(lambda: len(server.bodies) == 3)
            assert webhook.delivery.close(20).delivered == 3
        assert labels(server.bodies) == ["0", "1", "2"]
        assert said[1] == f"webhook http://127.0.0.1:{port}/: takes messages again"

    @pytest.mark.parametrize("drip", [b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"x"])
    def test_a_receiver_that_hangs_or_drips_is_given_up(self, drip: bytes) -> None:
        said: list[str] = []
        with hanging(drip) as port:
            address = f"http://127.0.0.1:{port}/"
            webhook = Webhook(address, "s", notice=said.append, limit=0.5, first_wait=30)
            start = time.monotonic()
            for number in range(3000):
                webhook.event(begins(number))
            assert time.monotonic() - start < 5  # it waits for nobody
            assert wait_until(lambda: said)
            found = webhook.delivery.close(1)
        assert found.delivered == 0
        assert found.lost == 3000
        assert found.dropped >= 1999

    def test_credentials_are_sent_and_not_told(self) -> None:
        said: list[str] = []
        with serving(statuses=(500, 401)) as server:
            place = f"127.0.0.1:{server.server_port}"
            address = f"http://name:p%40ss@{place}/token/abc?key=def"
            with Webhook(address, "s", notice=said.append, first_wait=0.05) as webhook:
                webhook.event(begins(1))
        pair = base64.b64decode(server.requests[0][1]["Authorization"].removeprefix("Basic "))
        assert pair == b"name:p@ss"
        assert len(said) >= 2
        for line in said:
            assert not any(word in line for word in ("name", "p%40ss", "p@ss", "abc", "def"))

    @pytest.mark.parametrize(
        "address",
        ["ftp://host/", "host/path", "http://", "http://h:x/", "http://h/ä", "http://h/a\r\nb: c"],
    )
    def test_what_is_no_address_is_refused(self, address: str) -> None:
        with pytest.raises(MotionveilError, match="--webhook"):
            Webhook.check(address)
