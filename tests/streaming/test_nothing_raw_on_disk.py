"""No raw frame reaches the disk, and nothing that the source says of itself the output."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from av.stream import Disposition
from numpy.typing import NDArray

from motionveil.cli import main
from motionveil.video.sinks.image_folder import ABOUT, TIMES
from programs import Programs, play, size_of_part, until
from rtsp_server import Camera
from streams import encoded
from traced import TRACER, written
from videos import moving_square, write_pictures, write_video

pytestmark = pytest.mark.slow  # programs, traced

SECRET = "Geheimnis4711"
"""Stands in everything that the source says; so it must stand nowhere in the output."""


@pytest.fixture(scope="session")
def tracer(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """The tracer's words, before those of a program; compiled code is cached after this."""
    if shutil.which("strace") is None:
        pytest.skip("needs the program strace, which shows every file that a process opens")
    tried = subprocess.run([*TRACER, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"needs permission to trace a process: {tried.stderr.strip()}")
    prepare = "from motionveil.streaming import prepare; prepare()"
    subprocess.run([sys.executable, "-c", prepare], check=True)
    return TRACER


def stripped(names: set[str]) -> set[str]:
    """Leave out the eight random digits of temporary names."""
    return {re.sub(r"\.[0-9a-f]{8}\.part", ".part", name) for name in names}


def slow(*values: object) -> Any:
    return pytest.param(*values, marks=pytest.mark.slow)


# Every kind of source, and every destination of what ends and of what is live.
FROM_TO = [
    ("file", "out.mp4"),
    ("pipe", "frames/"),
    slow("pipe", "out.webm"),
    slow("pictures", "out.mkv"),
    slow("pictures", "-"),
    *(slow("test", dest) for dest in ("out.mp4", "out.mkv", "out.webm", "frames/", "-")),
]


class TestFilesOpened:
    @pytest.mark.parametrize(("source", "dest"), FROM_TO)
    def test_are_the_output_only(
        self, tmp_path: Path, tracer: tuple[str, ...], programs: Programs, source: str, dest: str
    ) -> None:
        check_files(tmp_path, tracer, programs, source, dest)

    def test_of_a_network_source(
        self, tmp_path: Path, tracer: tuple[str, ...], programs: Programs
    ) -> None:
        camera, dest, log = Camera(), tmp_path / "out.mkv", tmp_path / "log"
        camera.start()
        try:
            program = programs(
                *("encode", camera.url, dest, "--frames", 20), before=(*tracer, "-o", str(log))
            )
            assert program.ends() == 0, program.complaint
        finally:
            camera.kill()
        assert stripped(written(log)) == {str(dest), str(tmp_path / ".out.part.mkv")}

    @pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
    def test_of_a_folder_of_videos(
        self, tmp_path: Path, tracer: tuple[str, ...], programs: Programs, jobs: int
    ) -> None:
        videos, out, log = tmp_path / "videos", tmp_path / "out", tmp_path / "log"
        videos.mkdir()
        for name in "ab":
            write_video(videos / f"{name}.mp4", moving_square(8))
        program = programs(
            *("encode", videos, "--out", out, "--jobs", jobs), before=(*tracer, "-o", str(log))
        )
        assert program.ends() == 0, program.complaint
        names = ("motionveil.json", "a.veiled.mp4", "b.veiled.mp4")
        parts = (".motionveil.part.json", ".a.veiled.part.mp4", ".b.veiled.part.mp4", ".in-use")
        assert stripped(written(log)) == {str(out / name) for name in (*names, *parts)} | {str(out)}

    def test_of_a_recogniser_are_none(
        self, tmp_path: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("CI", raising=False)  # which keeps ONNX Runtime from telling as well
        monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
        program = programs(
            *("recognise", "test:actors:64x48@15:fast", "--frames", 5),
            environment={"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)},
        )
        assert program.ends() == 0, program.complaint
        assert [path.name for path in tmp_path.iterdir()] == []

    def test_core_dumps_are_forbidden(self, tmp_path: Path, programs: Programs) -> None:
        if not Path("/proc/self/limits").exists():
            pytest.skip("needs /proc, which shows the limits of a process")
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_CORE)
        before = ("sh", "-c", 'ulimit -c unlimited 2>/dev/null; exec "$@"', "sh")
        dest = tmp_path / "out.mkv"
        program = programs("encode", "test:64x48@30", dest, before=before if most else ())
        until(lambda: size_of_part(dest), program)
        limits = Path(f"/proc/{program.process.pid}/limits").read_text()
        assert re.search(r"Max core file size +0 +0 ", limits)


def check_files(
    tmp_path: Path, tracer: tuple[str, ...], programs: Programs, source: str, dest: str
) -> None:
    clip, log = moving_square(12), tmp_path / "log"
    given: Any = subprocess.DEVNULL
    if source == "file":
        words: tuple[object, ...] = (write_video(tmp_path / "in.mp4", clip, sound=True),)
    elif source == "pictures":
        words = (write_pictures(tmp_path / "in", clip),)
    elif source == "pipe":
        (tmp_path / "in.y4m").write_bytes(encoded(clip, "yuv4mpegpipe"))
        given, words = (tmp_path / "in.y4m").open("rb"), ("-",)
    else:
        words = ("test:64x48@50", "--frames", 12)
    out = dest if dest == "-" else f"{tmp_path}/{dest}"
    program = programs(
        *("encode", words[0], out, *words[1:]), before=(*tracer, "-o", str(log)), stdin=given
    )
    assert program.ends() == 0, program.complaint
    names = stripped(written(log))
    if dest == "-":
        assert names == set()
    elif dest.endswith("/"):
        part = str(tmp_path / ".frames.part")
        pictures = {f"{part}/{file.name}" for file in (tmp_path / "frames").glob("*.png")}
        assert len(pictures) >= 3
        texts = {f"{part}/{TIMES}", f"{part}/{ABOUT}"}
        assert names == {part, *texts, str(tmp_path / "frames"), *pictures}
    else:
        path = tmp_path / dest
        assert names == {str(path), str(path.with_name(f".out.part{path.suffix}"))}


def talkative(path: Path) -> Path:
    """Write a video that says `SECRET` in every place that its format has for it."""
    clip = moving_square(20)
    places = ["title", "comment", "artist", "location", "make", "model", "creation_time"]
    places += ["com.apple.quicktime.location.ISO6709", "com.apple.quicktime.model", "encoder"]
    tags = {place: f"{SECRET} {place}" for place in places}
    tags["creation_time"] = "2031-05-06T07:08:09Z"
    options = {"movflags": "use_metadata_tags"} if path.suffix == ".mp4" else {}
    container = "matroska" if path.suffix == ".mkv" else "mp4"
    with av.open(str(path), "w", format=container, options=options) as output:
        output.metadata.update(tags)
        video: Any = output.add_stream("libx264", rate=25)
        video.height, video.width, video.pix_fmt = 48, 64, "yuv420p"
        video.metadata.update({**tags, "handler_name": SECRET, "language": "isl"})
        sound: Any = output.add_stream("aac", rate=48000, layout="mono")
        words: Any = output.add_mux_stream("subrip" if path.suffix == ".mkv" else "mov_text")
        words.metadata["title"] = SECRET
        cover: Any = None
        if path.suffix == ".m4v":
            cover = output.add_mux_stream("mjpeg", width=64, height=48)
            cover.disposition = Disposition.attached_pic
        elif path.suffix == ".mkv":
            output.add_attachment("cover.jpg", "image/jpeg", cover_picture(clip[0]))
        output.set_chapters(
            [
                {
                    "id": 1,
                    "start": 0,
                    "end": 400,
                    "time_base": Fraction(1, 1000),
                    "metadata": {"title": SECRET},
                }
            ]
        )
        if path.suffix == ".mkv":
            output.add_attachment("secret.txt", "text/plain", SECRET.encode())
        output.start_encoding()
        for packet in _marked(video, clip):
            output.mux(packet)
        for text_number in range(2):
            text = f"{SECRET} says"
            data = text.encode()
            packet = av.Packet(
                data if path.suffix == ".mkv" else len(data).to_bytes(2, "big") + data
            )
            packet.stream, packet.pts, packet.dts = words, 100 * text_number, 100 * text_number
            packet.duration, packet.time_base = 90, Fraction(1, 1000)
            output.mux(packet)
        if cover is not None:
            packet = av.Packet(cover_picture(clip[0]))
            packet.stream, packet.pts, packet.dts = cover, 0, 0
            output.mux(packet)
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 19200), np.float32), "fltp", "mono")
        tone.sample_rate, tone.pts = 48000, 0
        output.mux(sound.encode(tone))
        output.mux(sound.encode(None))
    return path


