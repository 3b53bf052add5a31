"""The event camera as an encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from motionveil.encoders import load_encoder
from motionveil.encoders.dvs import DVS
from motionveil.errors import MotionveilError
from motionveil.events import EventCamera
from motionveil.methods.dvs import EventSettings
from motionveil.spec import EncoderSpec, load_spec


def dvs(**settings: float) -> DVS:
    options = EventSettings.model_validate({"threshold": 0.2, **settings})
    return DVS(EncoderSpec(method="dvs", settings=options, provenance={"seed": 3}))


def clips(batch: int = 2, frames: int = 5, size: int = 12) -> Tensor:
    """Return clips (B, 3, T, H, W) whose values are those of 8-bit video."""
    return torch.randint(0, 256, (batch, 3, frames, size, size)) / 255


class TestForward:
    def test_shape_and_range(self):
        veiled = dvs()(clips())
        assert veiled.shape == (2, 3, 4, 12, 12)
        assert veiled.dtype == torch.float32
        assert set(veiled.unique().tolist()) == {0, 2.5, 5, 7.5, 10, 12.5, 15}

    def test_is_what_the_camera_counts(self):
        clip = clips(batch=1)
        frames = (255 * clip[0]).round().byte().permute(1, 2, 3, 0).numpy()  # (T, H, W, 3)
        camera = EventCamera(EventSettings(threshold=0.2), 12, 12)
        counts = np.stack([camera.counts(frame) for frame in frames])[1:]
        wanted = 7.5 * (1 + counts.clip(-3, 3) / 3)
        veiled = dvs()(clip)
        for channel in range(3):
            assert np.allclose(veiled[0, channel].numpy(), wanted, atol=1e-6)

    def test_full_scale(self):
        clip = torch.zeros(1, 3, 2, 1, 2)
        clip[0, :, 1, 0, 0] = 1.0  # ln 1001 is 34 thresholds
        assert dvs(full_scale=68)(clip)[0, 0, 0, 0].tolist() == [11.25, 7.5]

    def test_a_still_clip_is_neutral(self):
        clip = clips(frames=1).repeat(1, 1, 6, 1, 1)
        assert (dvs()(clip) == 7.5).all()

    @pytest.mark.parametrize("settings", [{}, {"shot": 30.0}, {"mismatch": 0.2, "leak": 9.0}])
    def test_a_clip_does_not_depend_on_its_neighbours(self, settings: dict[str, float]):
        batch, encoder = clips(batch=3), dvs(**settings)
        together = encoder(batch)
        for number in range(3):
            assert torch.equal(together[number], encoder(batch[number, None])[0])

    def test_other_clips_have_other_noise(self):
        still = clips(batch=2, frames=1).repeat(1, 1, 6, 1, 1)
        one, other = dvs(shot=30)(still)
        assert (one != 7.5).any()
        assert not torch.equal(one, other)

    def test_mismatch_is_the_same_in_all_clips(self):
        clip = torch.full((2, 3, 2, 12, 12), 0.2)
        clip[1, :, 0] = 0.2001  # another first frame, the same motion
        clip[:, :, 1] = clip[:, :, 0] * 1.5
        one, other = dvs(mismatch=0.3)(clip)
        assert len(one.unique()) > 1
        assert (one == other).float().mean() > 0.98

    def test_values_below_zero_count_as_zero(self):
        clip = clips()
        clip[:, :, :, 0] = -0.1
        zeros = clip.clamp(min=0)
        assert torch.equal(dvs()(clip), dvs()(zeros))

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
    def test_keeps_the_dtype(self, dtype: torch.dtype):
        assert dvs()(clips().to(dtype)).dtype == dtype

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
    def test_cuda(self):
        clip = clips()
        veiled = dvs().cuda()(clip.cuda())
        assert veiled.device.type == "cuda"
        assert torch.equal(veiled.cpu(), dvs()(clip))


class TestGradient:
    def test_reaches_the_network_and_not_the_clip(self):
        clip = clips().requires_grad_()
        network = nn.Conv3d(3, 1, 3)
        network(dvs()(clip)).sum().backward()
        assert network.weight.grad is not None
        assert network.weight.grad.abs().sum() > 0
        assert clip.grad is None

    def test_nothing_is_learned(self):
        assert list(dvs().parameters()) == []


class TestSpec:
    def test_is_kept_with_its_provenance(self, tmp_path: Path):
        encoder = dvs(shot=2, negative=0.3)
        assert encoder.spec.provenance == {"seed": 3}
        stored = load_encoder(encoder.save(tmp_path))
        assert stored.spec == encoder.spec
        clip = clips()
        assert torch.equal(stored(clip), encoder(clip))

    def test_a_name_says_the_threshold(self):
        encoder = load_encoder("dvs-0.4")
        assert isinstance(encoder, DVS)
        assert encoder.settings.threshold == 0.4
        clip = clips()
        assert torch.equal(encoder(clip), dvs(threshold=0.4)(clip))


class TestFaults:
    def test_another_method(self):
        with pytest.raises(MotionveilError, match="method 'dvs', found 'raw'"):
            DVS(load_spec("raw"))

    def test_too_small_a_threshold(self):
        with pytest.raises(MotionveilError, match=r"threshold 1e-05: .* 0.001 or more"):
            DVS(load_spec("dvs-0.00001"))

    @pytest.mark.parametrize("shape", [(1, 3, 1, 8, 8), (1, 1, 4, 8, 8), (3, 4, 8, 8)])
    def test_wrong_shapes(self, shape: tuple[int, ...]):
        with pytest.raises(ValueError, match=rf"\({', '.join(map(str, shape))}\)"):
            dvs()(torch.zeros(shape))
