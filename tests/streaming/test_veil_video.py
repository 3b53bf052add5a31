from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

import motionveil
from motionveil.errors import MotionveilError
from motionveil.spec import EncoderSpec, load_spec
from motionveil.streaming import StreamEncoder, VeilOptions, veil_video
from motionveil.video import DestinationState, VideoSink, probe, read_clip, read_frames
from videos import AS_FILMED, NTSC, cut_short, moving_square, write_pictures, write_video

SPEC = EncoderSpec.untrained(range=0.25, geometry=AS_FILMED)
SECRETS = {
    "title": "Alice at home",
    "location": "+47.6062-122.3321/",
    "creation_time": "2024-05-06T07:08:09Z",
    "com.apple.quicktime.model": "Secretphone 7",
    "artist": "Bob",
    "comment": "cam-serial-0815",
}


def times(path: Path) -> list[Fraction]:
    return [frame.pts * frame.time_base for frame in read_frames(path)]


def test_output_is_the_stream_encoders(tmp_path: Path) -> None:
    clip = moving_square(10)
    source = write_video(tmp_path / "a.mkv", clip)
    summary = veil_video(source, tmp_path / "b.mkv", SPEC)
    encoder = StreamEncoder(SPEC)
    np.testing.assert_array_equal(
        read_clip(tmp_path / "b.mkv"), np.stack([encoder(frame) for frame in clip])
    )
    assert (summary.frames_in, summary.frames_out) == (10, 10)
    assert summary.destinations == (DestinationState(str(tmp_path / "b.mkv"), 10),)


@pytest.mark.parametrize("first", ["neutral", "drop"])
@pytest.mark.parametrize(
    ("rate", "time_base", "pts"),
    [
        (NTSC, None, list(range(3, 12))),
        (30, Fraction(1, 1000), [5, 33, 67, 100, 400, 401, 900, 950, 951]),
    ],
    ids=["ntsc", "variable"],
)
def test_frames_and_timestamps_stay(
    tmp_path: Path, rate: Fraction, time_base: Fraction | None, pts: list[int], first: str
) -> None:
    source = write_video(
        tmp_path / "a.mp4", moving_square(9), rate=rate, time_base=time_base, pts=pts
    )
    before = times(source)
    summary = veil_video(source, tmp_path / "b.mp4", SPEC, VeilOptions(first=first))  # type: ignore[arg-type]
    dropped = 1 if first == "drop" else 0
    assert times(tmp_path / "b.mp4") == before[dropped:]
    assert summary.frames_out == 9 - dropped
    if time_base is None:
        assert probe(tmp_path / "b.mp4").rate == rate


def test_clock_below_zero_is_moved_to_zero(tmp_path: Path) -> None:
    source = write_video(
        tmp_path / "a.mkv",
        moving_square(6),
        pts=[n - 3 for n in range(6)],
        options={"avoid_negative_ts": "disabled"},
    )
    with av.open(str(source)) as container:
        assert next(container.decode(video=0)).pts < 0
    veil_video(source, tmp_path / "b.mp4", SPEC)
    assert times(tmp_path / "b.mp4") == [Fraction(n, 25) for n in range(6)]


def test_rotated_source_comes_out_upright(tmp_path: Path) -> None:
    source = write_video(tmp_path / "a.mp4", moving_square(4), rotation=90)
    veil_video(source, tmp_path / "b.mp4", SPEC)
    info = probe(tmp_path / "b.mp4")
    assert (info.width, info.height) == (48, 64)
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert next(container.decode(video=0)).rotation == 0


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_no_sound_and_no_metadata(tmp_path: Path, suffix: str) -> None:
    source = write_video(
        tmp_path / "a.mp4",
        moving_square(6),
        sound=True,
        metadata=SECRETS,
        options={"movflags": "use_metadata_tags"},
    )
    with av.open(str(source)) as container:
        assert len(container.streams.audio) == 1
        assert set(container.metadata) >= set(SECRETS), "the test needs a source that has them"
    dest = tmp_path / f"b{suffix}"
    veil_video(source, dest, SPEC)
    data = dest.read_bytes().lower()
    with av.open(str(dest)) as container:
        assert [stream.type for stream in container.streams] == ["video"]
        tags = {**container.metadata, **container.streams[0].metadata}
    about = tags.pop("comment", None) or tags.pop("COMMENT")
    assert about == (
        f"motionveil {motionveil.__version__}: bdq {SPEC.fingerprint}, soft,"
        " 48 pixels, 1000 frames/s"
    )
    technical = {"encoder", "DURATION", "handler_name", "language"}
    technical |= {"major_brand", "minor_version", "compatible_brands"}
    assert set(tags) <= technical
    for secret in SECRETS.values():
        assert secret.lower().encode() not in data


def test_folder_of_frames(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "frames", moving_square(11))
    summary = veil_video(folder, tmp_path / "b.mp4", SPEC, rate=NTSC)
    assert summary.frames_out == 11
    assert times(tmp_path / "b.mp4") == [n / NTSC for n in range(11)]


