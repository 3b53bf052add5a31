"""Draws the README's images of `motionveil recognise test:actors`.

    python benchmarks/recognition_pictures.py docs/images

writes `recognised.webp`, a few seconds of what is filmed, veiled and recognised, and
`recognise.png`, the preview's page after a while, for which it needs Playwright and Chromium.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event as Stop
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from motionveil.recognition import StreamRecogniser, load_recogniser
from motionveil.recognition.reports import Timeline
from motionveil.streaming import Guard, StreamEncoder
from motionveil.video import SyntheticSource

RATE = 15
BEGIN, END = 5.5, 19.5  # seconds that are shown
PANEL = (320, 240)
BAND = 62  # rows below the two panels
PAPER, INK, SOFT, BLUE, MAT = "#ffffff", "#1b1b1b", "#59616a", "#0072b2", "#dfe2e6"
COLOURS = ("#6ec1ee", "#f2b134", "#6fd3b0", "#f3e55b", "#f0a5c8", "#a9bdff", "#ff9f85", "#c4dc72")


def seen() -> Iterator[tuple[float, np.ndarray, np.ndarray, dict[str, Any]]]:
    """Yield time, filmed frame, veiled frame and what is recognised, frame by frame."""
    recogniser = load_recogniser("actors")
    encoder = StreamEncoder(recogniser.spec.stream_spec(), guard=Guard())
    timeline = Timeline()
    stream = StreamRecogniser(recogniser, told=timeline.answer)
    camera = SyntheticSource(*PANEL, RATE, frames=round(RATE * END), paced=False, actors=True)
    for frame in camera.frames(Stop()):
        veiled = encoder(frame.image, time=frame.time, fresh=frame.fresh)
        assert veiled is not None, "the camera has the encoder's rate"
        for event in stream(veiled, frame.time, guarded=encoder.guarded):
            timeline.event(event)
        yield frame.time, frame.image, veiled, timeline.snapshot()


class Painter:
    """Puts the parts of an image together."""

    def __init__(self) -> None:
        self.large, self.small = (ImageFont.load_default(size) for size in (24, 13))
        self.colours: dict[str, str] = {}

    def paint(self, filmed: np.ndarray, veiled: np.ndarray, told: dict[str, Any]) -> Image.Image:
        """Return a frame of the animation."""
        width, height = PANEL
        canvas = Image.new("RGB", (2 * width, height + BAND), PAPER)
        canvas.paste(Image.fromarray(filmed), (0, 0))
        canvas.paste(Image.fromarray(veiled).resize(PANEL, Image.Resampling.NEAREST), (width, 0))
        pen = ImageDraw.Draw(canvas)
        for left, title in ((0, "filmed (drawn)"), (width, "veiled: all that is passed on")):
            box = pen.textbbox((left + 8, 6), title, font=self.small)
            pen.rectangle((box[0] - 4, box[1] - 3, box[2] + 4, box[3] + 3), fill=PAPER)
            pen.text((left + 8, 6), title, fill=INK, font=self.small)
        self._band(pen, told, height)
        return canvas

    def _band(self, pen: ImageDraw.ImageDraw, told: dict[str, Any], top: int) -> None:
        full = 2 * PANEL[0]
        acts = told["label"] is not None and told["kind"] == "action"
        label = told["label"] or "..."
        pen.text((8, top + 4), label, fill=INK if acts else SOFT, font=self.large)
        if acts:
            share = f"{told['probability']:.0%}"
            pen.text((full - 8, top + 4), share, fill=INK, font=self.large, anchor="ra")
        pen.rectangle((300, top + 14, full - 80, top + 22), fill=MAT)
        if acts:
            end = 300 + round((full - 380) * told["probability"])
            pen.rectangle((300, top + 14, end, top + 22), fill=BLUE)
        self._timeline(pen, told, top + 38)

    def _timeline(self, pen: ImageDraw.ImageDraw, told: dict[str, Any], top: int) -> None:
        full, shown = 2 * PANEL[0], END - BEGIN
        pen.rectangle((0, top, full, top + 20), fill=MAT)
        for event in told["events"]:
            if event["kind"] != "action":
                continue
            left, right = (round(full * (event[end] - BEGIN) / shown) for end in ("from", "to"))
            name = event["label"]
            colour = self.colours.setdefault(name, COLOURS[len(self.colours) % len(COLOURS)])
            pen.rectangle((left, top, right, top + 20), fill=colour)
            if pen.textlength(name, font=self.small) < right - left - 4:
                pen.text((left + 3, top + 2), name, fill=INK, font=self.small)


def draw_film(path: Path) -> None:
    """Write the animation, every second frame."""
    painter = Painter()
    frames = [
        painter.paint(filmed, veiled, told)
        for number, (time, filmed, veiled, told) in enumerate(seen())
        if time >= BEGIN and number % 2 == 0
    ]
    frames[0].save(
        path,
        save_all=True,
        append_images=frames[1:],
        duration=round(2000 / RATE),
        loop=0,
        quality=40,
        method=4,
    )
    print(f"wrote {path}: {len(frames)} frames, {path.stat().st_size / 1000:.0f} kB")


def draw_page(path: Path, seconds: float) -> None:
    """Write the preview's page as it is when an action is named, after so many seconds."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    command = [sys.executable, "-m", "motionveil", "recognise", "test:actors"]
    with subprocess.Popen(
        [*command, "--preview", "127.0.0.1:0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stderr is not None
        said = next(line for line in program.stderr if "preview at" in line)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1180, "height": 760})
            page.goto(re.search(r"http\S+", said)[0])
            page.wait_for_timeout(1000 * seconds)
            page.wait_for_selector("#label[data-kind=action]", timeout=60_000)
            page.wait_for_timeout(500)
            page.screenshot(path=path)
            browser.close()
        program.terminate()
        program.communicate()
    print(f"wrote {path}: {path.stat().st_size / 1000:.0f} kB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--no-page", action="store_true", help="only the animation")
    parser.add_argument("--seconds", type=float, default=45, help="after which the page is taken")
    arguments = parser.parse_args()
    draw_film(arguments.folder / "recognised.webp")
    if not arguments.no_page:
        draw_page(arguments.folder / "recognise.png", arguments.seconds)


if __name__ == "__main__":
    main()
