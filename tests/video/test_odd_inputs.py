"""Inputs that cameras, phones, editors and other programs really leave, whatever they look like."""

from __future__ import annotations

import io
import os
import threading
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from benchmark_code import import_benchmark
from motionveil.atomic_write import atomic_path, write_text_atomically
from motionveil.errors import MotionveilError
from motionveil.video import count_frames, open_sink, open_source, probe, read_clip, read_frames
from motionveil.video.image_sequence import find_videos
from motionveil.video.timestamps import StreamClock
from videos import moving_square, write_pictures, write_video

kept_priority = import_benchmark("priority").kept_priority

ORIENTATION = 0x0112  # the tag of EXIF


def picture(kind: str, orientation: int) -> bytes:
    """A picture of four colours with a tag, by Pillow."""
    image = Image.new("RGB", (32, 48), "red")
    image.paste("blue", (16, 0, 32, 24))
    image.paste("green", (0, 24, 16, 48))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    file = io.BytesIO()
    image.save(file, kind, exif=exif, lossless=True, quality=95)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff"])
def test_pictures_with_exif_are_upright(tmp_path: Path, kind: str) -> None:
    for orientation in range(1, 9):
        file = tmp_path / f"{orientation}" / f"1.{kind}"
        file.parent.mkdir()
        file.write_bytes(data := picture(kind, orientation))
        upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
        (read,) = read_clip(file.parent)
        assert read.shape == np.asarray(upright).shape, orientation
        assert np.abs(read.astype(int) - np.asarray(upright)).mean() < 10, orientation


def test_motion_jpeg_with_exif(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.avi"), "w") as output:
        stream = output.add_stream("mjpeg", rate=10, width=32, height=48, pix_fmt="yuvj420p")
        for pts in range(2):
            packet = av.Packet(picture("jpeg", 6))
            packet.stream, packet.pts, packet.dts = stream, pts, pts
            packet.time_base = Fraction(1, 10)
            output.mux(packet)
    assert read_clip(tmp_path / "a.avi").shape == (2, 32, 48, 3)


def joined(path: Path, container: str, codec: str, lengths: tuple[int, ...]) -> Path:
    """Several recordings of the same camera in one file, as `cat` joins them."""
    start = 0
    with path.open("wb") as file:
        for length in lengths:
            part = io.BytesIO()
            with av.open(part, "w", format=container) as output:
                stream = output.add_stream(codec, rate=25, width=64, height=48, pix_fmt="yuv420p")
                for image in moving_square(20)[start : start + length]:
                    output.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
                output.mux(stream.encode(None))
            file.write(part.getvalue())
            start += length
    return path


@pytest.mark.parametrize(("container", "codec"), [("vob", "mpeg2video"), ("mpegts", "libx264")])
def test_the_second_part_of_a_joined_file_follows_the_first(
    tmp_path: Path, container: str, codec: str
) -> None:
    file = joined(tmp_path / "a.mpg", container, codec, (12, 8))
    of_file = [float(frame.time) for frame in read_frames(file)]
    os.mkfifo(pipe := tmp_path / "pipe")
    writer = threading.Thread(target=lambda: pipe.write_bytes(file.read_bytes()), daemon=True)
    writer.start()
    of_pipe = [float(frame.time) for frame in open_source(pipe).frames(threading.Event())]
    writer.join(60)
    for times in (of_file, of_pipe):
        assert np.diff(times) == pytest.approx(np.full(19, 0.04), abs=1e-4)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.integers(-(1 << 33), 1 << 33)), min_size=1, max_size=30),
    st.integers(0, 5000),
)
def test_any_timestamps_ascend_from_zero(stamps: list[int | None], duration: int) -> None:
    clock = StreamClock(Fraction(1, 90000))
    given = [clock.stamp(pts, duration)[0] for pts in stamps]
    assert given[0] >= 0
    assert all(later > earlier for earlier, later in pairwise(given))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(5, 40), min_size=1, max_size=4), st.integers(-(1 << 33), 1 << 33))
def test_parts_of_a_steady_camera_stay_steady(parts: list[int], start: int) -> None:
    """Each part begins again at `start`, as after a wrap or where files were joined."""
    clock = StreamClock(Fraction(1, 90000))
    stamps = [clock.stamp(start + 3600 * n, 3600) for part in parts for n in range(part)]
    moments = [stamp for stamp, _ in stamps]
    assert moments == list(range(max(0, start), max(0, start) + 3600 * sum(parts), 3600))
    assert sum(anew for _, anew in stamps) == len(parts) - 1


def test_one_repeated_or_missing_timestamp_moves_no_other() -> None:
    clock = StreamClock(Fraction(1, 1000))
    stamps = [clock.stamp(pts, 40)[0] for pts in (0, 40, 40, None, 160, 150, 200)]
    assert stamps == [0, 40, 41, 81, 160, 161, 200]


