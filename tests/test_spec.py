"""`encoder.json`: what is written is read back, and what is wrong is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motionveil.errors import MotionveilError
from motionveil.geometry import Geometry
from motionveil.methods.bdq import BDQSettings
from motionveil.spec import EncoderSpec, load_spec, shipped_names
from motionveil.streaming import StreamEncoder


def numbers(**changes: Any) -> dict[str, Any]:
    """Return an `encoder.json` with settings changed, or other fields."""
    values = json.loads(EncoderSpec.untrained(range=0.25).model_dump_json())
    own = {k: changes.pop(k) for k in [*changes] if k in BDQSettings.model_fields or k == "level"}
    return {**values, "settings": {**values["settings"], **own}, **changes}


settings = st.builds(
    BDQSettings,
    sigma=st.floats(0.1, 10),
    boundaries=st.lists(st.floats(0, 15), min_size=15, max_size=15).map(lambda b: tuple(sorted(b))),
    hardness=st.floats(0.1, 100),
    range_mode=st.just("fixed"),
    range=st.floats(0.01, 1),
)
specs = st.builds(
    EncoderSpec,
    settings=settings,
    geometry=st.none() | st.builds(Geometry, size=st.integers(8, 1024), rate=st.floats(0.1, 1000)),
    provenance=st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5)),
)


class TestFile:
    @given(specs)
    def test_round_trip(self, tmp_path_factory: pytest.TempPathFactory, spec: EncoderSpec):
        file = spec.save(tmp_path_factory.mktemp("spec") / "encoder.json")
        assert EncoderSpec.read(file) == spec
        assert load_spec(file.parent) == spec

    def test_holds_the_fields_promised(self, tmp_path: Path):
        file = EncoderSpec.untrained(range=0.5, seed=1).save(tmp_path / "encoder.json")
        assert json.loads(file.read_text()) == {
            "method": "bdq",
            "settings": {
                "modules": "BDQ",
                "sigma": 1.0,
                "kernel_size": 5,
                "learn_sigma": True,
                "boundaries": [n + 0.5 for n in range(15)],
                "hardness": 5.0,
                "range_mode": "fixed",
                "range": 0.5,
                "hard": False,
            },
            "provenance": {"seed": 1},
        }

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"sigma": 0}, r"settings: sigma.*greater than or equal to 0.001 \(found 0\)"),
            ({"sigma": "wide"}, r"sigma.*valid number.*\"wide\""),
            ({"sigma": None}, "sigma"),
            ({"boundaries": []}, "there must be a boundary"),
            ({"boundaries": [*range(14), 3]}, "the boundaries must ascend"),
            ({"boundaries": [*range(14), 16]}, r"lie in \[0, 15\]"),
            ({"boundaries": [*range(14), "x"]}, r"boundaries\."),
            ({"hardness": -5}, "hardness: "),
            ({"range_mode": "frame"}, "range_mode: "),
            ({"range": None}, "range_mode 'fixed' needs a range"),
            ({"range_mode": "clip"}, "nothing else has one"),
            ({"range": 1.5}, "range: .*less than or equal to 1"),
            ({"method": "bqd"}, "no method 'bqd'.*did you mean 'bdq'"),
            ({"method": "raw"}, "method 'raw' has no settings"),
            ({"method": "blur"}, "settings: sigma|Extra inputs"),
            ({"settings": None}, "method 'bdq' needs settings: modules, sigma"),
            ({"level": 3}, "level: Extra inputs are not permitted"),
        ],
    )
    def test_a_wrong_file_names_file_field_and_fault(
        self, tmp_path: Path, changes: dict[str, Any], message: str
    ):
        file = tmp_path / "wrong.json"
        file.write_text(json.dumps(numbers(**changes)))
        with pytest.raises(MotionveilError, match=r"wrong\.json: .*" + message) as caught:
            EncoderSpec.read(file)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("value", ["NaN", "Infinity"])
    def test_refuses_what_is_not_finite(self, tmp_path: Path, value: str):
        file = tmp_path / "wrong.json"
        file.write_text(json.dumps(numbers()).replace('"sigma": 1.0', f'"sigma": {value}'))
        with pytest.raises(MotionveilError, match=r"sigma.*finite number"):
            EncoderSpec.read(file)

    @pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe\x00"])
    def test_refuses_what_is_no_encoder(self, tmp_path: Path, content: bytes):
        file = tmp_path / "wrong.json"
        file.write_bytes(content)
        with pytest.raises(MotionveilError, match=r"wrong\.json: ") as caught:
            load_spec(file)
        assert "\n" not in str(caught.value)

    def test_a_missing_file_and_a_folder_without_one(self, tmp_path: Path):
        with pytest.raises(MotionveilError, match=r"gone\.json: cannot read the encoder: No such"):
            load_spec(tmp_path / "gone.json")
        with pytest.raises(MotionveilError, match=r"encoder\.json: cannot read"):
            load_spec(tmp_path)


class TestGeometry:
    """Encoders that were written before geometries were."""

    def old(self, folder: Path, **provenance: Any) -> EncoderSpec:
        values = numbers(provenance=provenance)
        values.pop("geometry", None)
        file = folder / "encoder.json"
        file.write_text(json.dumps(values))
        return EncoderSpec.read(file)

    @pytest.mark.parametrize(
        ("data", "step", "rate"),
        [
            ("actors", 1, 15), ("ut-interaction", 3, 10), ("sbu", 1, 15),
            ("kth", 2, 12.5), ("ipn", 1, 30),
        ],
    )  # fmt: skip
    def test_of_known_data_is_what_they_were_trained_at(
        self, tmp_path: Path, data: str, step: int, rate: float
    ):
        spec = self.old(tmp_path, data=data, size=96, frame_step=step)
        assert spec.geometry == Geometry(size=96, rate=rate)
        assert EncoderSpec.read(spec.save(tmp_path / "again.json")) == spec
        assert json.loads((tmp_path / "again.json").read_text())["geometry"] == {
            "size": 96,
            "rate": rate,
        }

    @pytest.mark.parametrize(
        "provenance",
        [
            {"data": "mine", "size": 96, "frame_step": 1},
            {"data": "kth", "frame_step": 1},
            {"data": "kth", "size": 96},
            {"data": "kth", "size": "96", "frame_step": 1},
            {"data": "kth", "size": 96, "frame_step": 0},
            {},
        ],
    )
    def test_of_other_data_is_not_known_and_they_are_refused(
        self, tmp_path: Path, provenance: dict[str, Any]
    ):
        spec = self.old(tmp_path, **provenance)
        assert spec.geometry is None
        with pytest.raises(MotionveilError) as caught:
            StreamEncoder(spec)
        for words in ('"geometry": {"size": 96, "rate": 10}', "encoder.json", "--native"):
            assert words in str(caught.value)
        assert StreamEncoder(spec, native=True).geometry is None

    def test_that_is_written_counts(self, tmp_path: Path):
        provenance = {"data": "kth", "size": 96, "frame_step": 1}
        file = tmp_path / "encoder.json"
        written = {"size": 64, "rate": 12}
        file.write_text(json.dumps(numbers(provenance=provenance, geometry=written)))
        assert EncoderSpec.read(file).geometry == Geometry(size=64, rate=12)

    @pytest.mark.parametrize(
        ("geometry", "field"),
        [({"size": 4, "rate": 15}, "size"), ({"size": 64, "rate": 0}, "rate"), ({}, "size")],
    )
    def test_that_is_wrong_is_named(self, tmp_path: Path, geometry: dict[str, Any], field: str):
        file = tmp_path / "encoder.json"
        file.write_text(json.dumps(numbers(geometry=geometry)))
        with pytest.raises(MotionveilError, match=rf"encoder\.json: geometry\.{field}"):
            EncoderSpec.read(file)

    def test_of_shipped_encoders(self):
        assert load_spec("bdq").geometry == Geometry(size=64, rate=15)
        assert load_spec("bdq-ut").geometry == Geometry(size=96, rate=10)
        assert load_spec("raw").geometry is None

    def test_tells_encoders_apart(self):
        one = EncoderSpec.untrained(range=0.25, geometry=Geometry(size=64, rate=15), seed=1)
        same = EncoderSpec.untrained(range=0.25, geometry=Geometry(size=64, rate=15), seed=2)
        other = EncoderSpec.untrained(range=0.25, geometry=Geometry(size=96, rate=15), seed=1)
        assert one.fingerprint == same.fingerprint != other.fingerprint
        assert len(one.fingerprint) == 12


class TestNames:
    def test_every_shipped_encoder_loads(self):
        assert "raw" in shipped_names()
        for name in shipped_names():
            assert load_spec(name).method in ("bdq", "moments", "raw")

    def test_raw_has_no_numbers(self):
        assert load_spec("raw").model_dump(exclude={"provenance"}, exclude_none=True) == {
            "method": "raw"
        }

    def test_an_unknown_name_lists_the_known(self):
        with pytest.raises(MotionveilError, match=r"nobody: no such encoder; .*raw"):
            load_spec("nobody")


class TestNumbers:
    def test_is_frozen(self):
        with pytest.raises(ValueError, match="frozen"):
            EncoderSpec.untrained(range=0.5).settings.sigma = 2.0  # type: ignore[misc]

    @given(specs)
    def test_the_gaussian_is_normalised_and_symmetric(self, spec: EncoderSpec):
        weights = spec.difference().weights
        assert weights.shape == (5,)
        assert weights.sum() == pytest.approx(1)
        np.testing.assert_array_equal(weights, weights[::-1])

    def test_untrained_quantiser_is_almost_the_identity(self):
        spec = EncoderSpec.untrained(range=0.5)
        x = np.linspace(0.5, 14.5, 500)
        assert np.abs(spec.difference().levels(x / 15 - 0.5) - x).max() < 0.08

    def test_hard_levels_count_the_boundaries_below(self):
        spec = EncoderSpec.untrained(range=0.5)
        motion = np.array([-1, -0.5, 0.01, 0.5, 1])
        assert spec.difference(hard=True).levels(motion).tolist() == [0, 0, 8, 15, 15]

    @pytest.mark.parametrize("mode", ["clip", "batch"])
    def test_only_a_fixed_range_can_stream(self, mode: Any):
        spec = EncoderSpec.untrained().change(range_mode=mode)
        with pytest.raises(MotionveilError, match=f"'{mode}' cannot work frame by frame"):
            spec.difference()
