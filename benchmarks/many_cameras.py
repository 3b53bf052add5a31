"""How many cameras `motionveil serve` serves, and what a day of lost cameras leaves behind.

    python benchmarks/many_cameras.py load --cameras 1 2 4 8 [--seconds 60] [--json FILE]
    python benchmarks/many_cameras.py day [--losses 1440] [--every 0.6] [--json FILE]

The cameras are RTSP servers in this process that play H.264, 640 x 480 at 15 frames per second, in
real time: a minute of drawn people, encoded once.

- `load`: so many cameras at once, veiled, and veiled and recognised, each into a recording: frames
  dropped, processor time and memory. The processor time does not depend on what else the machine
  does; frames dropped do.
- `day`: four cameras that recognise, of which one is lost every minute. Time is compressed: a
  minute lasts `--every` seconds. Of 120 losses, 115 are connections that break, four are cameras
  that fall silent while still connected, and one is the process of the camera `killed`, by SIGKILL.
  Memory, handles and processes are looked at throughout; afterwards frames and events that were
  told of as written and delivered are counted in the recordings and at the broker. With strace,
  every file that any process opens for writing is listed.

It needs mosquitto and strace, and the test dependencies: it shares its cameras with the tests.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import shutil
import signal
import socket
import socketserver
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import av
import yaml
from prometheus_client.parser import text_string_to_metric_families

from measuring import write_figures
from motionveil.video import open_source

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

from recognition.broker import Broker, Listener
from recognition.http_receivers import free_port
from rtsp_server import Handler, encode
from traced import TRACER, written

RATE = 15
SIZE = "640x480"
TICKS = os.sysconf("SC_CLK_TCK")
PATIENCE = 600.0  # seconds for a start, on a machine that does much else
MODES = {"veil": {"encoder": "bdq"}, "recognise": {"recogniser": "actors"}}


class Camera(socketserver.ThreadingTCPServer):
    """An RTSP camera that plays images, each a list of NAL units, again and again."""

    allow_reuse_address = daemon_threads = True
    password, mute = "", False

    def __init__(self, pictures: list[list[bytes]]) -> None:
        super().__init__(("127.0.0.1", 0), _Playing)
        self.options, self.pictures = self, pictures
        self.talks = threading.Event()
        self.talks.set()
        self._clients: list[Any] = []
        self.url = f"rtsp://127.0.0.1:{self.server_address[1]}/live"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Take a client."""
        self._clients.append(request)
        super().process_request(request, client_address)

    def break_off(self) -> None:
        """Break all connections off."""
        clients, self._clients = self._clients, []
        for client in clients:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)


class _Playing(Handler):
    server: Any

    def _play(self) -> None:
        self.sequence, start = 0, time.monotonic()
        for number in itertools.count():
            time.sleep(max(0.0, start + number / RATE - time.monotonic()))
            self.server.talks.wait()
            pictures = self.server.pictures
            self._send(pictures[number % len(pictures)], 90_000 + number * 90_000 // RATE)


def film(seconds: int) -> list[list[bytes]]:
    """Return what a camera sends of drawn people, image by image."""
    source = open_source(f"test:actors:{SIZE}@{RATE}:fast")
    frames = itertools.islice(source.frames(threading.Event()), seconds * RATE)
    return encode((frame.image for frame in frames), rate=RATE, gop=2 * RATE, crf=23)


class Service:
    """`motionveil serve` in a process of its own."""

    def __init__(self, folder: Path, cameras: dict[str, Any], before: tuple[str, ...] = ()) -> None:
        self._address = f"127.0.0.1:{free_port()}"
        file = folder / "cameras.yaml"
        file.write_text(yaml.safe_dump({"listen": self._address, "cameras": cameras}))
        command = [*before, sys.executable, "-m", "motionveil", "serve", str(file), "--log", "json"]
        with (folder / "log").open("w") as log:
            self._process = subprocess.Popen(command, stderr=log)
        self._log, self._traced = folder / "log", bool(before)

    @property
    def pid(self) -> int:
        """Its process, behind a tracer if there is one."""
        return children(self._process.pid)[0] if self._traced else self._process.pid

    def get(self, path: str) -> str:
        """Return a document."""
        with urllib.request.urlopen(f"http://{self._address}/{path}", timeout=60) as answer:
            return str(answer.read().decode())

    def stats(self) -> dict[str, Any]:
        """Return the page's numbers by camera; none as long as there is no page."""
        try:
            return {camera["name"]: camera for camera in json.loads(self.get("stats"))["cameras"]}
        except OSError:
            return {}

    def count(self, name: str, **labels: str) -> dict[str, float]:
        """Return a metric by camera, summed over what the labels leave open."""
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(self.get("metrics")):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    camera = sample.labels["camera"]
                    found[camera] = found.get(camera, 0.0) + sample.value
        return found

    def processes(self) -> dict[str, int]:
        """Return the processes by the camera's name; the service's own as "supervisor"."""
        found = {"supervisor": self.pid}
        for pid in children(self.pid):
            with suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
                if "motionveil.service.camera_process" in words:
                    found[words[words.index("motionveil.service.camera_process") + 1]] = pid
        return found

    def wait_for(self, cameras: list[str], frames: int) -> None:
        """Wait until all cameras have given so many frames."""
        wait_until(
            lambda: all(
                self.stats().get(name, {}).get("frames_out", 0) >= frames for name in cameras
            )
        )

    def stop(self) -> float:
        """End it, and return the seconds that it took."""
        started = time.monotonic()
        os.kill(self.pid, signal.SIGTERM)
        self._process.wait(60)
        return time.monotonic() - started


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"did not happen within {PATIENCE:.0f} s")
        time.sleep(0.5)


