"""The filter of Wu et al.: an image-to-image network, frame by frame, with 1.3 M weights.

Wu, Wang, Wang and Jin, "Towards Privacy-Preserving Visual Recognition via Adversarial Training",
ECCV 2018; the network is the one of Johnson, Alahi and Fei-Fei, "Perceptual Losses for Real-Time
Style Transfer and Super-Resolution", ECCV 2016. The BDQ paper compares with it (section 4.3).
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from motionveil.atomic_write import atomic_path
from motionveil.encoders import functional
from motionveil.encoders.base import Encoder
from motionveil.errors import MotionveilError
from motionveil.methods import LEVELS
from motionveil.methods.unet import Unet as UnetMethod
from motionveil.methods.unet import UnetSettings
from motionveil.spec import EncoderSpec

STRIDE = UnetMethod.multiple
"""The network works at a quarter of the resolution: width and height must be multiples of it."""


class Unet(Encoder):
    """Johnson et al.'s network as a filter of single frames.

    9 x 9 convolution, two of stride 2, residual blocks, two transposed ones of stride 2, 9 x 9
    convolution, sigmoid. Instance normalisation, since batch statistics would let clips leak into
    each other. Johnson et al. have widths 32, 64, 128; the default (36, 56, 112) is what with five
    blocks has the size that the BDQ paper's table 1 gives: 1.3 M parameters, 166.4 GFLOPs.

    **Fresh weights hide nothing that can be counted on**: it must be trained against an adversary.
    """

    is_network = True

    def __init__(self, spec: EncoderSpec) -> None:
        super().__init__()
        assert isinstance(spec.settings, UnetSettings)
        self._spec = spec
        full, half, quarter = spec.settings.widths
        self.network = nn.Sequential(
            *_unit(nn.Conv2d(3, full, 9, padding=4, padding_mode="replicate")),
            *_unit(nn.Conv2d(full, half, 3, 2, padding=1)),
            *_unit(nn.Conv2d(half, quarter, 3, 2, padding=1)),
            *(Residual(quarter) for _ in range(spec.settings.blocks)),
            *_unit(nn.ConvTranspose2d(quarter, half, 3, 2, padding=1, output_padding=1)),
            *_unit(nn.ConvTranspose2d(half, full, 3, 2, padding=1, output_padding=1)),
            nn.Conv2d(full, 3, 9, padding=4, padding_mode="replicate"),
        )

    def forward(self, clip: Tensor) -> Tensor:
        """Filter every frame: `(B, 3, T, H, W)` in [0, 1] to the same shape in [0, 15].

        Raises:
            ValueError: The shape, dtype or a value of `clip` is wrong, or H or W is no multiple
                of 4.
        """
        functional.check_clip(clip)
        height, width = clip.shape[-2:]
        if height % STRIDE or width % STRIDE:
            raise ValueError(
                f"the filter takes frames whose sides are multiples of {STRIDE},"
                f" found {width} x {height}"
            )
        frames = clip.transpose(1, 2).flatten(0, 1)  # (B * T, 3, H, W)
        frames = frames.contiguous(memory_format=torch.channels_last)
        filtered = self.network(2 * frames - 1).sigmoid() * LEVELS
        return filtered.unflatten(0, (len(clip), -1)).transpose(1, 2).contiguous()

    @property
    def spec(self) -> EncoderSpec:
        """The spec it was built from."""
        return self._spec

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write `encoder.json` and beside it the weights, in a file named by their hash.

        The JSON comes last, so it never names weights that are not there; older weights go then.
        """
        place = Path(folder)
        content = save({name: value.contiguous() for name, value in self._weights().items()})
        name = f"encoder-{hashlib.sha256(content).hexdigest()[:12]}.safetensors"
        with atomic_path(place / name) as part:
            part.write_bytes(content)
        self._spec = self._spec.model_copy(update={"weights": name})
        path = super().save(place)
        for old in place.glob("encoder-*.safetensors"):
            if old.name != name:
                old.unlink(missing_ok=True)
        return path

    def load(self, folder: str | os.PathLike[str]) -> None:
        """Read the weights that the spec names out of the folder of its `encoder.json`.

        Raises:
            MotionveilError: The spec names none; the file is missing, damaged or does not fit.
        """
        if self._spec.weights is None:
            raise MotionveilError(
                f"{Path(folder) / 'encoder.json'}: it names no weights: this is no trained filter"
            )
        file = Path(folder) / self._spec.weights
        try:
            tensors, own = load_file(file), self.state_dict()
            if odd := [
                key for key, t in tensors.items() if key in own and t.dtype != own[key].dtype
            ]:
                raise RuntimeError(f"{odd[0]} is {tensors[odd[0]].dtype}, not {own[odd[0]].dtype}")
            self.load_state_dict(tensors)
        except (OSError, SafetensorError, RuntimeError) as error:
            fault = " ".join(str(error).split())
            raise MotionveilError(f"{file}: cannot read the filter's weights: {fault}") from error

    def _weights(self) -> dict[str, Tensor]:
        return {name: value.detach().cpu() for name, value in self.state_dict().items()}


class Residual(nn.Module):
    """Two 3 x 3 convolutions whose result is added to their input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            *_unit(nn.Conv2d(width, width, 3, padding=1)),
            nn.Conv2d(width, width, 3, padding=1),
            nn.InstanceNorm2d(width, affine=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C, H, W)` to the same shape."""
        y: Tensor = x + self.inner(x)
        return y


def _unit(convolution: nn.Conv2d | nn.ConvTranspose2d) -> tuple[nn.Module, ...]:
    norm = nn.InstanceNorm2d(convolution.out_channels, affine=True)
    return convolution, norm, nn.ReLU(inplace=True)
