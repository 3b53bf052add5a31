"""Whole sources: veiled elsewhere or here, with what is reported and written."""

from __future__ import annotations

from pathlib import Path
from threading import Event as Stop

import numpy as np
import pytest

from motionveil import MotionveilError, encode_video, load_recogniser
from motionveil.recognition import (
    Answer,
    Event,
    RecognitionOptions,
    StreamOptions,
    recognise_clip,
    recognise_source,
)
from motionveil.video import FileSource, SyntheticSource, VideoSink
from recognition.conftest import CLASSES, Make, encoder
from recognition.veiled_frames import write_veiled

PLAIN = RecognitionOptions(stream=StreamOptions(stride=0.1, half_life=0, shortest=0), veiled=True)


class Listener:
    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.events: list[Event] = []

    def answer(self, answer: Answer) -> None:
        self.answers.append(answer)

    def event(self, event: Event) -> None:
        self.events.append(event)


def test_a_veiled_file(make: Make, tmp_path: Path) -> None:
    file = write_veiled(tmp_path / "in.mkv", [0] * 10 + [1] * 10)
    listener = Listener()
    summary = recognise_source(FileSource(file), load_recogniser(make()), [listener], PLAIN)
    assert summary.frames_in == 21
    assert summary.frames == 20  # the neutral frame that `encode` writes first is left out
    assert summary.windows == len(listener.answers) == 17
    assert summary.events == {CLASSES[0]: 1, CLASSES[1]: 1}
    assert listener.events[-1].end == pytest.approx(2.0)


def test_a_raw_file_is_as_its_veiled_one(make: Make, tmp_path: Path) -> None:
    """Veiling here and recognising, or veiling there and recognising the file: the same answers."""
    rng = np.random.default_rng(0)
    room = rng.integers(60, 120, (48, 48, 3), np.uint8)
    with VideoSink(tmp_path / "raw.mkv", rate=10) as sink:
        for number in range(30):
            frame = room.copy()
            frame[10:30, number : number + 12] = (230, 60, 60)
            sink.write(frame)
    recogniser = load_recogniser(make())
    spec = recogniser.spec.stream_spec()
    encode_video(tmp_path / "raw.mkv", tmp_path / "veiled.mkv", encoder=spec, guard=False)
    told = []
    for name, veiled in (("raw.mkv", False), ("veiled.mkv", True)):
        listener = Listener()
        options = RecognitionOptions(stream=PLAIN.stream, veiled=veiled, guard=False)
        recognise_source(FileSource(tmp_path / name), recogniser, [listener], options)
        told.append([(a.time, a.label, a.probability, a.top) for a in listener.answers])
    assert len(told[0]) == 26
    assert told[0] == told[1]
    # Of clips, as of those of a validation, the guard closes frames.
    encode_video(tmp_path / "raw.mkv", tmp_path / "veiled.mkv", encoder=spec)
    clips = [
        recognise_clip(FileSource(tmp_path / name), recogniser, veiled=veiled, top=3)
        for name, veiled in (("raw.mkv", False), ("veiled.mkv", True))
    ]
    assert clips[0] == clips[1]
    assert len(clips[0].top) == 3


def test_what_was_enlarged_or_is_too_fast_is_refused(make: Make, tmp_path: Path) -> None:
    recogniser = load_recogniser(make())
    large = write_veiled(tmp_path / "large.mkv", [0] * 4, side=32)
    with pytest.raises(MotionveilError, match=r"large\.mkv: 16x32, but .* 16 pixels|short side"):
        recognise_source(FileSource(write_wide(large)), recogniser, [], PLAIN)
    fast = write_veiled(tmp_path / "fast.mkv", [0] * 4, rate=25)
    with pytest.raises(MotionveilError, match=r"25 frames/s, but .* cannot be left out"):
        recognise_source(FileSource(fast), recogniser, [], PLAIN)


def write_wide(file: Path) -> Path:
    """Write a veiled video of 32 x 32 pixels."""
    with VideoSink(file, rate=10) as sink:
        for _ in range(4):
            sink.write(np.full((32, 32, 3), 128, np.uint8))
    return file


def test_what_another_encoder_veiled_is_refused(make: Make, tmp_path: Path) -> None:
    with VideoSink(tmp_path / "raw.mkv", rate=10) as sink:
        for number in range(6):
            sink.write(np.full((32, 32, 3), 40 * number, np.uint8))
    other = encoder().change(sigma=2.0)
    encode_video(tmp_path / "raw.mkv", tmp_path / "veiled.mkv", encoder=other)
    with pytest.raises(MotionveilError, match=f"was veiled by bdq {other.fingerprint}"):
        recognise_source(FileSource(tmp_path / "veiled.mkv"), load_recogniser(make()), [], PLAIN)


def test_a_live_source_ends_when_it_is_told_to(make: Make) -> None:
    options = RecognitionOptions(limit=12)
    source = SyntheticSource(64, 48, 30)
    summary = recognise_source(source, load_recogniser(make()), [], options, stop=Stop())
    assert summary.frames_in == 12
    with pytest.raises(MotionveilError, match="does not end by itself"):
        recognise_clip(source, load_recogniser(make()))


def test_a_stream_shorter_than_its_window(make: Make, tmp_path: Path) -> None:
    file = write_veiled(tmp_path / "short.mkv", [2, 2])
    listener = Listener()
    summary = recognise_source(FileSource(file), load_recogniser(make()), [listener], PLAIN)
    assert summary.windows == 1
    assert summary.events == {CLASSES[2]: 1}
    clip = recognise_clip(FileSource(file), load_recogniser(make()), veiled=True)
    assert clip.label == CLASSES[2]
    assert clip.probability == listener.answers[0].probability


def test_a_fault_of_a_receiver_ends_it(make: Make, tmp_path: Path) -> None:
    class Broken(Listener):
        def event(self, event: Event) -> None:
            raise MotionveilError("receiver: full")

    file = write_veiled(tmp_path / "in.mkv", [0] * 8)
    with pytest.raises(MotionveilError, match="receiver: full"):
        recognise_source(FileSource(file), load_recogniser(make()), [Broken()], PLAIN)
