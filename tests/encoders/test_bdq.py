"""The modules BDQ and Raw: parameters, constraints, independence of clips, export, compilation."""

from __future__ import annotations

import shutil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from motionveil.encoders import BDQ, Raw, build_encoder, functional
from motionveil.errors import MotionveilError
from motionveil.methods.bdq import INITIAL_BOUNDARIES
from motionveil.spec import EncoderSpec


def bdq(mode: str = "fixed") -> BDQ:
    return BDQ(
        EncoderSpec(
            sigma=1.2,
            boundaries=INITIAL_BOUNDARIES,
            hardness=5.0,
            range_mode=mode,
            range=0.25 if mode == "fixed" else None,
        )
    )


class TestParameters:
    def test_exactly_sixteen_numbers_are_learned(self):
        encoder = bdq()
        assert {n: tuple(p.shape) for n, p in encoder.named_parameters()} == {
            "sigma": (),
            "boundaries": (15,),
        }
        assert sum(p.numel() for p in encoder.state_dict().values()) == 16

    @pytest.mark.parametrize("mode", ["fixed", "clip", "batch"])
    def test_all_of_them_get_a_gradient(self, mode: str):
        encoder = bdq(mode)
        encoder(torch.rand(2, 3, 4, 9, 9)).square().sum().backward()
        for parameter in encoder.parameters():
            assert parameter.grad is not None
            assert parameter.grad.abs().min() > 0

    def test_refuses_the_spec_of_another_method(self):
        with pytest.raises(MotionveilError, match="method 'bdq', found 'raw'"):
            BDQ(EncoderSpec(method="raw"))


class TestConstrain:
    @given(
        st.floats(-5, 5, width=32), st.lists(st.floats(-9, 30, width=32), min_size=15, max_size=15)
    )
    @settings(deadline=None)
    def test_whatever_the_optimiser_did_the_spec_is_valid(self, sigma: float, values: list[float]):
        encoder = bdq()
        with torch.no_grad():
            encoder.sigma.fill_(sigma)
            encoder.boundaries.copy_(torch.tensor(values))
        encoder.constrain()
        spec = encoder.spec
        assert spec.settings.sigma is not None
        assert spec.settings.sigma == pytest.approx(max(sigma, 0.3))
        assert spec.settings.boundaries == pytest.approx(sorted(min(max(v, 0), 15) for v in values))
        encoder(torch.rand(1, 3, 2, 4, 4))

    def test_forward_changes_no_parameter(self):
        encoder = bdq()
        with torch.no_grad():
            encoder.boundaries.copy_(encoder.boundaries.flip(0) + 3)
        before = encoder.boundaries.clone()
        encoder(torch.rand(1, 3, 2, 4, 4))
        assert torch.equal(encoder.boundaries, before)


class TestSpec:
    def test_round_trip_keeps_numbers_and_provenance(self):
        spec = EncoderSpec.untrained(range=0.31, data="actors", seed=3).change(
            sigma=1.3, boundaries=tuple(sorted(1.1 + 0.9 * n for n in range(15)))
        )
        stored = BDQ(spec).spec
        assert stored.settings.sigma == 1.3
        assert stored.provenance == {"data": "actors", "seed": 3}
        assert stored.settings.boundaries == pytest.approx(spec.settings.boundaries, rel=1e-6)
        assert BDQ(stored).spec == stored

    def test_agrees_with_the_map_of_the_capture_side(self, encoder: BDQ):
        clip = torch.rand(1, 3, 4, 12, 12)
        motion = functional.blur(functional.difference(clip), encoder.sigma).detach()
        for hard in (False, True):
            encoder.hard = hard
            expected = torch.from_numpy(encoder.spec.difference(hard=hard).levels(motion.numpy()))
            torch.testing.assert_close(encoder(clip).detach(), expected.float(), atol=1e-4, rtol=0)


class TestForward:
    @given(st.tuples(*(st.integers(1, n) for n in (2, 4, 9, 9))), st.booleans())
    @settings(deadline=None)
    def test_shape_and_range(self, shape: tuple[int, ...], hard: bool):
        B, T, H, W = shape
        encoder = bdq()
        encoder.hard = hard
        veiled = encoder(torch.rand(B, 3, T + 1, H, W))
        assert veiled.shape == (B, 3, T, H, W)
        assert veiled.min() >= 0
        assert veiled.max() <= 15
        if hard:
            assert torch.equal(veiled, veiled.round())

    def test_no_motion_is_constant(self):
        veiled = bdq()(torch.rand(1, 3, 1, 6, 6).expand(1, 3, 4, 6, 6))
        assert veiled.min() == veiled.max()
        assert float(veiled.detach().max()) == pytest.approx(7.5, abs=1e-4)

    @pytest.mark.parametrize("encoder", [bdq(), Raw()])
    @pytest.mark.parametrize(
        ("clip", "message"),
        [
            (torch.rand(3, 4, 8, 8), r"\(B, 3, T, H, W\), found \(3, 4, 8, 8\)"),
            (torch.rand(1, 4, 3, 8, 8), r"found \(1, 4, 3, 8, 8\)"),
            (torch.full((1, 3, 2, 4, 4), torch.nan), "NaN or infinite"),
            (torch.full((1, 3, 2, 4, 4), torch.inf), "NaN or infinite"),
            (torch.full((1, 3, 2, 4, 4), 255.0), r"in \[0, 1\], found values from 255 to 255"),
            (torch.randint(0, 255, (1, 3, 2, 4, 4), dtype=torch.uint8), "floating, found"),
        ],
    )
    def test_refuses_what_is_no_clip(self, encoder: nn.Module, clip: Tensor, message: str):
        with pytest.raises(ValueError, match=message):
            encoder(clip)

    def test_refuses_one_frame(self):
        with pytest.raises(ValueError, match="at least 2 frames"):
            bdq()(torch.rand(1, 3, 1, 8, 8))


