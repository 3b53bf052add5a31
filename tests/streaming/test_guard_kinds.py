"""Events that look like motion, and motion that looks like an event."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from motionveil.spec import load_spec
from motionveil.streaming import Guard, StreamEncoder
from motionveil.streaming.guard_memory import differing
from motionveil.video import read_clip

Frames = NDArray[np.uint8]
Image = NDArray[np.float64]
RATES = {"bdq": 15, "bdq-ut": 10}
SPECS = pytest.mark.parametrize("name", ["bdq", "bdq-ut"])
START = 10
"""Frames before the event; as many follow."""
OFF, SHOWN = 17, 0.02


@pytest.fixture(scope="module")
def street(ut_interaction: Path) -> Frames:
    return read_clip(ut_interaction / "segmented_set1" / "0_1_4.avi")


@pytest.fixture(scope="module")
def boxer(kth: Path) -> Frames:
    return read_clip(kth / "boxing" / "person16_boxing_d4_uncomp.avi", 0, 60)


def noisy(images: Iterable[Image]) -> list[Frames]:
    rng = np.random.default_rng(0)
    return [
        np.clip(np.rint(image + rng.normal(0, 1.5, image.shape)), 0, 255).astype(np.uint8)
        for image in images
    ]


def still(scene: Frames, event: Callable[[Image, int], Image]) -> list[Frames]:
    """Hold a scene still; the event sees how many frames after its start each is."""
    image = scene.astype(float)
    return noisy(event(image, n) if n >= 0 else image for n in range(-START, START))


def veil(name: str, frames: Iterable[Frames], guard: Guard | None) -> list[Frames]:
    """Veil frames of the encoder's own rate."""
    encoder = StreamEncoder(load_spec(name), guard=guard)
    veiled = [encoder(frame, time=n / RATES[name]) for n, frame in enumerate(frames)]
    assert all(frame is not None for frame in veiled)
    return [frame.astype(int) - encoder.neutral for frame in veiled if frame is not None]


def shown(name: str, frames: Iterable[Frames], guard: Guard | None) -> list[int]:
    """Return the numbers of the frames that show something."""
    veiled = veil(name, frames, guard)
    return [n for n, v in enumerate(veiled) if (np.abs(v).max(-1) > OFF).mean() > SHOWN]


def spot(image: Image, down: float, right: float, size: float) -> Image:
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width] / height
    away = (y - down) ** 2 + (x - right * width / height) ** 2
    return np.exp(-away / (2 * size * size))[..., None]


def block_that_jumps(image: Image, n: int) -> Image:
    height, width = image.shape[:2]
    spoilt = image.copy()
    if n == 0:
        place = slice(height // 4, 3 * height // 4), slice(width // 8, width // 2)
        spoilt[place] = np.roll(image, (4, 8), (0, 1))[place]
    return spoilt


def combs(image: Image, n: int) -> Image:
    spoilt = image.copy()
    if n == 0:
        rows = np.arange(len(image)) // 40 % 2 == 0
        spoilt[rows] = np.roll(image[rows], 14, axis=1)
    return spoilt


def smeared_corner(image: Image, n: int) -> Image:
    height, width = image.shape[:2]
    spoilt = image.copy()
    if n == 0:
        spoilt[height // 2 :, : width // 2] = image[height // 2, : width // 2]
    return spoilt


class TestEvents:
    @SPECS
    @pytest.mark.parametrize("event", [block_that_jumps, combs, smeared_corner])
    def test_nobody_starts_at_once(
        self, name: str, event: Callable[[Image, int], Image], street: Frames
    ) -> None:
        frames = still(street[20], event)
        assert shown(name, frames, None)[0] == START
        assert shown(name, frames, Guard()) == []

    @SPECS
    def test_a_lamp_beside_somebody(self, name: str, boxer: Frames) -> None:
        light = 1 + 2 * spot(boxer[0].astype(float), 0.1, 0.5, 0.08)
        people = boxer[: 2 * START].astype(float)
        frames = noisy(i if n < START else i * light for n, i in enumerate(people))
        assert START in shown(name, frames, None)
        assert START not in shown(name, frames, Guard())

    @SPECS
    def test_a_lamp_at_the_edge_at_night(self, name: str, street: Frames) -> None:
        def lamp(image: Image, n: int) -> Image:
            return image * (1 + 8 * (n >= 0) * spot(image, 0.0, 0.5, 0.12))

        frames = still(street[20] // 8, lamp)
        assert shown(name, frames, None)[0] == START
        assert shown(name, frames, Guard()) == []

    @SPECS
    def test_what_goes_beside_people_has_not_moved(self, name: str, street: Frames) -> None:
        frames = list(street[20:60:2].copy())
        for frame in frames[START : START + 2]:
            frame[len(frame) // 5 : 4 * len(frame) // 5] = 128
        assert START + 2 in shown(name, frames, None)
        assert START + 2 not in shown(name, frames, Guard())

    def test_colours_that_go_beside_people(self, ut_interaction: Path) -> None:
        """Red falls where green rises: no direction of the whole tells."""
        clip = read_clip(ut_interaction / "segmented_set1" / "43_8_4.avi", 0, 60)
        frames = list(clip[::3])
        grey = [np.rint(frame @ [0.299, 0.587, 0.114]) for frame in frames[START:]]
        frames[START:] = [image[..., None].repeat(3, 2).astype(np.uint8) for image in grey]
        assert START in shown("bdq-ut", frames, None)
        assert START not in shown("bdq-ut", frames, Guard())


class TestMotion:
    @pytest.mark.parametrize("phase", [0, 1])
    def test_a_runner_is_not_closed_twice_in_a_row(self, phase: int, kth: Path) -> None:
        clip = read_clip(kth / "running" / "person23_running_d3_uncomp.avi")
        encoder = StreamEncoder(load_spec("bdq-ut"), guard=Guard())
        reasons = []
        for n, frame in enumerate(clip[phase:]):
            if encoder(frame, time=n / 25) is not None:
                reasons.append(encoder.guarded)
        closed = [n for n, reason in enumerate(reasons) if reason and n]
        assert len(closed) <= 1

    def test_a_still_picture_may_start_again(self, ut_interaction: Path) -> None:
        """Without noise an image stood still: nothing tells how long."""
        clip = read_clip(ut_interaction / "segmented_set1" / "33_6_3.avi", 0, 40)
        frames = [clip[15]] * 6 + list(clip[18::3])
        assert 6 in shown("bdq-ut", frames, None)
        assert 6 in shown("bdq-ut", frames, Guard())


def test_values_that_differ() -> None:
    frame = np.zeros((8, 4, 3), np.uint8)
    other = frame.copy()
    other[2, :2] = 1
    assert differing(frame, frame, 1) == 0
    assert differing(frame, other, 1) == pytest.approx(1 / 16)
    assert differing(frame, other, 2) == pytest.approx(1 / 8)
    assert differing(frame, other, 3) == 0
