"""A real MQTT broker, Debian's mosquitto, and someone who listens to it."""

from __future__ import annotations

import shutil
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from paho.mqtt.client import CallbackAPIVersion, Client

from recognition.event_examples import wait_until
from recognition.http_receivers import free_port

PROGRAM = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
needs_mosquitto = pytest.mark.skipif(PROGRAM is None, reason="mosquitto is not installed")


class Broker:
    """mosquitto on a port of the loopback that stays the same when it is started again."""

    def __init__(self, folder: Path, password: tuple[str, str] | None = None) -> None:
        self.port, self._config = free_port(), folder / "mosquitto.conf"
        lines = [f"listener {self.port} 127.0.0.1", "user root"]
        if password is None:
            lines.append("allow_anonymous true")
        else:
            file = folder / "passwords"
            command = ["mosquitto_passwd", "-b", "-c", str(file), *password]
            subprocess.run(command, check=True, timeout=20)
            lines += ["allow_anonymous false", f"password_file {file}"]
        self._config.write_text("\n".join(lines) + "\n")
        self.start()

    def start(self) -> None:
        assert PROGRAM is not None
        self.process = subprocess.Popen(
            [PROGRAM, "-c", str(self._config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        assert wait_until(self._listens)

    def _listens(self) -> bool:
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(20)


class Listener:
    """Keeps what a broker sends: topic, payload, whether it was retained."""

    def __init__(self, port: int, password: tuple[str, str] | None = None) -> None:
        self.got: list[tuple[str, str, bool]] = []
        self._ready = False
        self._client = Client(CallbackAPIVersion.VERSION2)
        if password is not None:
            self._client.username_pw_set(*password)
        self._client.on_connect = lambda client, *rest: client.subscribe("#", qos=1)
        self._client.on_subscribe = self._subscribed
        self._client.on_message = lambda client, data, message: self.got.append(
            (message.topic, message.payload.decode(), bool(message.retain))
        )
        self._client.reconnect_delay_set(1, 1)
        self._client.connect_async("127.0.0.1", port)
        self._client.loop_start()
        assert wait_until(lambda: self._ready)

    def _subscribed(self, *arguments: object) -> None:
        self._ready = True

    def payloads(self, topic: str) -> list[str]:
        return [payload for name, payload, _ in list(self.got) if name == topic]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