class TestIndependenceOfClips:
    @pytest.mark.parametrize("mode", ["fixed", "clip"])
    def test_permuting_a_batch_permutes_the_output(self, mode: str):
        clips, order = torch.rand(4, 3, 5, 11, 7), torch.tensor([2, 0, 3, 1])
        encoder = bdq(mode)
        assert torch.equal(encoder(clips[order]), encoder(clips)[order])

    @pytest.mark.parametrize("mode", ["fixed", "clip"])
    def test_changing_one_clip_leaves_the_rest_bit_equal(self, mode: str):
        clips = torch.rand(4, 3, 5, 11, 7)
        changed = clips.clone()
        changed[1] = (torch.rand(3, 5, 11, 7) > 0.5).float()
        encoder = bdq(mode)
        others = [0, 2, 3]
        assert torch.equal(encoder(changed)[others], encoder(clips)[others])
        assert not torch.equal(encoder(changed)[1], encoder(clips)[1])

    def test_batch_mode_leaks_between_clips(self):
        clips = 0.5 + 0.1 * torch.rand(4, 3, 5, 11, 7)
        changed = clips.clone()
        changed[1, :, ::2], changed[1, :, 1::2] = 0, 1
        encoder = bdq("batch")
        assert not torch.allclose(encoder(changed)[0], encoder(clips)[0], atol=0.1)

    def test_batch_mode_cannot_stream(self):
        with pytest.raises(MotionveilError, match="only 'fixed' can stream"):
            bdq("batch").spec.difference().levels(torch.zeros(3).numpy())


class TestGradient:
    @pytest.mark.parametrize("mode", ["fixed", "clip", "batch"])
    def test_gradcheck(self, mode: str):
        encoder = bdq(mode).double()
        clip = (0.3 * torch.rand(2, 3, 3, 3, 2, dtype=torch.float64)).requires_grad_()
        assert torch.autograd.gradcheck(
            lambda clip, *_: encoder(clip), (clip, *encoder.parameters())
        )


class TestExport:
    @pytest.mark.parametrize("mode", ["fixed", "clip", "batch"])
    @pytest.mark.parametrize("hard", [False, True])
    def test_export_gives_the_same_at_every_size(self, mode: str, hard: bool):
        encoder = bdq(mode)
        encoder.hard = hard
        sizes = {
            0: torch.export.Dim("b"),
            2: torch.export.Dim("t", min=3),
            3: torch.export.Dim("h"),
            4: torch.export.Dim("w"),
        }
        program = torch.export.export(
            encoder, (torch.rand(2, 3, 4, 8, 8),), dynamic_shapes={"clip": sizes}
        )
        clip = torch.rand(3, 3, 6, 13, 9)
        torch.testing.assert_close(program.module()(clip), encoder(clip), atol=1e-4, rtol=0)

    @pytest.mark.slow
    @pytest.mark.skipif(
        shutil.which("c++") is None and shutil.which("g++") is None,
        reason="torch.compile needs a C++ compiler, none found on the path",
    )
    @pytest.mark.parametrize("mode", ["fixed", "clip", "batch"])
    def test_compile_gives_the_same_values_and_gradients(self, mode: str):
        encoder, clip = bdq(mode), torch.rand(2, 3, 4, 9, 7)
        compiled = torch.compile(encoder, fullgraph=True)
        results = []
        for run in (encoder, compiled):
            encoder.zero_grad()
            veiled = run(clip)
            veiled.square().sum().backward()
            grads = [p.grad.clone() for p in encoder.parameters() if p.grad is not None]
            results.append((veiled.detach(), *grads))
        torch.testing.assert_close(results[0], results[1], atol=1e-3, rtol=1e-3)


class TestRaw:
    def test_is_the_clip_on_the_scale_of_the_levels(self):
        clip = torch.rand(2, 3, 1, 5, 4)
        assert torch.equal(Raw()(clip), clip * 15)

    def test_has_no_parameters_and_a_spec(self):
        assert not list(Raw().parameters())
        assert isinstance(build_encoder(Raw().spec), Raw)
