"""A face-blurred copy of a data set: the same clips, each video once, made whole or made again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from motionveil.datasets.cache import ClipCache
from motionveil.datasets.manifest import Clip, Manifest
from motionveil.errors import MotionveilError
from motionveil.experiments.face_blur import FaceBlur, FaceLog, blur_manifest
from motionveil.faces import FaceCounts, blur_video
from motionveil.video import count_frames, read_clip
from videos import cut_short, write_pictures, write_video
from white_squares import SIDE, squares, write_detector

Frames = NDArray[np.uint8]

PLACES = {
    "run/a.mkv": [(16, 16)] * 6,
    "run/b.avi": [(24, 8)] * 4 + [None] * 8,
    "wave/c.mp4": [None] * 5,
    "wave/frames": [(40, 16)] * 4,
    "wave/d/rgb_*.png": [(8, 24)] * 3,
}
"""Where the face is in each frame of each video."""

PICTURES = ("wave/frames", "wave/d/rgb_*.png")


def _clip(path: str, start: int, end: int, split: str = "train") -> Clip:
    action = path.partition("/")[0]
    return Clip(path, start, end, action, {"person": f"p{start}"}, path, split)


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """Five videos: files of three formats, a folder of frames, and some of a folder's images."""
    root = tmp_path / "set"
    for path, places in PLACES.items():
        video = squares(places)
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        if path in PICTURES:
            folder = root / path if "*" not in path else (root / path).parent
            write_pictures(folder, video, "rgb_{}.png")
        else:
            write_video(root / path, video)
    write_pictures(root / "wave/d", squares([None] * 2, height=16), "depth_{}.png")
    clips = [_clip(path, 0, len(places)) for path, places in PLACES.items()]
    clips += [_clip("run/a.mkv", 2, 5), _clip("run/b.avi", 4, 12)]
    made = Manifest("mine", root, tuple(clips), split_rule="as it is")
    return Manifest.read(made.write(tmp_path / "mine.csv"))


