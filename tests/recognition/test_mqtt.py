"""Events to a real broker, which is killed, stopped, started late and asks for a password."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from motionveil.errors import MotionveilError
from motionveil.recognition.remote.mqtt import Mqtt
from recognition.broker import Broker, Listener, needs_mosquitto
from recognition.event_examples import begins, ends, wait_until
from recognition.http_receivers import free_port


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    started = Broker(tmp_path)
    yield started
    started.stop()


def told(listener: Listener, topic: str) -> list[tuple[str, str]]:
    lines = [json.loads(payload) for payload in listener.payloads(topic)]
    return [(line["state"], line["label"]) for line in lines]


@needs_mosquitto
class TestWithBroker:
    def test_events_state_availability_and_discovery(self, broker: Broker) -> None:
        listener, said = Listener(broker.port), []
        address = f"mqtt://127.0.0.1:{broker.port}/home/kitchen"
        with Mqtt(address, "camera:0", notice=said.append) as mqtt:
            for event in (begins(1), ends(1), begins(2, "läuft"), ends(2, "läuft")):
                mqtt.event(event)
        assert wait_until(lambda: "offline" in listener.payloads("home/kitchen/availability"))
        listener.close()
        expected = [("begins", "wave"), ("ends", "wave"), ("begins", "läuft"), ("ends", "läuft")]
        assert told(listener, "home/kitchen/event") == expected
        assert told(listener, "home/kitchen/state") == [expected[0], expected[2]]
        assert listener.payloads("home/kitchen/availability") == ["online", "offline"]
        assert said == [f"mqtt mqtt://127.0.0.1:{broker.port}/...: 4 delivered, 0 not delivered"]

        late = Listener(broker.port)  # as Home Assistant, started again
        assert wait_until(lambda: len(late.got) == 3)
        late.close()
        retained = {topic: payload for topic, payload, kept in late.got if kept}
        (config_topic,) = [topic for topic in retained if topic.startswith("homeassistant/")]
        config = json.loads(retained[config_topic])
        assert config_topic == f"homeassistant/sensor/{config['unique_id']}/config"
        assert json.loads(retained[config["state_topic"]])["label"] == "läuft"
        assert retained[config["availability_topic"]] == "offline"
        assert "value_json.label" in config["value_template"]

    def test_the_broker_tells_of_a_program_that_was_killed(self, broker: Broker) -> None:
        listener = Listener(broker.port)
        script = (
            "import sys, time; from motionveil.recognition.remote.mqtt import Mqtt;"
            "mqtt = Mqtt(sys.argv[1], 's'); time.sleep(60)"
        )
        address = f"mqtt://127.0.0.1:{broker.port}/a"
        program = subprocess.Popen([sys.executable, "-c", script, address])
        assert wait_until(lambda: listener.payloads("a/availability") == ["online"], 60)
        program.kill()
        program.wait(20)
        assert wait_until(lambda: listener.payloads("a/availability") == ["online", "offline"])
        listener.close()

    def test_a_broker_that_dies_and_comes_back_gets_every_event(self, broker: Broker) -> None:
        said: list[str] = []
        mqtt = Mqtt(f"mqtt://127.0.0.1:{broker.port}/a", "s", notice=said.append, limit=0.5)
        early = Listener(broker.port)
        assert wait_until(lambda: early.payloads("a/availability") == ["online"])
        early.close()
        broker.stop()
        for number in range(4):
            mqtt.event(begins(number, str(number)))
        assert wait_until(lambda: said)
        broker.start()
        listener = Listener(broker.port)
        assert mqtt.delivery.close(30).delivered == 4
        assert wait_until(lambda: "offline" in listener.payloads("a/availability"))
        listener.close()
        assert listener.payloads("a/availability")[-2:] == ["online", "offline"]
        labels = [label for _, label in told(listener, "a/event")]
        # The listener may have come after the first of them; what is retained it gets anyway.
        assert labels == ["0", "1", "2", "3"][4 - len(labels) :]
        assert told(listener, "a/state")[-1] == ("begins", "3")
        assert said[-1].endswith(": takes messages again")

    def test_a_broker_that_hangs_slows_nobody(self, broker: Broker) -> None:
        said: list[str] = []
        mqtt = Mqtt(f"mqtt://127.0.0.1:{broker.port}/a", "s", notice=said.append, limit=0.5)
        mqtt.event(begins(0))
        listener = Listener(broker.port)
        assert wait_until(lambda: listener.payloads("a/event") or listener.payloads("a/state"))
        listener.close()
        broker.process.send_signal(signal.SIGSTOP)
        start = time.monotonic()
        for number in range(3000):
            mqtt.event(begins(number))
        assert time.monotonic() - start < 5
        assert wait_until(lambda: said)
        found = mqtt.delivery.close(1)
        assert time.monotonic() - start < 15
        assert found.delivered == 1
        assert found.lost == 3000
        assert said[0].endswith(": the broker does not answer; trying again")

    def test_a_broker_that_asks_for_a_password(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pair, said = ("veil", "s3cret word"), []
        broker = Broker(tmp_path, pair)
        listener = Listener(broker.port, pair)
        address = f"mqtt://127.0.0.1:{broker.port}/a"
        anonymous = Mqtt(address, "s", notice=said.append, limit=1.0)
        anonymous.event(begins(1))
        assert wait_until(lambda: said)
        assert anonymous.delivery.close(0.1).lost == 1
        assert "the broker refuses: Not authorized" in said[0]

        file = tmp_path / "password"
        file.write_text(f"{pair[1]}\n")
        monkeypatch.setenv("MOTIONVEIL_MQTT_USER", pair[0])
        monkeypatch.setenv("MOTIONVEIL_MQTT_PASSWORD_FILE", str(file))
        named = Mqtt(address, "s", notice=said.append)
        named.event(begins(2))
        assert named.delivery.close(20).delivered == 1
        assert wait_until(lambda: told(listener, "a/event"))
        listener.close()
        broker.stop()
        assert not any(word in line for line in said for word in pair)

    def test_several_sources_do_not_mix(self, broker: Broker) -> None:
        listener = Listener(broker.port)
        address = f"mqtt://127.0.0.1:{broker.port}/a"
        with Mqtt(address, "x", which=1) as one, Mqtt(address, "y", which=2) as two:
            one.event(begins(1, "one"))
            two.event(begins(1, "two"))
        assert wait_until(lambda: len(listener.got) == 10)
        listener.close()
        assert told(listener, "a/1/event") == [("begins", "one")]
        assert told(listener, "a/2/event") == [("begins", "two")]
        configs = {topic for topic, _, _ in listener.got if topic.startswith("homeassistant")}
        assert len(configs) == 2


class TestWithoutBroker:
    def test_nobody_there(self) -> None:
        said: list[str] = []
        mqtt = Mqtt(f"mqtt://127.0.0.1:{free_port()}/a", "s", notice=said.append, limit=0.3)
        start = time.monotonic()
        mqtt.event(begins(1))
        found = mqtt.delivery.close(1)
        assert time.monotonic() - start < 10
        assert (found.delivered, found.left) == (0, 1)
        assert "the broker does not answer" in said[0]

    @pytest.mark.parametrize(
        "address",
        ["http://h/a", "mqtt://h", "mqtt://h/", "mqtt:///a", "mqtt://h/a+b", "mqtt://h/a%23",
         "mqtt://h:x/a", "mqtt://h/$SYS/a", "mqtt://h/a?b"],
    )  # fmt: skip
    def test_what_is_no_address_is_refused(self, address: str) -> None:
        with pytest.raises(MotionveilError, match="--mqtt"):
            Mqtt.check(address)

    def test_credentials_in_the_address_are_refused_and_not_told(self) -> None:
        with pytest.raises(MotionveilError, match="MOTIONVEIL_MQTT_USER") as error:
            Mqtt.check("mqtt://name:secret@h/a")
        assert "secret" not in str(error.value)

    @pytest.mark.parametrize(
        ("variables", "problem"),
        [
            ({"PASSWORD": "x"}, "MOTIONVEIL_MQTT_USER is not"),
            ({"USER": "x", "USER_FILE": "y"}, "one of the two"),
            ({"USER": "x", "PASSWORD_FILE": "/not/there"}, "/not/there: cannot be read"),
        ],
    )
    def test_credentials_that_are_wrong(
        self, variables: dict[str, str], problem: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(f"MOTIONVEIL_MQTT_{name}", value)
        with pytest.raises(MotionveilError, match=problem):
            Mqtt.check("mqtt://h/a")