def cover_picture(image: NDArray[np.uint8]) -> bytes:
    """Return a JPEG image with a comment."""
    encoder: Any = av.CodecContext.create("mjpeg", "w")
    encoder.height, encoder.width, encoder.pix_fmt = *image.shape[:2], "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuvj420p")
    data = b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
    comment = SECRET.encode()
    return data[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + data[2:]


def _marked(video: Any, clip: NDArray[np.uint8]) -> list[Any]:
    """Encode with a secret in user data, within the stream itself, as cameras put GPS there."""
    user_data = f"086f3693-b7b3-4f2c-9653-21492feee5b8+{SECRET}"
    marking = BitStreamFilterContext(f"h264_metadata=sei_user_data={user_data}", video)
    packets = []
    for number, image in enumerate([*clip, None]):
        frame = None
        if image is not None:
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
        for packet in video.encode(frame):
            packets += marking.filter(packet)
    return packets


OUTPUTS = [("out.mp4",), ("out.mkv",), ("out.mkv", "--codec", "h264"), ("out.webm",), ("frames/",)]


class TestMetadata:
    @pytest.mark.parametrize("suffix", [".mp4", ".m4v", ".mkv"])
    def test_the_source_is_talkative(self, tmp_path: Path, suffix: str) -> None:
        source = talkative(tmp_path / f"in{suffix}")
        assert source.read_bytes().count(SECRET.encode()) > 10
        with av.open(str(source)) as container:
            kinds = [stream.type for stream in container.streams]
            assert {"video", "audio", "subtitle"} <= set(kinds)
            assert kinds.count("video") == (1 if suffix == ".mp4" else 2), "a cover picture"
            assert container.chapters()[0]["metadata"]["title"] == SECRET

    @pytest.mark.parametrize("words", OUTPUTS, ids=" ".join)
    @pytest.mark.parametrize("suffix", [".mp4", ".m4v", ".mkv"])
    def test_stays_behind(self, tmp_path: Path, suffix: str, words: tuple[str, ...]) -> None:
        source = talkative(tmp_path / f"in{suffix}")
        out = tmp_path / "out"
        assert main(["encode", str(source), f"{out}/{words[0]}", *words[1:]]) == 0
        files = [path for path in out.rglob("*") if path.is_file()]
        assert len(files) == (12 if words[0] == "frames/" else 1)  # 10 of 20 frames, and two texts
        for file in files:
            data = file.read_bytes().lower()
            assert SECRET.lower().encode() not in data
            assert SECRET.lower().encode("utf-16-le") not in data
            for trace in (b"2031", b"quicktime", b"secret.txt"):
                assert trace not in data, trace
        if words[0] != "frames/":
            check_container(files[0])
        else:
            for file in files:
                if file.name not in (TIMES, ABOUT):
                    assert chunks(file) == ["IHDR", "pHYs", "IDAT", "IEND"]

    def test_stays_behind_in_a_pipe(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        kept = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(kept))
        assert main(["encode", str(talkative(tmp_path / "in.mkv")), "-"]) == 0
        data = kept.getvalue()
        assert data.startswith(b"YUV4MPEG2 W10 H8 F25:2 Ip A1:1 C444 Xmotionveil_")
        assert SECRET.encode() not in data


def check_container(path: Path) -> None:
    """Look at an output's streams and tags as a player finds them."""
    with av.open(str(path)) as container:
        assert [stream.type for stream in container.streams] == ["video"]
        assert container.chapters() == []
        tags = {**container.metadata, **container.streams[0].metadata}
    technical = {"major_brand": None, "minor_version": None, "compatible_brands": None}
    technical |= {"handler_name": "VideoHandler", "language": "und", "DURATION": None}
    technical |= {"encoder": None, "ENCODER": None, "vendor_id": "[0][0][0][0]"}
    about = tags.pop("comment", None) or tags.pop("COMMENT")
    assert re.fullmatch(
        r"motionveil [\d.]+: moments [0-9a-f]{12}, soft, 64 pixels, 15 frames/s", about
    )
    for name, value in tags.items():
        assert technical[name] in (None, value), (name, value)
    assert tags.get("encoder", "Lavc").startswith(("Lavc", "Lavf"))
    data = path.read_bytes()
    for box in (b"mvhd", b"tkhd", b"mdhd"):
        at = data.find(box)
        if path.suffix == ".mp4":
            assert not any(data[at + 8 : at + 16]), f"{box!r} tells when it was made"


def chunks(path: Path) -> list[str]:
    """Return the kinds of a PNG file's chunks, a run of equal ones once."""
    data, at, kinds = path.read_bytes(), 8, [""]
    while at < len(data):
        kind = data[at + 4 : at + 8].decode()
        kinds += [kind] * (kind != kinds[-1])
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return kinds[1:]


def writing(seed: int, height: int = 96, width: int = 128) -> NDArray[np.uint8]:
    """Return an image with the contrasts of printed text, and a colour for each letter."""
    random = np.random.default_rng(seed)
    small = random.choice([0, 255], (height // 4, width // 4, 3)).astype(np.uint8)
    return np.kron(small, np.ones((4, 4, 1), np.uint8))


@pytest.mark.parametrize("options", [(), ("--hard",), ("--first", "drop")], ids=" ".join)
def test_a_scene_without_motion_is_flat_to_the_last_bit(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    """Two scenes, each still, and the cut between them: nothing of either passes the guard."""
    options = (*options, "--encoder", "bdq")
    clip = np.stack([writing(1)] * 20 + [writing(2)] * 20)
    source = write_video(tmp_path / "in.mkv", clip)
    np.testing.assert_array_equal(play(source)[1], clip)
    for dest in ("out.mkv", "frames/"):
        assert main(["encode", str(source), f"{tmp_path}/{dest}", *options]) == 0
    _, images = play(tmp_path / "out.mkv")
    assert len(images) == 20 - ("drop" in options)
    assert np.ptp(images) == 0
    pictures = [play(path)[1][0] for path in sorted((tmp_path / "frames").glob("*.png"))]
    np.testing.assert_array_equal(pictures, images)
