"""The check of JPEG pictures, against pictures that another library wrote."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
import pytest
from PIL import Image

from motionveil.video.jpeg import jpeg_damage

WAYS: dict[str, dict[str, Any]] = {
    "4:4:4": {"subsampling": 0},
    "4:2:2": {"subsampling": 1},
    "4:2:0": {"subsampling": 2},
    "its own codes": {"optimize": True},
    "restart markers": {"restart_marker_blocks": 3},
    "coarse": {"quality": 5},
    "lossless, nearly": {"quality": 100},
    "progressive": {"progressive": True},
}


def picture(mode: str = "RGB", size: tuple[int, int] = (75, 53), **options: Any) -> bytes:
    width, height = size
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(0).integers(0, 60, (height, width, 3))
    image = (np.stack([2 * x, 3 * y, x + y], axis=-1) % 190 + noise).astype(np.uint8)
    data = io.BytesIO()
    Image.fromarray(image).convert(mode).save(data, "JPEG", **options)
    return data.getvalue()


class TestWholePictures:
    @pytest.mark.parametrize("options", WAYS.values(), ids=WAYS)
    @pytest.mark.parametrize("size", [(75, 53), (64, 64), (1, 1), (8, 200)])
    def test_are_accepted(self, options: dict[str, Any], size: tuple[int, int]) -> None:
        assert jpeg_damage(picture(size=size, **options)) is None

    @pytest.mark.parametrize("mode", ["L", "CMYK"])
    def test_of_other_colours(self, mode: str) -> None:
        assert jpeg_damage(picture(mode)) is None

    @pytest.mark.parametrize("behind", [b"\0" * 7, b"\xff" * 5, b"of the camera" * 9])
    def test_whatever_follows(self, behind: bytes) -> None:
        assert jpeg_damage(picture() + behind) is None

    def test_without_tables_of_codes(self) -> None:
        """As cameras leave them out of films: those of the standard count."""
        data = picture()
        at = data.index(b"\xff\xc4")
        while data[at : at + 2] == b"\xff\xc4":
            data = data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]
        assert len(data) < len(picture()) - 400
        assert jpeg_damage(data) is None

    def test_without_the_last_marker(self) -> None:
        assert jpeg_damage(picture().removesuffix(b"\xff\xd9")) is None

    def test_two_fields(self) -> None:
        assert jpeg_damage(picture() + b"\0\0" + picture()) is None


class TestDamagedPictures:
    @pytest.mark.parametrize("options", WAYS.values(), ids=WAYS)
    @pytest.mark.parametrize("share", [0.3, 0.6, 0.97])
    def test_cut_short(self, options: dict[str, Any], share: float) -> None:
        data = picture(size=(300, 200), **options)
        assert jpeg_damage(data[: int(len(data) * share)])

    @pytest.mark.parametrize("options", list(WAYS.values())[:-1], ids=list(WAYS)[:-1])
    @pytest.mark.parametrize("share", [0.5, 0.9])
    def test_a_hole_in_the_data(self, options: dict[str, Any], share: float) -> None:
        data = picture(size=(300, 200), **options)
        at = int(len(data) * share)
        assert jpeg_damage(data[:at] + data[at + 60 :])

    def test_the_second_field(self) -> None:
        assert jpeg_damage(picture() + picture()[:-200])

    def test_a_restart_marker_too_few(self) -> None:
        data = picture(size=(300, 200), restart_marker_blocks=40)
        markers = [m.start() for m in re.finditer(rb"\xff[\xd0-\xd7]", data)]
        assert len(markers) > 5
        assert jpeg_damage(data[: markers[2]] + data[markers[3] :]) == "a restart marker is missing"

    @pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"\xff\xd8\xff\xd9", b"PNG", b"\xff" * 99])
    def test_none_at_all(self, data: bytes) -> None:
        assert jpeg_damage(data)

    def test_any_byte_changed_ends_in_an_answer(self) -> None:
        """No fault of a header is more than a word, and none takes long."""
        data, random = picture(optimize=True), np.random.default_rng(1)
        for at in range(2, 700):
            changed = bytearray(data)
            changed[at] = int(random.integers(256))
            assert jpeg_damage(bytes(changed)) is None or True

    def test_most_runs_of_garbage_are_found(self) -> None:
        data, random = picture(size=(300, 200)), np.random.default_rng(2)
        found = 0
        for _ in range(100):
            at = int(random.integers(700, len(data) - 200))
            run = random.integers(0, 256, 100, dtype=np.uint8).tobytes()
            found += jpeg_damage(data[:at] + run + data[at + 100 :]) is not None
        assert found >= 95