def test_real_video(tmp_path: Path, ut_interaction: Path) -> None:
    source = ut_interaction / "segmented_set1" / "0_1_4.avi"
    spec = load_spec("bdq")
    summary = veil_video(source, tmp_path / "b.mp4", spec)
    assert times(tmp_path / "b.mp4") == times(source)[::2]  # 15 of 30 frames per second
    assert (summary.frames_in, summary.taken, summary.left_out) == (108, 54, 54)
    info = probe(tmp_path / "b.mp4")
    assert (info.width, info.height, info.rate) == (86, 64, 15)


class TestGeometry:
    def test_enlarged_repeats_pixels(self, tmp_path: Path) -> None:
        source = write_video(tmp_path / "a.mkv", moving_square(6))
        veil_video(source, tmp_path / "small.mkv", SPEC)
        summary = veil_video(source, tmp_path / "large.mkv", SPEC, VeilOptions(enlarge=3))
        small, large = read_clip(tmp_path / "small.mkv"), read_clip(tmp_path / "large.mkv")
        np.testing.assert_array_equal(large, small.repeat(3, 1).repeat(3, 2))
        assert (summary.width, summary.height) == (192, 144)

    def test_native_is_said_in_what_is_written(self, tmp_path: Path) -> None:
        source = write_video(tmp_path / "a.mkv", moving_square(6, 96, 128))
        for dest in ("b.mp4", "b.mkv", "b.webm", "frames/"):
            summary = veil_video(
                source, f"{tmp_path}/{dest}", load_spec("bdq"), VeilOptions(native=True)
            )
            assert (summary.width, summary.height, summary.left_out) == (128, 96, 0)
        for dest in ("b.mp4", "b.mkv", "b.webm"):
            with av.open(str(tmp_path / dest)) as container:
                about = {name.lower(): text for name, text in container.metadata.items()}
            assert "nothing was audited" in about["comment"]
        assert "nothing was audited" in (tmp_path / "frames" / "about.txt").read_text()

    def test_native_keeps_the_sample_aspect_ratio(self, tmp_path: Path) -> None:
        source = tmp_path / "a.mp4"
        with VideoSink(source, rate=25, aspect=Fraction(64, 45)) as sink:
            for frame in moving_square(4, 144, 180):
                sink.write(frame)
        for dest in ("b.mp4", "b.mkv", "b.webm", "frames"):
            options, to = VeilOptions(native=True), f"{tmp_path / dest}{'/' * (dest == 'frames')}"
            veil_video(source, to, load_spec("bdq"), options)
            assert probe(tmp_path / dest).aspect == Fraction(64, 45)
        veil_video(source, tmp_path / "c.mkv", load_spec("bdq"))
        info = probe(tmp_path / "c.mkv")
        assert (info.width, info.height, info.aspect) == (114, 64, 1)  # 16:9, as shown


def test_progress_counts_frames(tmp_path: Path) -> None:
    source = write_video(tmp_path / "a.mp4", moving_square(4))
    calls: list[tuple[int, int | None]] = []
    veil_video(source, tmp_path / "b.mp4", SPEC, progress=lambda *call: calls.append(call))
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]


class TestFaults:
    def test_dest_is_the_source(self, tmp_path: Path) -> None:
        source = write_video(tmp_path / "a.mp4", moving_square(4))
        before = source.read_bytes()
        (tmp_path / "link.mp4").symlink_to(source)
        for dest in (source, tmp_path / "x" / ".." / "a.mp4", tmp_path / "link.mp4"):
            (tmp_path / "x").mkdir(exist_ok=True)
            with pytest.raises(MotionveilError, match="the source itself"):
                veil_video(source, dest, SPEC)
        assert source.read_bytes() == before

    def test_truncated_source_leaves_the_earlier_file(self, tmp_path: Path) -> None:
        dest = tmp_path / "b.mp4"
        veil_video(write_video(tmp_path / "a.mkv", moving_square(6)), dest, SPEC)
        before = dest.read_bytes()
        with pytest.raises(MotionveilError, match="cut short"):
            veil_video(cut_short(tmp_path / "a.mkv", 0.7), dest, SPEC)
        assert dest.read_bytes() == before
        assert {path.name for path in tmp_path.iterdir()} == {"a.mkv", "b.mp4"}

    def test_nothing_left_when_the_only_frame_is_dropped(self, tmp_path: Path) -> None:
        source = write_video(tmp_path / "a.mkv", moving_square(1))
        with pytest.raises(MotionveilError, match="1 frame only"):
            veil_video(source, tmp_path / "b.mp4", SPEC, VeilOptions(first="drop"))
        assert list(tmp_path.iterdir()) == [source]

    def test_raw_encoder_writes_nothing(self, tmp_path: Path) -> None:
        source = write_video(tmp_path / "a.mkv", moving_square(2))
        with pytest.raises(MotionveilError, match="raw"):
            veil_video(source, tmp_path / "b.mp4", EncoderSpec(method="raw"))
        assert list(tmp_path.iterdir()) == [source]
