"""A whole service: a camera killed, the file read again, the end; all as real processes."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from motionveil.service.run import Systemd
from programs import play, until
from recognition.broker import Broker, Listener, needs_mosquitto
from recognition.conftest import Make, make  # noqa: F401, a fixture
from service.manager import manager
from service.serving import Serving

DEFAULTS = """\
listen: 127.0.0.1:0
defaults:
  codec: h264
  destinations: ["{camera}-%Y%m%d-%H%M%S.mkv"]
cameras:
"""


def camera(name: str, rate: int, *lines: str) -> str:
    return "\n    ".join([f"  {name}:", f"source: test:64x48@{rate}", *lines]) + "\n"


@pytest.mark.slow
@needs_mosquitto
def test_from_start_to_end(tmp_path: Path, make: Make) -> None:  # noqa: F811
    recogniser = make()
    file = tmp_path / "cameras.yaml"
    broker = Broker(tmp_path)
    events = f"events: {{mqtt: 'mqtt://127.0.0.1:{broker.port}/home'}}"
    two = DEFAULTS + camera("hall", 10, f"recogniser: {recogniser}", events) + camera("desk", 5)
    file.write_text(two)
    with manager(tmp_path / "notify") as told:
        service = Serving(file, environment={"NOTIFY_SOCKET": str(tmp_path / "notify")})
        try:
            service.until_frames("hall", "desk")
            assert "READY=1" in told
            _is_found_by_home_assistant(broker)
            _kill_one(service)
            _add_two(service, file, two)
            _refuse_nonsense(service, file)
            _end(service, tmp_path)
            until(lambda: "STOPPING=1" in told)
        finally:
            service.clear_away()
            broker.stop()
    assert told.count("READY=1") == 3  # at the start, and after each reload


def _is_found_by_home_assistant(broker: Broker) -> None:
    """Look for the camera's own device, and for an event of it."""
    with closing(Listener(broker.port)) as listener:
        until(lambda: listener.payloads("home/hall/state"))
        state = json.loads(listener.payloads("home/hall/state")[-1])
        devices = [t for t, *_ in list(listener.got) if t.startswith("homeassistant/")]
        (device,) = {*devices}
        found = json.loads(listener.payloads(device)[-1])
    assert found["state_topic"] == "home/hall/state"
    assert state["source"] == "hall"


def _kill_one(service: Serving) -> None:
    (desk,) = service.pids("desk")
    os.kill(desk, signal.SIGKILL)
    until(lambda: len(service.pids("desk")) == 2, service)
    assert "killed by signal 9; starting again in 1 s" in service.log("desk")
    service.until_frames("hall", "desk", more=True)
    assert len(service.pids("hall")) == 1
    assert 'motionveil_restarts_total{camera="desk"} 1.0' in service.get("metrics")


def _add_two(service: Serving, file: Path, two: str) -> None:
    heavy = camera("heavy", 5, "limits: {memory: 64}", "destinations: []")
    file.write_text(two + camera("yard", 5) + heavy)
    service.signal(signal.SIGHUP)
    service.until_frames("yard")
    until(lambda: any("limits.memory (64); starting" in s for s in service.log("heavy")), service)
    assert len(service.pids("hall")) == 1
    assert len(service.pids("desk")) == 2


def _refuse_nonsense(service: Serving, file: Path) -> None:
    good = file.read_text()
    file.write_text("cameras: {hall: {}}")
    service.signal(signal.SIGHUP)
    until(lambda: any("not reloaded" in line for line in service.log()), service)
    service.until_frames("hall", "desk", "yard", more=True)
    file.write_text(good)


def _end(service: Serving, folder: Path) -> None:
    service.signal(signal.SIGTERM)
    assert service.ends() == 0
    found = re.fullmatch(r"stopped in ([0-9.]+) s", service.log()[-1])
    assert found is not None
    assert float(found[1]) < 5
    pids = [pid for name in ("hall", "desk", "yard", "heavy") for pid in service.pids(name)]
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    whole = [path for path in folder.iterdir() if re.fullmatch(r"\w+-\d+-\d+\.mkv", path.name)]
    assert sorted(path.name.partition("-")[0] for path in whole) == ["desk", "hall", "yard"]
    for path in whole:
        times, _ = play(path)
        assert len(times) > 0
        assert times == sorted(times)


@pytest.mark.slow
def test_a_camera_outlives_no_service(tmp_path: Path) -> None:
    file = tmp_path / "cameras.yaml"
    file.write_text(DEFAULTS + camera("hall", 10))
    service = Serving(file)
    try:
        service.until_frames("hall")
        (pid,) = service.pids("hall")
        os.kill(service.process.pid, signal.SIGKILL)
        until(lambda: not _runs(pid))
        (recording,) = tmp_path.glob("hall-*.mkv")  # finished
        assert len(play(recording)[0]) > 0
    finally:
        service.clear_away()


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow
def test_check_tries_every_camera_and_starts_nothing(tmp_path: Path) -> None:
    file = tmp_path / "cameras.yaml"
    file.write_text(
        DEFAULTS + camera("hall", 10) + "  desk:\n    source: rtsp://me:hunter2@127.0.0.1:1/live\n"
        "    limits: {give_up: 0.5}\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "motionveil", "serve", str(file), "--check"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1, done.stderr
    hall, desk = done.stdout.splitlines()
    assert hall == "hall: test:64x48@10: 64 x 48 at 10 frames/s; moments, 64 pixels, 15 frames/s"
    assert desk.startswith("desk: error: rtsp://127.0.0.1:1/live: ")
    assert "hunter2" not in done.stdout + done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["cameras.yaml"]


def test_systemd_is_told_half_as_often_as_it_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "30000000")
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
        systemd = Systemd()
        assert systemd.interval == 15
        systemd.alive("2 of 2 cameras run")
        assert manager.recv(100) == b"STATUS=2 of 2 cameras run\nWATCHDOG=1"
        systemd.reloading()
        assert manager.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
    assert "NOTIFY_SOCKET" not in os.environ
    Systemd().ready()  # nobody waits
