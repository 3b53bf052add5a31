"""Events to an MQTT broker, where Home Assistant finds them by itself."""

from __future__ import annotations

import hashlib
import json
import os
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Condition
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote

from motionveil._version import __version__
from motionveil.bind_address import shown
from motionveil.errors import MotionveilError
from motionveil.recognition.answers import Event
from motionveil.recognition.delivery import Delivery
from motionveil.recognition.remote import RemoteReceiver, split_address

if TYPE_CHECKING:
    from paho.mqtt.client import Client

USER = "MOTIONVEIL_MQTT_USER"
PASSWORD = "MOTIONVEIL_MQTT_PASSWORD"
"""Environment variables with the broker's credentials; with `_FILE` appended, of files that hold
them."""

LIMIT = 5.0
"""Seconds that the broker has for a connection, and to confirm an event before it counts as
failing."""

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_KEEP_ALIVE = 30  # seconds after which silence has the broker asked whether it is there
_LONGEST_WAIT = 30  # seconds between two tries to connect
_QOS = 1


@dataclass(frozen=True)
class _Target:
    secure: bool
    host: str
    port: int
    topic: str


@dataclass(frozen=True)
class _Told:
    """An event as JSON, and whether it begins."""

    line: str
    begins: bool


class Mqtt(RemoteReceiver):
    """Publishes each event with QoS 1; of several sources, under the topic's `/1` or `/NAME`.

    - `TOPIC/event`: every event, as JSON;
    - `TOPIC/state`: the newest event that began, retained;
    - `TOPIC/availability`: `online`, and `offline` at the end or by last will; retained;
    - `homeassistant/sensor/ID/config`: Home Assistant's discovery of a sensor whose value is the
      label; retained.

    Raises:
        MotionveilError: It is no such address, or the credentials cannot be read.
    """

    option: ClassVar[str] = "mqtt"
    metavar: ClassVar[str] = "mqtt://HOST/TOPIC"
    help: ClassVar[str] = (
        "publish events, with Home Assistant discovery; mqtts:// for TLS; credentials in"
        f" {USER} and {PASSWORD}, or in files named by these with _FILE"
    )

    def __init__(
        self,
        address: str,
        source: str,
        *,
        which: int | str | None = None,
        top: int = 1,
        notice: Callable[[str], None] = lambda line: None,
        limit: float = LIMIT,
    ) -> None:
        super().__init__(address, source, which=which, top=top, notice=notice)
        target = _parse(address)
        self._topic = target.topic if which is None else f"{target.topic}/{which}"
        self._limit = limit
        self.name = f"mqtt {shown(address)}"
        self._changed = Condition()
        self._connected, self._fault = False, ""
        self._sent: list[int] = []  # of the event that is being delivered
        self._confirmed: set[int] = set()
        self._client = self._connect(target)
        self.delivery: Delivery[_Told] = Delivery(
            self.name, self._send, notice=notice, finish=self._leave
        )

    @classmethod
    def check(cls, address: str) -> None:
        """Raise MotionveilError if it is no address of a broker, or no credentials are there."""
        _parse(address)
        _credentials()

    def event(self, event: Event) -> None:
        """Queue an event; never waits."""
        self.delivery.put(_Told(self.line(event), event.end is None))

    def _connect(self, target: _Target) -> Client:
        from paho.mqtt.client import CallbackAPIVersion, Client

        client = Client(CallbackAPIVersion.VERSION2)
        client.connect_timeout = self._limit
        client.reconnect_delay_set(1, _LONGEST_WAIT)
        user, password = _credentials()
        if user is not None:
            client.username_pw_set(user, password)
        if target.secure:
            client.tls_set_context(ssl.create_default_context())
        client.will_set(self._availability, "offline", qos=_QOS, retain=True)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.connect_async(target.host, target.port, keepalive=_KEEP_ALIVE)
        client.loop_start()  # a thread, which connects again for as long as it takes
        return client

    @property
    def _availability(self) -> str:
        return f"{self._topic}/availability"

    def _on_connect(self, client: Client, data: Any, flags: Any, code: Any, more: Any) -> None:
        if not code.is_failure:
            topic, payload = _discovery(self._topic, self._availability)
            client.publish(topic, payload, qos=_QOS, retain=True)
            client.publish(self._availability, "online", qos=_QOS, retain=True)
        with self._changed:
            self._connected = not code.is_failure
            self._fault = str(code)
            self._changed.notify_all()

    def _on_disconnect(self, client: Client, data: Any, flags: Any, code: Any, more: Any) -> None:
        with self._changed:
            self._connected = False

    def _on_publish(self, client: Client, data: Any, number: int, code: Any, more: Any) -> None:
        with self._changed:
            self._confirmed.add(number)
            self._changed.notify_all()

    def _send(self, told: _Told) -> None:
        """Publish an event, once, and wait for the broker to confirm it.

        What was published and is not confirmed is kept by paho, which sends it again when it has
        connected again; so another try only waits once more.
        """
        with self._changed:
            if not self._sent and not self._changed.wait_for(lambda: self._connected, self._limit):
                raise OSError(self._reason())
        if not self._sent:
            self._publish(told)
        with self._changed:
            arrived = self._changed.wait_for(
                lambda: self._confirmed.issuperset(self._sent), self._limit
            )
            if not arrived:
                raise OSError(self._reason())
            self._sent = []
            self._confirmed.clear()

    def _reason(self) -> str:
        refused = self._fault not in ("", "Success") and not self._connected
        return f"the broker refuses: {self._fault}" if refused else "the broker does not answer"

    def _publish(self, told: _Told) -> None:
        publish, topic = self._client.publish, self._topic
        sent = [publish(f"{topic}/event", told.line, qos=_QOS).mid]
        if told.begins:
            sent.append(publish(f"{topic}/state", told.line, qos=_QOS, retain=True).mid)
        self._sent = sent

    def _leave(self) -> None:
        """Say that no more will come, and disconnect."""
        if self._connected:
            number = self._client.publish(self._availability, "offline", qos=_QOS, retain=True).mid
            with self._changed:
                self._changed.wait_for(lambda: number in self._confirmed, 1.0)
        self._client.disconnect()
        self._client.loop_stop()