@pytest.fixture
def detector(tmp_path: Path) -> Path:
    return write_detector(tmp_path / "white.onnx")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the video files that are blurred, in their order."""
    names: list[str] = []

    def watched(source: Path, *arguments: Any) -> FaceCounts:
        names.append(source.name)
        return blur_video(source, *arguments)

    monkeypatch.setattr("motionveil.experiments.face_blur.blur_video", watched)
    return names


@pytest.fixture
def copy(manifest: Manifest, detector: Path, tmp_path: Path) -> Callable[..., Manifest]:
    """Make the copy, or make it complete."""

    def make(**options: Any) -> Manifest:
        return blur_manifest(manifest, detector, tmp_path / "copy", workers=1, **options)

    return make


def _is_shown(frames: Frames, places: list[tuple[int, int] | None]) -> list[bool]:
    """Say of each frame whether its square is still the brightest that can be."""
    cuts = [
        None if place is None else frame[place[1] : place[1] + SIDE, place[0] : place[0] + SIDE]
        for frame, place in zip(frames, places, strict=True)
    ]
    return [cut is not None and bool(cut.mean() > 245) for cut in cuts]


def test_the_same_clips_of_the_same_names(
    copy: Callable[..., Manifest], manifest: Manifest, tmp_path: Path
) -> None:
    copied = copy()
    assert copied.name == "mine-faces-blurred"
    assert copied.root == tmp_path / "copy" / "."
    assert copied.file == tmp_path / "copy" / "manifest.csv"
    assert copied.clips == manifest.clips
    assert copied.hash == manifest.hash
    assert copied.split_rule == manifest.split_rule


@pytest.mark.parametrize("path", PLACES)
def test_frames_stay_and_faces_go(
    copy: Callable[..., Manifest], manifest: Manifest, path: str
) -> None:
    copied = copy()
    before, after = read_clip(manifest.root / path), read_clip(copied.root / path)
    assert after.shape == before.shape
    places = PLACES[path]
    assert _is_shown(before, places) == [place is not None for place in places]
    assert not any(_is_shown(after, places))
    corner = np.s_[:, -12:, -12:]  # where no face ever is, not a bit has changed
    assert np.array_equal(after[corner], before[corner])


def test_other_pictures_of_a_folder_stay_behind(copy: Callable[..., Manifest]) -> None:
    names = {path.name for path in (copy().root / "wave" / "d").iterdir()}
    assert names == {"rgb_0.png", "rgb_1.png", "rgb_2.png"}


def test_the_log_says_what_was_found(copy: Callable[..., Manifest], made: list[str]) -> None:
    log = FaceLog.read(copy().root)
    assert sorted(made) == ["a.mkv", "b.avi", "c.mp4"]  # each once, though two clips lie in it
    assert {path: video.counts for path, video in log.videos.items()} == {
        "run/a.mkv": FaceCounts(frames=6, with_face=6, blurred=6, faces=6),
        "run/b.avi": FaceCounts(frames=12, with_face=4, blurred=9, faces=4),
        "wave/c.mp4": FaceCounts(frames=5, with_face=0, blurred=0, faces=0),
        "wave/frames": FaceCounts(frames=4, with_face=4, blurred=4, faces=4),
        "wave/d/rgb_*.png": FaceCounts(frames=3, with_face=3, blurred=3, faces=3),
    }
    assert log.total == FaceCounts(frames=30, with_face=17, blurred=22, faces=17)
    assert log.settings["threshold"] == 0.5


def test_networks_are_trained_on_it(copy: Callable[..., Manifest], manifest: Manifest) -> None:
    """The cache reads the copy as it reads the data set, and keeps the two apart."""
    raw = ClipCache.build(manifest, size=48, fit="short-side")
    blurred = ClipCache.build(copy(), size=48, fit="short-side")
    for clip in manifest.clips:
        assert blurred.frames(clip).shape == raw.frames(clip).shape
        has_face = any(PLACES[clip.path][clip.start : clip.end])
        assert has_face != np.array_equal(blurred.frames(clip), raw.frames(clip)) or (
            clip.key == "run/b.avi#4-12"  # no face there, but the one before is held
        )


def test_what_is_there_is_not_made_again(
    copy: Callable[..., Manifest], tmp_path: Path, made: list[str]
) -> None:
    copied = copy()
    files = {file: file.stat().st_mtime_ns for file in copied.root.rglob("*.*g")}
    log = (copied.root / "faces.json").read_text()
    made.clear()
    assert copy().clips == copied.clips
    assert made == []
    assert {file: file.stat().st_mtime_ns for file in copied.root.rglob("*.*g")} == files
    assert (copied.root / "faces.json").read_text() == log


def test_what_is_damaged_missing_or_changed_is_made_again(
    copy: Callable[..., Manifest], manifest: Manifest, made: list[str]
) -> None:
    copied = copy()
    cut_short(copied.root / "run" / "a.mkv", 0.5)
    (copied.root / "wave" / "c.mp4").unlink()
    write_video(manifest.root / "run" / "b.avi", squares([(0, 0)] * 12))
    picture = copied.root / "wave" / "frames" / "rgb_2.png"
    picture.unlink()
    made.clear()
    copy()
    assert sorted(made) == ["a.mkv", "b.avi", "c.mp4"]
    assert count_frames(copied.root / "run" / "a.mkv") == 6
    assert picture.exists()
    log = FaceLog.read(copied.root)
    assert log.videos["run/b.avi"].counts.with_face == 12
    assert log.total.with_face == 25


def test_frames_that_went_from_the_source_go_from_the_copy(
    copy: Callable[..., Manifest], manifest: Manifest
) -> None:
    copied = copy()
    (manifest.root / "wave" / "frames" / "rgb_3.png").unlink()
    copy()
    assert count_frames(copied.root / "wave" / "frames") == 3


@pytest.mark.parametrize("settings", [FaceBlur(margin=2.0), FaceBlur(threshold=0.7)])
def test_other_settings_make_another_copy(
    copy: Callable[..., Manifest], settings: FaceBlur, made: list[str]
) -> None:
    copied = copy()
    before = read_clip(copied.root / "run" / "a.mkv")
    made.clear()
    copy(settings=settings)
    assert sorted(made) == ["a.mkv", "b.avi", "c.mp4"]
    wider = not np.array_equal(read_clip(copied.root / "run" / "a.mkv"), before)
    assert wider == (settings.margin == 2.0)


def test_another_detector_makes_another_copy(
    copy: Callable[..., Manifest], detector: Path, made: list[str]
) -> None:
    first = FaceLog.read(copy().root).detector
    write_detector(detector, weights=(0, 0, 0))  # blind
    made.clear()
    log = FaceLog.read(copy().root)
    assert len(made) == 3
    assert log.detector != first
    assert log.total == FaceCounts(frames=30)


def test_goes_on_after_a_fault(
    copy: Callable[..., Manifest], manifest: Manifest, tmp_path: Path, made: list[str]
) -> None:
    video = manifest.root / "wave" / "c.mp4"
    whole = video.read_bytes()
    cut_short(video, 0.5)
    with pytest.raises(MotionveilError, match=r"c\.mp4"):
        copy()
    there = tmp_path / "copy"
    assert not (there / "wave" / "c.mp4").exists()
    assert not (there / "manifest.csv").exists()
    assert not list(there.rglob(".*"))
    assert set(FaceLog.read(there).videos) == {"run/a.mkv", "run/b.avi"}
    video.write_bytes(whole)
    made.clear()
    copied = copy()
    assert made == ["c.mp4"]
    assert len(FaceLog.read(copied.root).videos) == 5


def test_half_written_is_never_taken_for_a_copy(
    copy: Callable[..., Manifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(source: Path, dest: Path, *_: object) -> None:
        dest.write_bytes(b"half a video")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("motionveil.experiments.face_blur.blur_video", killed)
        with pytest.raises(KeyboardInterrupt):
            copy()
    assert not (tmp_path / "copy" / "run" / "a.mkv").exists()
    assert read_clip(copy().root / "run" / "a.mkv").shape[0] == 6


def test_a_copy_that_was_not_logged_is_made_again(
    copy: Callable[..., Manifest], made: list[str]
) -> None:
    """Whoever kills the process between the two loses no count."""
    file = copy().root / "faces.json"
    log = json.loads(file.read_text())
    del log["videos"]["run/a.mkv"]
    file.write_text(json.dumps(log))
    made.clear()
    assert FaceLog.read(copy().root).total.frames == 30
    assert made == ["a.mkv"]


def test_several_at_once(manifest: Manifest, detector: Path, tmp_path: Path) -> None:
    one = blur_manifest(manifest, detector, tmp_path / "one", workers=1)
    three = blur_manifest(manifest, detector, tmp_path / "three", workers=3)
    for path in PLACES:
        assert np.array_equal(read_clip(one.root / path), read_clip(three.root / path))
    assert FaceLog.read(one.root).total == FaceLog.read(three.root).total


def test_refuses_the_data_set_itself(manifest: Manifest, detector: Path) -> None:
    before = {file: file.read_bytes() for file in manifest.root.rglob("*.*")}
    with pytest.raises(MotionveilError, match="this is the data set itself; give another folder"):
        blur_manifest(manifest, detector, manifest.root / "run" / "..")
    assert {file: file.read_bytes() for file in manifest.root.rglob("*.*")} == before


def test_faults_come_before_anything_is_written(
    copy: Callable[..., Manifest], manifest: Manifest, detector: Path, tmp_path: Path
) -> None:
    with pytest.raises(MotionveilError, match="hold is -1"):
        copy(settings=FaceBlur(hold=-1))
    with pytest.raises(MotionveilError, match=r"threshold is 2"):
        copy(settings=FaceBlur(threshold=2))
    with pytest.raises(MotionveilError, match=r"none\.onnx: cannot read the detector"):
        blur_manifest(manifest, tmp_path / "none.onnx", tmp_path / "copy")
    os.remove(manifest.root / "run" / "b.avi")
    with pytest.raises(MotionveilError, match=r"b\.avi: cannot read the video"):
        copy()
    assert not (tmp_path / "copy").exists()


def test_a_log_that_is_none(copy: Callable[..., Manifest], tmp_path: Path) -> None:
    with pytest.raises(MotionveilError, match=r"faces\.json: cannot read the log"):
        FaceLog.read(tmp_path)
    copied = copy()
    (copied.root / "faces.json").write_text(json.dumps({"videos": 3}))
    with pytest.raises(MotionveilError, match=r"faces\.json: no log of face blurring; remove it"):
        copy()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes of files")
def test_a_copy_is_its_owner_s(copy: Callable[..., Manifest]) -> None:
    """A frame where no face is found is the original."""
    assert copy().root.stat().st_mode & 0o777 == 0o700
