"""Loading encoders by name, file and folder; calibrating the range; the examples in docstrings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import motionveil
import motionveil.encoders
from motionveil.encoders import BDQ, Raw, calibrate_range, functional, load_encoder
from motionveil.errors import MotionveilError
from motionveil.spec import EncoderSpec


class TestLoadEncoder:
    def test_by_name(self):
        assert isinstance(motionveil.load_encoder("raw"), Raw)

    def test_by_file_and_folder(self, tmp_path: Path):
        spec = EncoderSpec.untrained(range=0.3, data="actors")
        file = spec.save(tmp_path / "run" / "encoder.json")
        for where in (file, str(file), tmp_path / "run"):
            encoder = load_encoder(where)
            assert isinstance(encoder, BDQ)
            assert encoder.spec == spec

    def test_a_wrong_file_names_the_field_and_the_fault(self, tmp_path: Path):
        numbers = json.loads(EncoderSpec.untrained(range=0.3).model_dump_json())
        file = tmp_path / "encoder.json"
        file.write_text(json.dumps({**numbers, "settings": {**numbers["settings"], "sigma": -2.0}}))
        with pytest.raises(MotionveilError, match=r"json: settings: sigma\.one: .*greater than"):
            load_encoder(file)

    def test_an_unknown_name_lists_the_known(self):
        with pytest.raises(MotionveilError, match=r"nobody: no such encoder; .*raw"):
            load_encoder("nobody")


class TestCalibrateRange:
    @given(st.integers(0, 99), st.floats(0.5, 1), st.floats(0.5, 2))
    @settings(max_examples=20, deadline=None)
    def test_is_the_quantile_of_all_clips_together(self, seed: int, quantile: float, sigma: float):
        generator = torch.Generator().manual_seed(seed)
        clips = [torch.rand(1, 3, n, 8, 9, generator=generator) * n / 5 for n in (2, 3, 4)]
        motion = [functional.blur(functional.difference(c), torch.tensor(sigma)) for c in clips]
        values = np.abs(np.concatenate([m.flatten().numpy() for m in motion]))
        expected = np.quantile(values, quantile, method="inverted_cdf")
        assert calibrate_range(iter(clips), sigma, quantile) == pytest.approx(expected, abs=1e-4)

    def test_fits_a_spec(self):
        flash = torch.zeros(1, 3, 2, 8, 8)
        flash[:, :, 1] = 1
        assert EncoderSpec.untrained(
            range=calibrate_range([flash])
        ).settings.range == pytest.approx(1)

    def test_refuses_data_without_motion(self):
        with pytest.raises(MotionveilError, match="no clips"):
            calibrate_range([])
        with pytest.raises(MotionveilError, match="nothing moves"):
            calibrate_range([torch.full((1, 3, 4, 8, 8), 0.25)])

    def test_refuses_wrong_arguments(self):
        with pytest.raises(ValueError, match="quantile must lie in"):
            calibrate_range([torch.rand(1, 3, 4, 8, 8)], quantile=1.5)
        with pytest.raises(ValueError, match="NaN"):
            calibrate_range([torch.full((1, 3, 4, 8, 8), torch.nan)])
