"""A whole video: the same frames at the same times, faces blurred, and counted."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.faces import Blur, FaceDetector, Faces, blur_video
from motionveil.faces.blurring import FaceCounts
from motionveil.video import VideoSink, probe, read_clip, read_frames
from videos import cut_short, write_pictures, write_video
from white_squares import SIDE, squares, write_detector

PLACES = [(16, 16), (16, 16), None, None, (24, 16), None, (40, 8), None, None, None]
"""Where the face is in each frame; the one in the fifth is that in the second."""

Clip = NDArray[np.uint8]


@pytest.fixture
def clip() -> Clip:
    return squares(PLACES)


@pytest.fixture(scope="module")
def detect(tmp_path_factory: pytest.TempPathFactory) -> FaceDetector:
    return FaceDetector(write_detector(tmp_path_factory.mktemp("network") / "white.onnx"))


def nobody(frame: Clip) -> Faces:
    empty = np.empty((0, 4), np.float32)
    return Faces(empty, empty[:, 0], np.empty((0, 5, 2), np.float32))


def shown(clip: Clip) -> list[bool]:
    """Say of each frame whether the square that was drawn in it can be seen as it was."""
    found = []
    for image, place in zip(clip, PLACES, strict=True):
        x, y = place or (0, 0)
        found.append(place is not None and bool((image[y : y + SIDE, x : x + SIDE] == 255).all()))
    return found


def test_blurs_what_is_found_and_holds_it(tmp_path: Path, clip: Clip, detect: FaceDetector) -> None:
    write_video(tmp_path / "in.mkv", clip)
    counts = blur_video(tmp_path / "in.mkv", tmp_path / "out.mkv", detect, Blur(hold=1))
    assert counts == FaceCounts(frames=10, with_face=4, blurred=7, faces=4)
    blurred = read_clip(tmp_path / "out.mkv")
    assert any(shown(clip))
    assert not any(shown(blurred))
    changed = (blurred != clip).any(axis=(1, 2, 3))
    assert changed.tolist() == [True, True, True, False, True, True, True, True, False, False]
    far = np.s_[:, 32:]  # no face was ever there
    assert np.array_equal(blurred[far], clip[far])


def test_without_a_face_it_is_the_video(tmp_path: Path, clip: Clip) -> None:
    write_video(tmp_path / "in.mkv", clip)
    counts = blur_video(tmp_path / "in.mkv", tmp_path / "out.mkv", nobody)
    assert counts == FaceCounts(frames=10)
    assert np.array_equal(read_clip(tmp_path / "out.mkv"), clip)


def test_pixels_keep_their_shape(tmp_path: Path, clip: Clip) -> None:
    with VideoSink(tmp_path / "in.mp4", rate=25, aspect=Fraction(5, 4)) as sink:
        for frame in clip:
            sink.write(frame)
    for name in ("out.mp4", "out.mkv"):
        blur_video(tmp_path / "in.mp4", tmp_path / name, nobody)
        assert probe(tmp_path / name).aspect == Fraction(5, 4)


TICKS = Fraction(1, 90000)
TIMES = [0, 3003, 6006, 9010, 20000, 20001, 30030, 90000, 99009, 123456]


@pytest.mark.parametrize(
    ("name", "precision"), [("out.mp4", Fraction(0)), ("out.mkv", Fraction(1, 2000))]
)
def test_times_are_those_of_the_source(
    tmp_path: Path, clip: Clip, detect: FaceDetector, name: str, precision: Fraction
) -> None:
    # Two frames of 11 microseconds are one moment to Matroska.
    times = TIMES if name == "out.mp4" else [90 * time for time in range(0, 1000, 100)]
    source = write_video(tmp_path / "in.mp4", clip, time_base=TICKS, pts=times)
    blur_video(source, tmp_path / name, detect)
    before = [frame.pts * frame.time_base for frame in read_frames(source)]
    after = [frame.pts * frame.time_base for frame in read_frames(tmp_path / name)]
    assert len(after) == len(before) == 10
    assert before[5] - before[4] == (times[5] - times[4]) * TICKS
    assert max(abs(a - b) for a, b in zip(after, before, strict=True)) <= precision
    assert probe(tmp_path / name).width == 64


def test_a_folder_of_frames(tmp_path: Path, clip: Clip, detect: FaceDetector) -> None:
    write_pictures(tmp_path / "in", clip)
    counts = blur_video(tmp_path / "in", f"{tmp_path}/out/", detect, Blur(hold=0))
    assert counts.blurred == counts.with_face == 4
    assert not any(shown(read_clip(tmp_path / "out")))


def test_progress(tmp_path: Path, clip: Clip) -> None:
    write_pictures(tmp_path / "in", clip)
    told: list[tuple[int, int | None]] = []
    blur_video(
        tmp_path / "in",
        tmp_path / "out.mkv",
        nobody,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(done, 10) for done in range(1, 11)]


def test_a_fault_leaves_nothing(tmp_path: Path, clip: Clip) -> None:
    source = cut_short(write_video(tmp_path / "in.mkv", clip), 0.6)
    with pytest.raises(MotionveilError, match=r"in\.mkv"):
        blur_video(source, tmp_path / "out.mkv", nobody)
    assert [file.name for file in tmp_path.iterdir()] == ["in.mkv"]


def test_refuses_the_source_itself_and_a_pipe(tmp_path: Path, clip: Clip) -> None:
    source = write_video(tmp_path / "in.mkv", clip)
    (tmp_path / "link.mkv").symlink_to(source)
    before = source.read_bytes()
    for dest in (source, tmp_path / "link.mkv"):
        with pytest.raises(MotionveilError, match="this is the source itself"):
            blur_video(source, dest, nobody)
    assert source.read_bytes() == before
    with pytest.raises(MotionveilError, match="-: a face-blurred copy goes into a file"):
        blur_video(source, "-", nobody)


@pytest.mark.parametrize(("name", "value"), [("margin", 0.0), ("hold", -1)])
def test_settings_out_of_range(name: str, value: float) -> None:
    with pytest.raises(MotionveilError, match=f"{name} is {value}"):
        Blur(**{name: value})  # type: ignore[arg-type]
