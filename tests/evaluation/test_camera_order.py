"""What is validated and attacked is, byte for byte, what `motionveil encode` writes."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from motionveil.datasets.manifest import Clip, Manifest
from motionveil.encoders import load_encoder
from motionveil.evaluation.audit import AuditPlan
from motionveil.evaluation.data import AuditData
from motionveil.evaluation.encode_clips import encode_parts
from motionveil.evaluation.suites import SUITES
from motionveil.geometry import Geometry
from motionveil.spec import load_spec
from motionveil.streaming import veil_video
from motionveil.streaming.geometry import area_average
from motionveil.training.distributed import make_fabric
from motionveil.training.experiment import Experiment
from motionveil.video import VideoSink, count_frames, probe, read_clip, read_frames
from tiny import tiny_experiment, tiny_recipe
from videos import write_video

ENCODERS = {"bdq": Geometry(size=64, rate=15), "bdq-ut": Geometry(size=96, rate=10)}
encoders = pytest.mark.parametrize("encoder", ENCODERS)


def manifest_of(root: Path, paths: Iterable[str], file: Path) -> Manifest:
    """Four whole videos of two people and two actions, half of them held out."""
    clips = [
        Clip(
            path=path,
            start=0,
            end=count_frames(root / path),
            action=("run", "wave")[number % 2],
            privacy={"person": f"p{number // 2}"},
            group=path,
            split="validation" if number in (1, 2) else "train",
        )
        for number, path in enumerate(sorted(paths))
    ]
    return Manifest.read(Manifest("whole", root, tuple(clips)).write(file))


def street(length: int, height: int, width: int, seed: int) -> NDArray[np.uint8]:
    """Squares that move over smooth noise: uint8 (T, H, W, 3)."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(60, 160, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
    room = coarse.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]
    clip = np.repeat(room[None], length, axis=0)
    side = height // 6
    for _ in range(3):
        top, left, speed = (
            rng.integers(0, height - side),
            rng.integers(0, width),
            rng.integers(1, 5),
        )
        colour = rng.integers(0, 256, 3)
        for t in range(length):
            columns = (left + speed * t + np.arange(side)) % width
            clip[t, top : top + side, columns] = colour
    return clip


def assert_equal_bytes(manifest: Manifest, encoder: str, folder: Path) -> AuditData:
    """Compare the videos that a camera would write with what networks are given."""
    experiment: Experiment = tiny_experiment(manifest)
    encoded = encode_parts(experiment, load_encoder(encoder), order="camera")
    plan = AuditPlan.model_validate(
        {
            "encoder": encoder,
            "manifest": str(manifest.file),
            "recipe": tiny_recipe(),
            "label": "person",
            "split": "validation",
            "device": "cpu",
            "suite": "quick",
            "attacks": SUITES["quick"](tiny_recipe())[:1],
        }
    )
    field = AuditData(plan, make_fabric("cpu"))
    assert encoded.geometry == field.geometry == ENCODERS[encoder]
    shown = {clip.key for part in (encoded.training, encoded.validation) for clip in part.clips}
    assert shown == {clip.key for clip in manifest.clips}
    for clip in manifest.clips:
        written = folder / encoder / Path(clip.path).with_suffix(".mkv")
        written.parent.mkdir(parents=True, exist_ok=True)
        summary = veil_video(manifest.root / clip.path, written, load_spec(encoder))
        frames = read_clip(written)[1:]  # the first is the neutral one
        assert min(frames.shape[1:3]) == ENCODERS[encoder].size
        assert len(frames) == summary.taken - 1 >= 5
        assert frames.std() > 2
        for part in (encoded.training, encoded.validation):
            assert np.array_equal(part.cache.frames(clip), frames)
        assert np.array_equal(field.veiled.frames(clip), frames)
        assert len(field.original.frames(clip)) == len(frames)
    return field


@encoders
def test_of_real_video(ut_interaction: Path, tmp_path: Path, encoder: str) -> None:
    files = sorted((ut_interaction / "segmented_set1").glob("*.avi"))[5:60:15]
    for file in files:
        (tmp_path / file.name).symlink_to(file)
    manifest = manifest_of(tmp_path, [f.name for f in files], tmp_path / "manifest.csv")
    assert_equal_bytes(manifest, encoder, tmp_path / "out")


@encoders
def test_of_25_frames_a_second(tmp_path: Path, encoder: str) -> None:
    """Every second frame is taken at 15 frames per second, every third at 10."""
    for number in range(4):
        write_video(tmp_path / f"{number}.mkv", street(30, 180, 250, number), rate=25)
    names = [f"{number}.mkv" for number in range(4)]
    manifest = manifest_of(tmp_path, names, tmp_path / "manifest.csv")
    assert_equal_bytes(manifest, encoder, tmp_path / "out")
    times = [frame.time for frame in read_frames(tmp_path / "out" / encoder / "0.mkv")]
    every = {"bdq": 2, "bdq-ut": 3}[encoder]
    np.testing.assert_allclose(times, np.arange(30)[::every] / 25, atol=0.00051)


@encoders
def test_of_pixels_that_are_not_square(tmp_path: Path, encoder: str) -> None:
    """At their aspect as shown, 16:9, everywhere; the window in which faces are looked for, too."""
    names = [f"{number}.mp4" for number in range(4)]  # H.264, which keeps the aspect
    for number, name in enumerate(names):
        with VideoSink(tmp_path / name, rate=25, aspect=Fraction(64, 45)) as sink:
            for frame in street(30, 144, 180, number):
                sink.write(frame)
    manifest = manifest_of(tmp_path, names, tmp_path / "manifest.csv")
    field = assert_equal_bytes(manifest, encoder, tmp_path / "out")
    size = ENCODERS[encoder].size
    for clip in manifest.clips:
        written = (tmp_path / "out" / encoder / clip.path).with_suffix(".mkv")
        info = probe(written)
        assert (info.height, info.width) == (size, round(size * 16 / 9 / 2) * 2)
        window = field.window(clip)
        enlarged = [area_average(frame, (144, 180)) for frame in read_clip(written)[1:]]
        np.testing.assert_array_equal(field.veil_window(clip, window), enlarged)


@encoders
def test_of_a_rate_that_varies(tmp_path: Path, encoder: str) -> None:
    """Between 5 and 60 frames per second, and a gap of a second."""
    for number in range(4):
        steps = np.random.default_rng(number).integers(16, 200, 30)
        steps[20] = 1000
        write_video(
            tmp_path / f"{number}.mkv",
            street(30, 144, 100, number),
            rate=1000,
            time_base=Fraction(1, 1000),
            pts=np.cumsum(steps).tolist(),
        )
    names = [f"{number}.mkv" for number in range(4)]
    manifest = manifest_of(tmp_path, names, tmp_path / "manifest.csv")
    assert_equal_bytes(manifest, encoder, tmp_path / "out")
