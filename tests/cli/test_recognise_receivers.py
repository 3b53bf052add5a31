"""`motionveil recognise` with receivers over a network: what they get, and whom they hold up."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from motionveil.cli import main
from recognition.broker import Broker, Listener, needs_mosquitto
from recognition.conftest import Make
from recognition.conftest import make as make
from recognition.event_examples import wait_until
from recognition.http_receivers import free_port, hanging, serving
from recognition.veiled_frames import REST, write_veiled

QUICK = ["--veiled", "--stride", "0.1", "--half-life", "0", "--shortest", "0", "--json"]
SHOWN = [0] * 10 + [REST] * 10 + [1] * 10


def without_clock(lines: list[str]) -> list[dict[str, object]]:
    return [{k: v for k, v in json.loads(line).items() if k != "at"} for line in lines]


@pytest.fixture
def command(make: Make, tmp_path: Path) -> list[str]:
    video = write_veiled(tmp_path / "in.mkv", SHOWN)
    return ["recognise", str(video), "--model", str(make()), *QUICK]


def test_a_webhook_gets_the_lines_of_stdout(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOOK", "s3cret")
    with serving() as server:
        address = f"http://u:${{HOOK}}@127.0.0.1:{server.server_port}/x/s3cret"
        assert main([*command, "--webhook", address]) == 0
    said = capsys.readouterr()
    printed = without_clock(said.out.splitlines())
    assert len(printed) >= 4
    assert without_clock([body.decode() for body in server.bodies]) == printed
    assert f"{len(printed)} delivered, 0 not delivered" in said.err
    assert "s3cret" not in said.err


@needs_mosquitto
def test_a_broker_gets_the_lines_of_stdout(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broker = Broker(tmp_path)
    listener = Listener(broker.port)
    assert main([*command, "--mqtt", f"mqtt://127.0.0.1:{broker.port}/hall"]) == 0
    printed = without_clock(capsys.readouterr().out.splitlines())
    assert wait_until(lambda: "offline" in listener.payloads("hall/availability"))
    listener.close()
    broker.stop()
    assert without_clock(listener.payloads("hall/event")) == printed


@pytest.mark.slow  # the end of a run waits 5 s for each
def test_dead_receivers_change_nothing_and_are_told(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command) == 0
    alone = without_clock(capsys.readouterr().out.splitlines())
    with hanging() as port:
        words = ["--webhook", f"http://127.0.0.1:{port}/"]
        words += ["--mqtt", f"mqtt://127.0.0.1:{free_port()}/hall"]
        start = time.monotonic()
        assert main([*command, *words]) == 0
        assert time.monotonic() - start < 40
    said = capsys.readouterr()
    assert without_clock(said.out.splitlines()) == alone
    lost = f"0 delivered, {len(alone)} not delivered ({len(alone)} left)"
    assert said.err.count(lost) == 2