def test_every_picture_of_a_folder_is_decoded_and_hidden_ones_are_none(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "a", moving_square(4))
    (folder / "._1.png").write_bytes(b"of a Mac")
    assert count_frames(folder) == 4
    (folder / "2.png").write_bytes((folder / "2.png").read_bytes()[:-40])
    with pytest.raises(MotionveilError, match=r"2\.png"):
        count_frames(folder)
    write_pictures(folder, moving_square(1, 24, 32), "2.png")
    with pytest.raises(MotionveilError, match="frame 2 is 32x24"):
        count_frames(folder)


def test_an_animation_is_the_film_and_not_its_still(tmp_path: Path) -> None:
    with kept_priority(), av.open(str(tmp_path / "a.avif"), "w") as output:
        stream = output.add_stream(
            "libsvtav1", rate=10, width=64, height=64, pix_fmt="yuv420p", options={"preset": "12"}
        )
        for image in moving_square(5, 64):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        output.mux(stream.encode(None))
    assert len(read_clip(tmp_path / "a.avif")) == 5


def test_colours_that_cannot_be_converted_are_named(tmp_path: Path) -> None:
    options = {"x264-params": "colormatrix=YCgCo"}
    file = write_video(tmp_path / "a.mp4", moving_square(2), codec_options=options)
    with pytest.raises(MotionveilError, match=r"a\.mp4: its colours \(yuv420p, matrix 8\)"):
        read_clip(file)


def test_frames_of_too_many_pixels_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = write_video(tmp_path / "a.mkv", moving_square(2))
    pictures = write_pictures(tmp_path / "b", moving_square(2))
    monkeypatch.setenv("MOTIONVEIL_MAX_PIXELS", "3000")
    for source in (video, pictures):
        with pytest.raises(MotionveilError, match=r"64x48 are 3072 pixels.*MOTIONVEIL_MAX_PIXELS"):
            probe(source)
    monkeypatch.setenv("MOTIONVEIL_MAX_PIXELS", "3072")
    assert len(read_clip(video)) == len(read_clip(pictures)) == 2


@pytest.mark.parametrize("suffix", [".mkv", ".webm", ".mp4"])
def test_frames_of_one_millisecond(tmp_path: Path, suffix: str) -> None:
    path = str(tmp_path / f"a{suffix}")

    def write() -> None:
        with open_sink(path, rate=Fraction(2000), time_base=Fraction(1, 2000)) as sink:
            for pts, image in enumerate(moving_square(4)):
                sink.write(image, pts)

    if suffix != ".mp4":
        with pytest.raises(MotionveilError, match="the same millisecond"):
            write()
        assert not os.path.exists(path)
        return
    write()
    assert [frame.time for frame in read_frames(path)] == [0, 0.0005, 0.001, 0.0015]


@pytest.mark.parametrize("rate", [Fraction("29.97002997002997"), 29.97002997002997])
def test_a_rate_of_many_digits_is_the_one_that_is_meant(
    tmp_path: Path, rate: Fraction | float
) -> None:
    folder = write_pictures(tmp_path / "a", moving_square(2))
    assert probe(folder, rate=rate).rate == Fraction(30000, 1001)
    with pytest.raises(MotionveilError, match="rate of 1e-300"):
        probe(folder, rate=1e-300)


NAMES = ["10:30.mkv", "a" * 251 + ".mkv", "é" * 125 + ".mkv", "-.mkv", "50%.mkv", "b\udcff\n.mkv"]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_that_the_system_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with open_sink(name, rate=Fraction(25), time_base=Fraction(1, 25)) as sink:
        for image in moving_square(3):
            sink.write(image)
    assert os.listdir() == [name]
    assert np.array_equal(read_clip(name), moving_square(3))


def test_links_are_followed_and_hidden_files_are_not(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "root" / "own").mkdir(parents=True)
    for name in ("real/a.mp4", "root/own/b.MKV", "root/own/._b.mkv", "root/own/c.txt"):
        (tmp_path / name).touch()
    (tmp_path / "root" / "linked").symlink_to(tmp_path / "real")
    (tmp_path / "root" / "own" / "round").symlink_to(tmp_path / "root")
    found = [path.relative_to(tmp_path).as_posix() for path in find_videos(tmp_path / "root")]
    assert found == ["root/linked/a.mp4", "root/own/b.MKV"]


def test_what_is_written_goes_through_links_and_into_pipes(tmp_path: Path) -> None:
    (tmp_path / "link.txt").symlink_to(tmp_path / "real.txt")
    write_text_atomically(tmp_path / "link.txt", "x")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "x"
    os.mkfifo(pipe := tmp_path / "pipe.mkv")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()), daemon=True)
    reader.start()
    with open_sink(str(pipe), rate=Fraction(25), time_base=Fraction(1, 25)) as sink:
        for image in moving_square(3):
            sink.write(image)
    reader.join(60)
    assert pipe.is_fifo()
    with av.open(io.BytesIO(got[0])) as container:
        assert sum(1 for _ in container.decode(video=0)) == 3
    with atomic_path(os.devnull) as path:
        path.write_text("x")
    assert not os.path.isfile(os.devnull)