def children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            found += map(int, (task / "children").read_text().split())
    return found


def processor_seconds(pid: int) -> float:
    """Return the processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def machine_seconds() -> float:
    """Return the time so far that this machine's cores were busy."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICKS


def memory(pid: int) -> dict[str, int]:
    """Return resident and proportional memory in MiB, open handles and threads of a process."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    sizes = {name: int(re.search(rf"^{name}: +(\d+)", rollup, re.M)[1]) for name in ("Rss", "Pss")}  # type: ignore[index]
    return {
        "rss_mib": sizes["Rss"] // 1024,
        "pss_mib": sizes["Pss"] // 1024,
        "handles": len(os.listdir(f"/proc/{pid}/fd")),
        "threads": len(os.listdir(f"/proc/{pid}/task")),
    }


def under_load(numbers: list[int], seconds: float) -> Iterator[dict[str, Any]]:
    """Yield what so many cameras cost, for each number and mode."""
    camera = Camera(film(60))
    for mode, number in itertools.product(MODES, numbers):
        with tempfile.TemporaryDirectory() as folder:
            names = [f"camera{n}" for n in range(number)]
            said = {"source": camera.url, "codec": "h264", **MODES[mode]}
            said["destinations"] = ["{camera}-%Y%m%d-%H%M%S.mkv"]
            service = Service(Path(folder), dict.fromkeys(names, said))
            try:
                service.wait_for(names, 10 * RATE)
                yield {"mode": mode, "cameras": number, **_cost(service, seconds)}
            finally:
                service.stop()


def _cost(service: Service, seconds: float) -> dict[str, Any]:
    pids = service.processes()
    frames = {what: service.count("motionveil_frames_total", what=what) for what in _LOSSES}
    busy, started = machine_seconds(), time.monotonic()
    taken = {name: processor_seconds(pid) for name, pid in pids.items()}
    own = time.process_time()
    time.sleep(seconds)
    passed = time.monotonic() - started
    taken = {name: processor_seconds(pid) - taken[name] for name, pid in pids.items()}
    others = machine_seconds() - busy - sum(taken.values()) - (time.process_time() - own)
    supervisor = taken.pop("supervisor")
    used = {name: memory(pid) for name, pid in pids.items()}
    more = {
        what: sum(service.count("motionveil_frames_total", what=what).values())
        - sum(before.values())
        for what, before in frames.items()
    }
    latencies = [camera["latency_p95_ms"] for camera in service.stats().values()]
    return {
        "seconds": round(passed, 1),
        "frames": more,
        "processor_per_camera": round(statistics.mean(taken.values()) / passed, 4),
        "processor_supervisor": round(supervisor / passed, 4),
        "latency_p95_ms": round(statistics.median(latencies), 1),
        "pss_camera_mib": round(
            statistics.mean(m["pss_mib"] for name, m in used.items() if name != "supervisor")
        ),
        "pss_supervisor_mib": used["supervisor"]["pss_mib"],
        "cores_busy_with_others": round(others / passed, 2),
        "cores": os.cpu_count(),
    }


_LOSSES = ("in", "dropped", "damaged")


class Losses:
    """Loses one of several cameras at a time, in one way or another."""

    def __init__(self, service: Service, cameras: dict[str, Camera]) -> None:
        self._service, self._cameras = service, cameras
        self.counts = {"broken off": 0, "silent": 0, "killed": 0}

    def lose(self, number: int) -> None:
        """Lose the camera whose turn it is."""
        names = list(self._cameras)
        camera = self._cameras[names[number % len(names)]]
        if number % 120 == 58:
            with suppress(KeyError):  # it is being started again
                os.kill(self._service.processes()["killed"], signal.SIGKILL)
                self.counts["killed"] += 1
        elif number % 30 == 15:
            self.counts["silent"] += 1
            camera.talks.clear()
            threading.Timer(6.0, camera.talks.set).start()
        else:
            self.counts["broken off"] += 1
            camera.break_off()


def day(losses: int, every: float) -> dict[str, Any]:
    """Lose cameras for a compressed day, and return what is left of it."""
    pictures = film(60)
    cameras = {name: Camera(pictures) for name in ("hall", "desk", "yard", "killed")}
    with tempfile.TemporaryDirectory() as folder, _listener(Path(folder)) as listener:
        said = {
            **{"recogniser": "actors", "codec": "h264"},
            "destinations": ["recordings/{camera}-%Y%m%d-%H%M%S.mkv"],
            "recordings": {"length": 10 * every},  # ten minutes
            "events": {"mqtt": f"mqtt://127.0.0.1:{listener.port}/home"},
        }
        (Path(folder) / "trace").mkdir()
        traced = (*TRACER, "--seccomp-bpf", "-o", f"{folder}/trace/log")
        before = traced if shutil.which("strace") else ()
        sources = {name: {**said, "source": camera.url} for name, camera in cameras.items()}
        service = Service(Path(folder), sources, before)
        service.wait_for(list(cameras), RATE)
        lost = Losses(service, cameras)
        busy, started = machine_seconds(), time.monotonic()
        samples = list(_lose(lost, service, losses, every))
        busy = (machine_seconds() - busy) / (time.monotonic() - started)
        for camera in cameras.values():
            camera.talks.clear()
        told = _settled(service)
        took = service.stop()
        opened = written(Path(folder) / "trace" / "log") if before else set()
        return {
            "losses": lost.counts,
            "seconds": round(time.monotonic() - started),
            "cores_busy": round(busy, 2),
            "cameras": {
                name: {**told[name], **_kept(Path(folder) / "recordings", name, listener)}
                for name in cameras
            },
            "samples": samples,
            "stopped_in": round(took, 1),
            "traced": bool(before),
            "opened_for_writing": sorted({_kind(Path(folder), name) for name in opened}),
        }


@contextmanager
def _listener(folder: Path) -> Iterator[Any]:
    broker = Broker(folder)
    listener: Any = Listener(broker.port)
    listener.port = broker.port
    try:
        yield listener
    finally:
        listener.close()
        broker.stop()


def _lose(lost: Losses, service: Service, losses: int, every: float) -> Iterator[dict[str, Any]]:
    start = time.monotonic()
    for number in range(losses):
        time.sleep(max(0.0, start + number * every - time.monotonic()))
        if number % 60 == 40:  # an hour later, and well after a process was killed
            pids = service.processes()
            found = {name: memory(pid) for name, pid in pids.items()}
            found["supervisor"]["processes"] = len(children(pids["supervisor"]))
            print(f"minute {number}: {found}", flush=True)
            yield {"minute": number, **found}
        lost.lose(number)


def _settled(service: Service) -> dict[str, dict[str, float]]:
    """Wait until nothing is counted any more; return what is told of frames and events."""
    names = {
        "frames_told": ("motionveil_destination_frames_total", "written"),
        "frames_missed_told": ("motionveil_destination_frames_total", "missed"),
        "events_told": ("motionveil_events_total", "delivered"),
        "events_lost_told": ("motionveil_events_total", "lost"),
    }
    before: dict[str, Any] = {}
    while True:
        time.sleep(5)
        found = {key: service.count(name, what=what) for key, (name, what) in names.items()}
        found["restarts"] = service.count("motionveil_restarts_total")
        if found == before:
            cameras = found["frames_told"]
            return {name: {key: by.get(name, 0) for key, by in found.items()} for name in cameras}
        before = found


def _kept(folder: Path, name: str, listener: Listener) -> dict[str, int]:
    """Count the frames in a camera's recordings, and its events at the broker."""
    frames = files = unfinished = 0
    for path in folder.iterdir():
        if path.name.lstrip(".").startswith(name) and path.stat().st_size:
            files += 1
            unfinished += path.name.startswith(".")
            # Of a process that was killed in its first second, there may be no whole header.
            with suppress(av.FFmpegError), av.open(str(path)) as container:
                frames += sum(packet.size > 0 for packet in container.demux(video=0))
    events = {*listener.payloads(f"home/{name}/event")}
    return {"files": files, "unfinished": unfinished, "frames": frames, "events": len(events)}


def _kind(folder: Path, name: str) -> str:
    """Return a path without what differs from file to file."""
    name = name.replace(str(folder), "")
    return re.sub(r"\d{8}-\d{6}(-\d+)?|(?<=\.)[0-9a-f]{8}(?=\.part)", "*", name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    load = commands.add_parser("load")
    load.add_argument("--cameras", type=int, nargs="+", default=[1, 2, 4, 8])
    load.add_argument("--seconds", type=float, default=60)
    losing = commands.add_parser("day")
    losing.add_argument("--losses", type=int, default=1440)
    losing.add_argument("--every", type=float, default=0.6)
    for each in (load, losing):
        each.add_argument("--json", metavar="FILE")
    given = parser.parse_args()
    if given.command == "day":
        figures = day(given.losses, given.every)
        print(json.dumps({k: v for k, v in figures.items() if k != "samples"}, indent=1))
    else:
        figures = {"rows": []}
        for row in under_load(given.cameras, given.seconds):
            figures["rows"].append(row)
            print(json.dumps(row), flush=True)
    write_figures(given.json, figures)


if __name__ == "__main__":
    main()
