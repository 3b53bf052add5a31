"""Codes that must end with their data: HEVC, VP8 and WebP, HuffYUV and Ut Video."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from benchmark_code import import_benchmark
from motionveil.errors import MotionveilError
from motionveil.video import read_frames
from motionveil.video.container_check import avi_broken_at
from motionveil.video.hevc import HevcCheck
from motionveil.video.huffman import huffyuv_check, utvideo_check
from motionveil.video.vp8 import key_frame_damage, webp_damage

clips = import_benchmark("damaged_clips")
Check = Callable[[bytes], str | None]


def packets(path: Path, check: Callable[[Any], Check | None]) -> tuple[Check, list[bytes]]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        found = check(stream.codec_context)
        assert found is not None
        return found, [bytes(packet) for packet in container.demux(stream) if packet.size]


def written(
    folder: Path,
    codec: str,
    suffix: str,
    pixels: str,
    options: dict[str, str],
    size: tuple[int, int] = (96, 80),
) -> Path:
    path = folder / f"clean{suffix}"
    clip = clips.still_scene(None, 8, size)
    clips.write_clip(clips.Pair(codec, suffix, pixels, options, size), clip, path)
    return path


def noticed(check: Check, data: bytes, start: int, count: int = 40) -> int:
    """Change one bit at a time; say how often that is noticed."""
    random = np.random.default_rng(5)
    found = 0
    for _ in range(count):
        changed = bytearray(data)
        changed[int(random.integers(start, len(data)))] ^= 1 << int(random.integers(8))
        found += check(bytes(changed)) is not None
    return found


class TestHevc:
    @pytest.mark.parametrize(
        ("params", "pixels", "size", "suffix"),
        [
            ("keyint=4", "yuv420p", (96, 80), ".mp4"),
            ("keyint=4:repeat-headers=1:aud=1:hrd=1:vbv-maxrate=900:vbv-bufsize=900", "yuv420p",
             (96, 80), ".ts"),
            ("wpp=1:ctu=16:min-cu-size=8", "yuv420p", (130, 98), ".mp4"),
            ("wpp=1:ctu=64", "yuv420p", (64, 64), ".mp4"),
            ("slices=3:ctu=32", "yuv420p", (320, 416), ".mp4"),
            ("open-gop=1:keyint=4:bframes=3:b-pyramid=1", "yuv420p", (96, 80), ".mkv"),
            ("amp=1:rect=1:tu-intra-depth=4:tu-inter-depth=4:ref=5:weightb=1", "yuv420p",
             (96, 80), ".mkv"),
            ("tskip=1:aq-mode=3:max-tu-size=16:cu-lossless=1", "yuv420p", (96, 80), ".mkv"),
            ("lossless=1", "yuv420p", (96, 80), ".mkv"),
            ("qp=2:scaling-list=default", "yuv422p", (96, 80), ".mkv"),
            ("qp=12:no-signhide=1:no-sao=1:max-merge=1", "yuv444p10le", (96, 80), ".mkv"),
            ("keyint=1:constrained-intra=1", "gray", (96, 80), ".mkv"),
        ],
    )  # fmt: skip
    def test_whole_pictures_pass(
        self, tmp_path: Path, params: str, pixels: str, size: tuple[int, int], suffix: str
    ) -> None:
        options = {"crf": "20", "x265-params": params + ":log-level=none"}
        path = written(tmp_path, "libx265", suffix, pixels, options, size)
        check, data = packets(path, lambda context: HevcCheck(context.extradata).damage)
        assert [check(packet) for packet in data] == [None] * len(data)

    def test_a_changed_bit_is_noticed(self, tmp_path: Path) -> None:
        options = {"crf": "12", "x265-params": "keyint=1:log-level=none"}
        path = written(tmp_path, "libx265", ".mp4", "yuv420p", options, (320, 240))
        check, data = packets(path, lambda context: HevcCheck(context.extradata).damage)
        assert check(data[1]) is None
        assert noticed(check, data[1], 10) >= 36
        assert check(data[1][:-9]) == "it is cut short"

    def test_a_missing_slice_is_noticed(self, tmp_path: Path) -> None:
        options = {"crf": "20", "x265-params": "slices=3:ctu=32:log-level=none"}
        path = written(tmp_path, "libx265", ".mp4", "yuv420p", options, (320, 416))
        check, data = packets(path, lambda context: HevcCheck(context.extradata).damage)
        units, at = [], 0
        while at < len(data[1]):
            end = at + 4 + int.from_bytes(data[1][at : at + 4], "big")
            units.append(data[1][at:end])
            at = end
        assert len(units) >= 2
        for missing in range(len(units)):
            rest = b"".join(unit for n, unit in enumerate(units) if n != missing)
            assert check(rest) == "a part of a picture is missing"
        assert check(data[1]) is None

    def test_nothing_is_claimed_without_parameter_sets(self, tmp_path: Path) -> None:
        options = {"x265-params": "log-level=none"}
        path = written(tmp_path, "libx265", ".mp4", "yuv420p", options)
        with av.open(str(path)) as container:
            head = container.streams.video[0].codec_context.extradata
        _, data = packets(path, lambda context: HevcCheck(context.extradata).damage)
        assert head is not None
        assert HevcCheck(head[:22] + b"\0").damage(data[1]) is None


def webp(image: Any, options: dict[str, str], pixels: str, codec: str = "libwebp") -> bytes:
    encoder: Any = av.CodecContext.create(codec, "w")
    encoder.height, encoder.width = image.shape[:2]
    encoder.pix_fmt, encoder.time_base, encoder.options = pixels, Fraction(1, 15), options
    frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pixels)
    return b"".join(bytes(p) for p in [*encoder.encode(frame), *encoder.encode(None)])


class TestWebp:
    @pytest.mark.parametrize("size", [(320, 240), (33, 17)])
    @pytest.mark.parametrize(
        ("options", "pixels", "codec"),
        [
            ({}, "yuv420p", "libwebp"),
            ({"quality": "3"}, "yuv420p", "libwebp"),
            ({"quality": "100"}, "yuv420p", "libwebp"),
            ({"compression_level": "0"}, "yuv420p", "libwebp"),
            ({"preset": "text", "compression_level": "6"}, "yuv420p", "libwebp"),
            ({}, "yuva420p", "libwebp"),
            ({"lossless": "1"}, "bgra", "libwebp"),
            ({}, "yuv420p", "libwebp_anim"),
        ],
    )
    def test_whole_pictures_pass(
        self, size: tuple[int, int], options: dict[str, str], pixels: str, codec: str
    ) -> None:
        image = clips.still_scene(None, 1, size)[0]
        assert webp_damage(webp(image, options, pixels, codec)) is None

    def test_damage_is_noticed(self) -> None:
        data = webp(clips.still_scene(None, 1, (320, 240))[0], {"quality": "90"}, "yuv420p")
        assert noticed(webp_damage, data, 60) >= 37
        assert webp_damage(data[:-10]) == "it is cut short"
        assert webp_damage(b"motionveil" * 9) == "it does not begin as WebP"
        assert webp_damage(data + b"appended") is None

    def test_in_a_folder_the_error_names_it(self, tmp_path: Path) -> None:
        for number, image in enumerate(clips.still_scene(None, 3, (320, 240))):
            (tmp_path / f"{number}.webp").write_bytes(webp(image, {}, "yuv420p"))
        assert len(list(read_frames(tmp_path))) == 3
        data = bytearray((tmp_path / "1.webp").read_bytes())
        data[len(data) // 2] ^= 16
        (tmp_path / "1.webp").write_bytes(data)
        with pytest.raises(MotionveilError, match=r"1\.webp: cannot read the frame"):
            list(read_frames(tmp_path))


@pytest.mark.parametrize(
    "options",
    [
        {"b": "1200000"},
        {"b": "1200000", "slices": "8"},
        {"b": "900000", "error-resilient": "partitions"},
        {"b": "0", "crf": "4"},
        {"b": "900000", "auto-alt-ref": "1", "lag-in-frames": "4"},
    ],
)
def test_key_frames_of_vp8(tmp_path: Path, options: dict[str, str]) -> None:
    path = written(tmp_path, "libvpx", ".webm", "yuv420p", {"g": "4", **options}, (176, 144))
    check, data = packets(path, lambda context: key_frame_damage)
    assert [check(packet) for packet in data] == [None] * len(data)
    assert noticed(check, next(packet for packet in data if not packet[0] & 1), 10) >= 36


@pytest.mark.parametrize(
    ("codec", "pixels", "options"),
    [
        *(("huffyuv", "yuv422p", {"pred": pred}) for pred in ("left", "plane", "median")),
        *(("ffvhuff", "yuv420p", {"pred": pred}) for pred in ("left", "plane", "median")),
        ("huffyuv", "rgb24", {"pred": "left"}),
        ("huffyuv", "bgra", {"pred": "plane"}),
        ("ffvhuff", "yuv420p", {"pred": "left", "context": "1"}),
        *(("utvideo", "yuv420p", {"pred": pred}) for pred in ("none", "left", "median")),
        ("utvideo", "yuv422p", {"pred": "median"}),
        ("utvideo", "yuv444p", {"pred": "left"}),
        ("utvideo", "gbrp", {"pred": "left"}),
        ("utvideo", "gbrap", {"pred": "median"}),
    ],
)
def test_lossless_video(tmp_path: Path, codec: str, pixels: str, options: dict[str, str]) -> None:
    path = written(tmp_path, codec, ".avi", pixels, options, (176, 144))
    check, data = packets(path, utvideo_check if codec == "utvideo" else huffyuv_check)
    assert [check(packet) for packet in data] == [None] * len(data)
    random, found = np.random.default_rng(2), 0
    for start in random.integers(len(data[1]) // 2, len(data[1]) - 200, 10).tolist():
        gap = data[1][:start] + data[1][start + 40 :]
        overwritten = data[1][:start] + random.bytes(60) + data[1][start + 60 :]
        found += (check(gap) is not None) + (check(overwritten) is not None)
    assert found >= 12  # codes may fall in step again
    assert check(data[1][:-200]) is not None


class TestChunksOfAvi:
    @pytest.mark.parametrize("size", [(96, 80), (98, 81)])
    def test_whole_files_pass(self, tmp_path: Path, size: tuple[int, int]) -> None:
        path = written(tmp_path, "mpeg4", ".avi", "yuv420p", {}, size)
        assert avi_broken_at(path) is None
        assert len(list(read_frames(path))) == 8

    @pytest.mark.parametrize("added", [-40, -1, 1, 40])
    def test_a_chunk_that_is_not_where_it_should_be(self, tmp_path: Path, added: int) -> None:
        path = written(tmp_path, "rawvideo", ".avi", "bgr24", {})
        data = path.read_bytes()
        middle = len(data) // 2
        path.write_bytes(data[: middle + min(added, 0)] + bytes(max(added, 0)) + data[middle:])
        assert avi_broken_at(path) is not None
        with pytest.raises(MotionveilError, match=r"damaged at byte|cut short"):
            list(read_frames(path))

    def test_other_formats_are_not_looked_at(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(b"RIFF\0\0\0\0WEBP")
        (tmp_path / "b").write_bytes(b"no")
        assert avi_broken_at(tmp_path / "a") is None
        assert avi_broken_at(tmp_path / "b") is None
