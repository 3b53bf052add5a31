"""Many participants of a study at once: how long each waits, and whether an answer is lost.

Makes a study whose clips and pictures are random bytes of usual sizes, serves it in a process of
its own, and lets participants go through it, each on a connection of its own: they ask for page,
video and pictures as a browser does (pictures once each), think, and answer. A participant waits
from the click on "Answer" until the next page is there; that is what is measured. Afterwards every
answer that the server acknowledged is looked for in its database.

    python benchmarks/study_load.py [--participants 200] [--questions 20] [--think 4] [--json FILE]

Server and participants share the machine's cores. Think 0 measures how much it can do at most.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from measuring import write_figures
from motionveil.study.design import (
    IMAGES,
    MEDIA,
    Key,
    Person,
    Question,
    RightAnswer,
    Study,
    StudyDataset,
    write_study,
)
from motionveil.study.store import export

CLIP, PORTRAIT = 150_000, 8_000  # bytes
PEOPLE, OPTIONS = 12, 7


def make_study(folder: Path, questions: int) -> None:
    """Write a study of two people per question, out of seven."""
    people = [Person(id=f"who{n:02}", picture=f"face{n:02}.jpg") for n in range(PEOPLE)]
    asked = [
        Question(
            id=f"q{n:03}",
            condition="veiled",
            clip=f"clip{n:03}",
            options=sorted(random.sample([person.id for person in people], OPTIONS)),
        )
        for n in range(questions)
    ]
    study = Study(
        title="Load",
        created="2026-01-01",
        motionveil="0",
        seed=1,
        dataset=StudyDataset(name="random bytes", hash="0"),
        label="pair",
        people=people,
        persons_per_question=2,
        options=OPTIONS,
        conditions=["veiled"],
        questions=asked,
        break_every=0,
    )
    right = {q.id: RightAnswer(persons=q.options[:2], action="", source="") for q in asked}
    for name in (MEDIA, IMAGES):
        (folder / name).mkdir(parents=True)
    for question in asked:
        for suffix in (".mp4", ".webm"):
            (folder / MEDIA / f"{question.clip}{suffix}").write_bytes(os.urandom(CLIP))
    for person in people:
        (folder / IMAGES / person.picture).write_bytes(os.urandom(PORTRAIT))
    write_study(folder, study, Key(questions=right, names={p.id: p.id for p in people}))


class Browser:
    """One connection, as much of HTTP as is needed, and all times in seconds."""

    def __init__(self, url: str) -> None:
        self._host, self._port = urlsplit(url).hostname, urlsplit(url).port
        self._cookie = ""

    async def open(self) -> None:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)

    async def ask(self, method: str, path: str, body: str = "") -> tuple[int, bytes]:
        """Make a request; return the status and the body."""
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n{self._cookie}"
        if method == "POST":
            head += "Content-Type: application/x-www-form-urlencoded\r\n"
            head += f"Content-Length: {len(body)}\r\n"
        self._writer.write(f"{head}\r\n{body}".encode())
        answer = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = re.search(r"(?i)^content-length: (\d+)", answer, re.M)
        content = await self._reader.readexactly(int(length[1]) if length else 0)
        if cookie := re.search(r"(?i)^set-cookie: ([^;]+)", answer, re.M):
            self._cookie = f"Cookie: {cookie[1]}\r\n"
        return int(answer.split(maxsplit=2)[1]), content


class Load:
    """What all participants share, and what is measured."""

    def __init__(self, think: float) -> None:
        self.think = think
        self.waits: list[float] = []
        self.pages: list[float] = []
        self.media: list[float] = []
        self.acknowledged: list[tuple[str, frozenset[str]]] = []

    async def timed(self, times: list[float], browser: Browser, *words: str) -> tuple[int, str]:
        """Make a request, and note how long it took."""
        begun = time.perf_counter()
        status, content = await browser.ask(*words)
        times.append(time.perf_counter() - begun)
        return status, content.decode("latin-1")

    async def take_part(self, link: str) -> None:
        """Go through a whole session."""
        browser = Browser(link)
        await browser.open()
        await asyncio.sleep(random.uniform(0, self.think))
        await self.timed(self.pages, browser, "GET", urlsplit(link).path)
        await browser.ask("POST", "/join", f"token={link.rpartition('/')[2]}")
        await browser.ask("POST", "/consent", "agree=yes")
        await browser.ask("POST", "/go-on", "answered=0")
        _, page = await self.timed(self.pages, browser, "GET", "/session")
        seen: set[str] = set()
        while question := re.search(r'name="question" value="(\w+)"', page):
            wanted = re.findall(r"/media/[\w.]+", page)
            for path in dict.fromkeys(name for name in wanted if not name.endswith(".webm")):
                if path not in seen:
                    seen.add(path)
                    status, _ = await self.timed(self.media, browser, "GET", path)
                    assert status == 200, f"{path}: {status}"
            await asyncio.sleep(random.uniform(0.5, 1.5) * self.think)
            chosen = random.sample(re.findall(r'name="chosen" value="(\w+)"', page), 2)
            body = f"question={question[1]}&chosen={chosen[0]}&chosen={chosen[1]}"
            begun = time.perf_counter()
            status, _ = await browser.ask("POST", "/answer", body)
            assert status == 303, f"the answer to {question[1]}: {status}"
            self.acknowledged.append((question[1], frozenset(chosen)))
            page = (await self.timed(self.pages, browser, "GET", "/session"))[1]
            self.waits.append(time.perf_counter() - begun)


def serve(folder: Path, participants: int) -> tuple[subprocess.Popen[str], list[str]]:
    """Start the server; return its process and the participants' links."""
    links = folder / "links.txt"
    command = [sys.executable, "-m", "motionveil", "study", "serve", str(folder)]
    command += ["--address", "127.0.0.1:0", "--invite", str(participants), "--links", str(links)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    while not server.stdout.readline().startswith("administrator: "):
        assert server.poll() is None, "the server has ended"
    return server, links.read_text().split()


def percentile(times: Sequence[float], share: int) -> float:
    """Return a percentile in milliseconds."""
    return 1000 * statistics.quantiles(times, n=100)[share - 1]


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve a study to many participants at once.")
    parser.add_argument("--participants", type=int, default=200)
    parser.add_argument("--questions", type=int, default=20)
    parser.add_argument("--think", type=float, default=4.0, help="mean seconds before an answer")
    parser.add_argument("--json", metavar="FILE", help="also write the figures here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "study"
        make_study(folder, arguments.questions)
        server, links = serve(folder, arguments.participants)
        try:
            load, busy, begun = Load(arguments.think), os.getloadavg()[0], time.perf_counter()

            async def all_of_them() -> None:
                await asyncio.gather(*(load.take_part(link) for link in links))

            asyncio.run(all_of_them())
            lasted = time.perf_counter() - begun
        finally:
            server.terminate()
            server.wait(30)
        kept = [(a.question, frozenset(a.chosen)) for p in export(folder) for a in p.answers]
    for answer in kept:
        load.acknowledged.remove(answer)
    figures = {
        "participants": arguments.participants,
        "answers": len(kept),
        "expected": arguments.participants * arguments.questions,
        "lost": len(load.acknowledged),
        "answers_a_second": len(kept) / lasted,
        "load_before": busy,
    }
    for what, times in (("wait", load.waits), ("page", load.pages), ("media", load.media)):
        for share in (50, 95, 99):
            figures[f"{what}_p{share}_ms"] = percentile(times, share)
    for key, value in figures.items():
        print(f"{key:20} {value:10.1f}" if isinstance(value, float) else f"{key:20} {value:10}")
    write_figures(arguments.json, figures)


if __name__ == "__main__":
    main()