def _discovery(topic: str, availability: str) -> tuple[str, str]:
    """Return topic and payload of Home Assistant's MQTT discovery.

    Source: https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery
    """
    digest = hashlib.sha256(topic.encode()).hexdigest()[:8]  # "a/b" and "a_b" are two
    name = f"motionveil_{re.sub('[^A-Za-z0-9]+', '_', topic).strip('_')}_{digest}"
    config = {
        "name": "Action",
        "unique_id": name,
        "state_topic": f"{topic}/state",
        "value_template": "{{ value_json.label[:255] }}",  # what a state holds at most
        "json_attributes_topic": f"{topic}/state",
        "availability_topic": availability,
        "qos": _QOS,
        "icon": "mdi:human-handsup",
        "device": {
            "identifiers": [name],
            "name": f"motionveil {topic}",
            "manufacturer": "motionveil",
            "sw_version": __version__,
        },
        "origin": {"name": "motionveil", "sw_version": __version__},
    }
    return f"homeassistant/sensor/{name}/config", json.dumps(config, ensure_ascii=False)


def _parse(address: str) -> _Target:
    wrong = (
        f"--mqtt {shown(address)}: no address of a broker; write one such as"
        " mqtt://192.0.2.7:1883/home/kitchen, with a topic without + # and $"
    )
    parts, port = split_address(address, _PORTS, wrong)
    topic = unquote(parts.path).strip("/")
    if parts.query or parts.fragment or not topic or len(topic.encode()) > 1000:
        raise MotionveilError(wrong)
    if re.search(r"[+#$\x00-\x1f]", topic):
        raise MotionveilError(wrong)
    if parts.username is not None:
        raise MotionveilError(
            f"--mqtt {shown(address)}: name and password come from the environment: set {USER}"
            f" and {PASSWORD}"
        )
    return _Target(parts.scheme == "mqtts", str(parts.hostname), port, topic)


def _credentials() -> tuple[str | None, str | None]:
    user, password = _variable(USER), _variable(PASSWORD)
    if password is not None and user is None:
        raise MotionveilError(f"{PASSWORD} is set and {USER} is not: set both, or none")
    return user, password


def _variable(name: str) -> str | None:
    file = os.environ.get(f"{name}_FILE")
    if file is None:
        return os.environ.get(name)
    if name in os.environ:
        raise MotionveilError(f"{name} and {name}_FILE: set one of the two")
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise MotionveilError(f"{name}_FILE {file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:  # its text would quote the file
        raise MotionveilError(f"{name}_FILE {file}: is no UTF-8 text") from None
