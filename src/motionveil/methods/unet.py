"""The filter network of Wu et al., ECCV 2018."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from motionveil.methods.base import Method, Settings

Width = Annotated[int, Field(ge=1)]


class UnetSettings(Settings):
    """Size of the network; its weights lie beside the spec.

    Attributes:
        widths: Channels at full, half and quarter resolution. With five blocks the default has
            the size of the paper's table 1.
        blocks: Residual blocks at quarter resolution.
    """

    widths: tuple[Width, Width, Width] = (36, 56, 112)
    blocks: int = Field(default=5, ge=0)


class UnetOptions(UnetSettings):
    """Options in a recipe.

    Attributes:
        adversaries, restart_every: As in `AdversarialSchedule`; they replace the recipe's.
    """

    adversaries: int = Field(default=4, ge=1)
    restart_every: int | None = Field(default=100, ge=1)


class Unet(Method):
    """An image-to-image network that filters single frames, trained against an adversary."""

    name = "unet"
    label = "Wu et al."
    help = "the filter network of Wu et al.; the strength is alpha"
    settings = UnetSettings
    options = UnetOptions
    learned = adversarial = True
    unpublished = frozenset({"adversarial.restart_every"})  # it is reset, nobody says how often
    encoder = "motionveil.encoders.unet:Unet"
    unstreamable = "it is a network of a million weights, and a stream is veiled without torch"
    multiple = 4  # it works at a quarter of the resolution
    colour, marker = "#D55E00", "^"

    def start(self, start: Any, changes: Any) -> Settings | None:
        """Return the size that the recipe gives."""
        options = start.options or UnetOptions()
        size = {"widths": options.widths, "blocks": options.blocks}
        return self.change(None, size | dict(changes))

    def training(self, options: Any) -> dict[str, Any]:
        """Several adversaries that get fresh weights in turn, as Wu et al. have."""
        options = options or UnetOptions()
        return {
            "adversarial.adversaries": options.adversaries,
            "adversarial.restart_every": options.restart_every,
        }
