"""Damage that a tolerant decoder hides is an error; what is whole is not."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from threading import Event

import av
import numpy as np
import pytest

from benchmark_code import import_benchmark
from motionveil.errors import MotionveilError
from motionveil.video import Frame, count_frames, open_source, read_frames
from motionveil.video.container_check import broken_at, missing_bytes
from motionveil.video.pipe import PipeSource
from videos import moving_square, write_pictures, write_video

clips = import_benchmark("damaged_clips")
LARGE = {"dv.avi", "raw.avi", "png.mov", "prores.mov"}
# Their checks are compiled for minutes, at first; `test_slice_ends.py` has whole ones.
COMPILED = {"hevc.mp4", "hevc.mkv", "hevc.ts", "vp8.webm"}
LATER = {"tiff/"}  # its side data


def piped(path: Path) -> tuple[PipeSource, list[Frame]]:
    with path.open("rb") as file:
        source = PipeSource(file)
        frames = [f._replace(image=f.image.copy()) for f in source.frames(Event())]
    return source, frames


def clean(name: str, folder: Path, frames: int = 8) -> Path:
    pair = clips.PAIRS[name]
    path = folder / ("clean" if pair.suffix.endswith("/") else "clean" + pair.suffix)
    clips.write_clip(pair, clips.still_scene(None, frames, pair.size), path)
    return path


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in LARGE | COMPILED else name
        for name in clips.PAIRS
        if name not in LATER
    ],
)
def test_whole_video_is_accepted(name: str, tmp_path: Path) -> None:
    assert len(list(read_frames(clean(name, tmp_path)))) == 8


# Most of these are accepted, with frames that were never filmed, by a decoder that is not strict.
@pytest.mark.parametrize(
    ("name", "kind", "number"),
    [
        ("mjpeg.avi", "zeros", 3),
        ("mjpeg.mov", "repeated", 5),
        ("vp9.webm", "overwritten", 2),
        ("vp9.mp4", "zeros", 3),
        ("wmv2.asf", "eight bits", 1),
        ("msmpeg4.avi", "eight bits", 1),
        pytest.param("hevc.mkv", "one bit", 10, marks=pytest.mark.slow),
        ("ffv1.mkv", "one bit", 0),
        ("jpeg/", "removed", 4),
        ("jpeg/", "cut", 7),
        ("png/", "one bit", 0),
        ("png/", "cut", 7),
        ("webp/", "cut", 7),
    ],
)
def test_damaged_video_is_refused(name: str, kind: str, number: int, tmp_path: Path) -> None:
    mutant = tmp_path / ("mutant" + Path(clips.PAIRS[name].suffix.rstrip("/")).suffix)
    if name.endswith("/"):
        mutant = tmp_path / "mutant"
    whole = clean(name, tmp_path, frames=48 if name[-1] != "/" else 8)
    clips.damage(whole, kind, np.random.default_rng([number, 20]), mutant)
    with pytest.raises(MotionveilError) as caught:
        list(read_frames(mutant))
    assert str(mutant) in str(caught.value)
    assert "\n" not in str(caught.value)


class TestPicturesThatAreCut:
    def test_in_a_folder_the_error_names_it(self, tmp_path: Path) -> None:
        folder = write_pictures(tmp_path / "frames", moving_square(5), "{}.jpg")
        cut = folder / "3.jpg"
        cut.write_bytes(cut.read_bytes()[:-120])
        with pytest.raises(MotionveilError, match=r"3\.jpg: cannot read the frame: it is cut sho"):
            list(read_frames(folder))

    def test_in_a_pipe_it_is_left_out_and_counted(self, tmp_path: Path) -> None:
        path = tmp_path / "a.mkv"
        with av.open(str(path), "w") as output:
            stream = output.add_stream("mjpeg", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
            for number, image in enumerate(moving_square(8)):
                frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(
                    format="yuvj420p"
                )
                frame.pts, frame.time_base = number, Fraction(1, 25)
                for packet in stream.encode(frame):
                    output.mux(_shortened(packet) if number == 4 else packet)
        source, frames = piped(path)
        assert [round(25 * frame.time) for frame in frames] == [0, 1, 2, 3, 5, 6, 7]
        assert [n for n, frame in enumerate(frames) if frame.fresh] == [0, 4]
        assert source.damaged == 1


def _shortened(packet: av.Packet) -> av.Packet:
    other = av.Packet(bytes(packet)[: packet.size * 2 // 3])
    other.pts, other.dts, other.time_base = packet.pts, packet.dts, packet.time_base
    other.stream, other.is_keyframe = packet.stream, True
    return other


def test_pictures_missing_at_the_end(tmp_path: Path) -> None:
    """The library swallows errors when it empties a decoder that works on several at once."""
    path = write_video(tmp_path / "a.mp4", moving_square(20))
    with av.open(str(path)) as container:
        last = [p for p in container.demux(video=0) if p.size][-1]
        start, size = last.pos, last.size
    data = bytearray(path.read_bytes())
    data[start + 4 : start + size] = bytes(size - 4)
    path.write_bytes(data)
    with pytest.raises(MotionveilError, match="damaged"):
        list(read_frames(path))


class TestUnknownCodec:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = write_video(tmp_path / "a.mkv", moving_square(5))
        data = path.read_bytes()
        assert b"V_FFV1" in data
        path.write_bytes(data.replace(b"V_FFV1", b"V_XYZ1"))
        return path

    def test_in_a_file(self, path: Path) -> None:
        with pytest.raises(MotionveilError, match=r"a\.mkv: the codec of this video is not known"):
            open_source(path)

    def test_in_a_pipe(self, path: Path) -> None:
        with pytest.raises(MotionveilError, match="standard input: the codec of this video is not"):
            piped(path)


class TestChecksumsOfMatroska:
    def test_one_bit_is_found(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "a.mkv", moving_square(10))
        assert broken_at(path) is None
        with av.open(str(path)) as container:
            packet = next(container.demux(video=0))
            assert packet.pos is not None
            at = packet.pos + packet.size // 2
        data = bytearray(path.read_bytes())
        data[at] ^= 1
        path.write_bytes(data)
        broken = broken_at(path)
        assert broken is not None
        assert data[broken : broken + 4] == b"\x1f\x43\xb6\x75", "where the cluster begins"
        with pytest.raises(MotionveilError, match="damaged"):
            count_frames(path)

    def test_files_without_them_are_whole(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "a.mkv", moving_square(5), options={"write_crc32": "0"})
        assert b"\xbf\x84" not in path.read_bytes()
        assert broken_at(path) is None
        assert count_frames(path) == 5


def test_a_gif_is_no_transport_stream(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    path.write_bytes(b"GIF89a" + b"G" * 400)
    assert missing_bytes(path) == 0
    path.write_bytes((b"G" + bytes(187)) * 2 + b"G")
    assert missing_bytes(path) == 187


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("rotation", [0, 90])
def test_the_reference_decoder_gives_the_same_pictures(
    tmp_path: Path, rotation: int, suffix: str
) -> None:
    """VP9 is decoded by another decoder, which does not know what the container says."""
    path = tmp_path / ("a" + suffix)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libvpx-vp9", rate=25, options={"crf": "20", "b": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.color_range = av.video.reformatter.ColorRange.MPEG
        stream.set_display_rotation(rotation)
        for number, image in enumerate(moving_square(10)):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    with av.open(str(path)) as container:
        own = [(f.pts, f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]
    frames = list(read_frames(path))
    assert [frame.pts for frame in frames] == [pts for pts, _ in own]
    for frame, (_, image) in zip(frames, own, strict=True):
        np.testing.assert_array_equal(frame.image, np.rot90(image) if rotation else image)
