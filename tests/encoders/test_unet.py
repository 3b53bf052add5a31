"""The filter of Wu et al.: size, independence of frames, storage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from motionveil.encoders import Unet, build_encoder, load_encoder
from motionveil.errors import MotionveilError
from motionveil.methods.unet import UnetSettings
from motionveil.spec import EncoderSpec


def unet(seed: int = 0) -> Unet:
    torch.manual_seed(seed)
    settings = UnetSettings(widths=(4, 6, 8), blocks=2)
    encoder = build_encoder(EncoderSpec(method="unet", settings=settings))
    assert isinstance(encoder, Unet)
    return encoder


def clip() -> torch.Tensor:
    return torch.rand(2, 3, 3, 16, 20, generator=torch.Generator().manual_seed(3))


def test_shape_and_scale() -> None:
    veiled = unet()(clip())
    assert veiled.shape == (2, 3, 3, 16, 20)
    assert 0 <= veiled.min() < veiled.max() <= 15


@torch.no_grad()
def test_it_is_a_filter_of_single_frames() -> None:
    encoder, frames = unet(), clip()
    whole = encoder(frames)
    alone = encoder(frames[1:, :, 2:])
    torch.testing.assert_close(whole[1:, :, 2:], alone, atol=1e-4, rtol=1e-4)


def test_every_weight_is_learned() -> None:
    encoder = unet()
    encoder(clip()).square().mean().backward()
    # A bias before a normalisation has no effect; its gradient is rounding.
    grads = {name: p.grad for name, p in encoder.named_parameters()}
    assert all(grad is not None for grad in grads.values())
    assert all(grad.abs().max() > 0 for name, grad in grads.items() if name.endswith("weight"))  # type: ignore[union-attr]


def test_default_size_is_the_published_one() -> None:
    """1.3 M parameters (paper, table 1); the operations are counted in test_measure_costs."""
    encoder = build_encoder(EncoderSpec(method="unet", settings=UnetSettings()))
    assert sum(p.numel() for p in encoder.parameters()) == pytest.approx(1.3e6, rel=0.01)


def test_stored_and_read_again(tmp_path: Path) -> None:
    encoder = unet()
    encoder.save(tmp_path)
    with torch.no_grad():
        next(encoder.parameters()).add_(0.1)
    path = encoder.save(tmp_path)
    assert path == tmp_path / "encoder.json"
    assert len(list(tmp_path.glob("*.safetensors"))) == 1
    with torch.no_grad():
        for source in (tmp_path, path):
            torch.testing.assert_close(load_encoder(source)(clip()), encoder(clip()))


def test_faults_name_the_file(tmp_path: Path) -> None:
    encoder = unet()
    path = encoder.save(tmp_path)
    weights = next(tmp_path.glob("*.safetensors"))
    content = weights.read_bytes()
    weights.write_bytes(content[:100])
    with pytest.raises(MotionveilError, match=weights.name):
        load_encoder(tmp_path)
    weights.unlink()
    with pytest.raises(MotionveilError, match=weights.name):
        load_encoder(tmp_path)
    stored = json.loads(path.read_text())
    path.write_text(json.dumps({**stored, "weights": "../elsewhere.safetensors"}))
    with pytest.raises(MotionveilError, match="file beside the encoder"):
        load_encoder(tmp_path)
    path.write_text(json.dumps({k: v for k, v in stored.items() if k != "weights"}))
    with pytest.raises(MotionveilError, match="names no weights"):
        load_encoder(tmp_path)


def test_refuses_sides_that_it_cannot_halve_twice() -> None:
    with pytest.raises(ValueError, match="multiples of 4, found 18 x 16"):
        unet()(torch.rand(1, 3, 2, 16, 18))
