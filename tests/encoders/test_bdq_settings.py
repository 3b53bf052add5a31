"""BDQ with modules left out or changed, against BDQ itself and plain computations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from motionveil.encoders import BDQ, build_encoder, load_encoder
from motionveil.methods import choose, method
from motionveil.methods.bdq import INITIAL_BOUNDARIES, BDQSettings
from motionveil.spec import EncoderSpec, load_spec


def clip() -> torch.Tensor:
    return torch.rand(2, 3, 5, 12, 14, generator=torch.Generator().manual_seed(4))


def variant(**changes: Any) -> BDQ:
    values = {"sigma": 1.2, "range": 0.25} | changes
    encoder = build_encoder(EncoderSpec(method="bdq", settings=BDQSettings(**values)))
    assert isinstance(encoder, BDQ)
    return encoder


def changed(spec: EncoderSpec, **changes: Any) -> EncoderSpec:
    """Return an encoder with settings changed as a name changes them."""
    return spec.model_copy(update={"settings": method("bdq").change(spec.settings, changes)})


@pytest.mark.parametrize("hard", [False, True])
def test_all_modules_together_are_bdq(hard: bool) -> None:
    whole = load_encoder("bdq")
    whole.hard = hard
    taken = build_encoder(changed(load_spec("bdq"), hard=hard))
    assert isinstance(taken, BDQ)
    with torch.no_grad():
        difference = (taken._by_modules(clip()) - whole(clip())).abs()
    assert (difference > 1e-3).float().mean() < (1e-3 if hard else 1e-9)  # ties at a hard step


@pytest.mark.parametrize("stages", ["B", "D", "Q", "BD", "BQ", "DQ"])
@torch.no_grad()
def test_modules_left_out_do_nothing(stages: Any) -> None:
    spec = load_spec("bdq")
    found = build_encoder(changed(spec, modules=stages))(clip()).double().numpy()
    x = clip().double().numpy()
    if "B" in stages:
        window = spec.difference().weights
        for axis in (-2, -1):
            pad = [(2, 2) if a == axis % 5 else (0, 0) for a in range(5)]
            padded = np.pad(x, pad, mode="edge")
            parts = [np.take(padded, range(k, k + x.shape[axis]), axis) for k in range(5)]
            x = sum(w * part for w, part in zip(window, parts, strict=True))
    assert spec.settings.range is not None
    if "D" in stages:
        x = np.clip((np.diff(x, axis=2) + spec.settings.range) / (2 * spec.settings.range), 0, 1)
    x = x * 15
    if "Q" in stages:
        assert spec.settings.boundaries is not None
        assert spec.settings.hardness is not None
        x = sum(
            1 / (1 + np.exp(-spec.settings.hardness * (x - b))) for b in spec.settings.boundaries
        )
    assert found.shape == (2, 3, 4 if "D" in stages else 5, 12, 14)
    np.testing.assert_allclose(found, x, atol=2e-3)


def test_only_what_a_module_uses_is_learned() -> None:
    names = {
        stages: {name for name, _ in variant(modules=stages, **rest).named_parameters()}
        for stages, rest in (("B", {"range": None}), ("D", {}), ("DQ", {}), ("BDQ", {}))
    }
    both = {"sigma", "boundaries"}
    assert names == {"B": {"sigma"}, "D": set(), "DQ": {"boundaries"}, "BDQ": both}
    fixed = variant(learn_sigma=False)
    assert [name for name, _ in fixed.named_parameters()] == ["boundaries"]


@pytest.mark.parametrize("levels", [3, 31])
def test_any_number_of_levels_spans_the_same_scale(levels: int) -> None:
    choice = choose(f"bdq:levels={levels},range=0.25,hardness=200")
    encoder = build_encoder(
        EncoderSpec(method="bdq", settings=choice.method.change(None, choice.settings))
    )
    values = encoder(clip()).detach() * levels / 15
    assert values.max() <= levels
    assert (values - values.round()).abs().mean() < 0.02  # nearly whole levels
    assert len(values.round().unique()) <= levels + 1


def test_a_wider_window_blurs_more() -> None:
    narrow, wide = variant(kernel_size=3, sigma=4.0), variant(kernel_size=9, sigma=4.0)
    assert wide(clip()).std() < narrow(clip()).std()


def test_channels_can_have_their_own_numbers() -> None:
    sigmas = (0.6, 1.2, 2.4)
    rows = [INITIAL_BOUNDARIES, (5.0,) * 15, (2.0,) * 7 + (12.0,) * 8]
    encoder = variant(sigma=sigmas, boundaries=rows)
    found = encoder(clip())
    for channel, (sigma, row) in enumerate(zip(sigmas, rows, strict=True)):
        alone = variant(sigma=sigma, boundaries=row)(clip())
        torch.testing.assert_close(found[:, channel], alone[:, channel], atol=2e-4, rtol=1e-4)
    found.square().sum().backward()
    assert encoder.boundaries.grad is not None
    assert encoder.boundaries.grad.shape == (3, 15)
    assert {"sigma_r", "b15_b"} < encoder.numbers().keys()
    assert len(encoder.numbers()) == 48


def test_whatever_the_optimiser_did_the_spec_is_valid() -> None:
    encoder = variant(sigma=(1.0, 1.0, 1.0), boundaries=(INITIAL_BOUNDARIES,) * 3)
    with torch.no_grad():
        encoder.sigma.fill_(-3)
        encoder.boundaries.copy_(torch.randn(3, 15) * 20)
    encoder.constrain()
    assert build_encoder(encoder.spec).spec == encoder.spec


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kernel_size": 4}, "a window is odd, found 4"),
        ({"sigma": (1.0, 2.0)}, "sigma"),
        ({"boundaries": (3.0, 1.0)}, "boundaries must ascend"),
        ({"boundaries": (3.0, 10.0)}, r"must lie in \[0, 2\]"),
        ({"boundaries": ((0.5,), (0.5, 1.5), (0.5,))}, "the same number of boundaries"),
        ({"range_mode": "clip"}, "needs a range, and nothing else has one"),
        ({"modules": "BQ"}, "needs a range, and nothing else has one"),
    ],
)
def test_settings_that_contradict_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        variant(**changes)


def test_older_files_are_read() -> None:
    now = load_spec("bdq")
    numbers = now.settings.model_dump(
        include={*["sigma", "boundaries", "hardness", "range_mode", "range"]}
    )
    rest = {"geometry": now.geometry, "provenance": now.provenance}
    assert EncoderSpec.model_validate({"method": "bdq", **numbers, **rest}) == now
    old = numbers | {"stages": "DQ", "sigma": [3.0], "boundaries": [numbers["boundaries"]]}
    parts = EncoderSpec.model_validate({"method": "bdq-variant", "settings": old, **rest})
    assert parts.method == "bdq"
    assert parts.settings.modules == "DQ"
    assert (parts.settings.sigma, parts.settings.boundaries) == (3.0, numbers["boundaries"])
