"""BDQ: blur, difference, quantisation (Kumawat and Nagahara, ECCV 2022, section 3.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from motionveil.errors import MotionveilError
from motionveil.methods import base
from motionveil.methods.base import (
    KERNEL_SIZE,
    LEVELS,
    OLDER_NUMBERS,
    BlurredDifference,
    Method,
    RangeMode,
    Settings,
    Sigma,
    Start,
)

Modules = Literal["B", "D", "Q", "BD", "BQ", "DQ", "BDQ"]
"""Which of the three modules an encoder has, in their order."""

INITIAL_BOUNDARIES = base.even_boundaries(LEVELS)
"""The boundaries before training: 0.5, 1.5, ..., 14.5 (paper, section 3.1)."""

Row = tuple[float, ...]


def _count(value: Any) -> str:
    """Tell one value from three, so that an error is about the right one."""
    return "three" if isinstance(value, list | tuple) else "one"


def _count_rows(value: Any) -> str:
    return _count(value[0]) if isinstance(value, list | tuple) and value else "one"


class BDQSettings(Settings):
    """BDQ's numbers; the defaults are those before training, and protect nothing.

    Attributes:
        modules: The modules it has.
        sigma: Standard deviation of the blur in pixels: one, or one for each of R, G, B.
        kernel_size: Width of the blur's window in pixels, odd.
        learn_sigma: Whether training may change sigma.
        boundaries: The quantiser's N boundaries b_n, ascending within [0, N]; 15 in the paper. One
            row, or one for each of R, G, B.
        hardness: H, the steepness of the soft quantiser, > 0; the paper uses 5.
        range_mode: How differences are brought to [0, N]: `"fixed"` (causal, the only one that can
            stream), `"clip"` or `"batch"` (the authors' released code).
        range: r of the fixed mode: a difference d in [-r, r], of intensities in [0, 1], becomes
            (d + r) / 2r * N. Without D frames are taken as they are, and there is none.
        hard: Count boundaries instead of summing sigmoids.
    """

    modules: Modules = "BDQ"
    sigma: Annotated[
        Annotated[Sigma, Tag("one")] | Annotated[tuple[Sigma, Sigma, Sigma], Tag("three")],
        Discriminator(_count),
    ] = 1.0
    kernel_size: int = Field(default=KERNEL_SIZE, ge=1)
    learn_sigma: bool = True
    boundaries: Annotated[
        Annotated[Row, Tag("one")] | Annotated[tuple[Row, Row, Row], Tag("three")],
        Discriminator(_count_rows),
    ] = INITIAL_BOUNDARIES
    hardness: float = Field(default=5.0, gt=0)
    range_mode: RangeMode = "fixed"
    range: float | None = Field(default=None, gt=0, le=1)
    hard: bool = False

    @property
    def sigmas(self) -> tuple[float, ...]:
        """One standard deviation, or three."""
        return (self.sigma,) if isinstance(self.sigma, float) else self.sigma

    @property
    def rows(self) -> tuple[tuple[float, ...], ...]:
        """One row of boundaries, or three."""
        rows: Any = self.boundaries
        return (rows,) if isinstance(rows[0], float) else rows

    @field_validator("kernel_size")
    @classmethod
    def _check_window(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError(f"a window is odd, found {value}")
        return value

    @model_validator(mode="after")
    def _check(self) -> BDQSettings:
        if not self.boundaries:
            raise ValueError("there must be a boundary")
        if len({len(row) for row in self.rows}) > 1:
            raise ValueError("every channel must have the same number of boundaries")
        for row in self.rows:
            base.check_boundaries(row)
        if ("D" in self.modules and self.range_mode == "fixed") != (self.range is not None):
            raise ValueError(
                "D with range_mode 'fixed' needs a range, and nothing else has one (modules"
                f" {self.modules}, range_mode {self.range_mode!r}, range {self.range})"
            )
        return self


class BDQ(Method):
    """Blur, difference of consecutive frames, quantisation with learned boundaries.

    Names may set `modules` and `hard` (of the trained encoder), and `levels`, `channels` and any
    other setting (trained so): `bdq:modules=BD`, `bdq:levels=31`, `bdq:channels=3`.
    """

    name = "bdq"
    label = "BDQ"
    help = "BDQ, the paper's method; the strength is alpha"
    settings = BDQSettings
    learned = adversarial = True
    after_training = frozenset({"modules", "hard"})
    encoder = "motionveil.encoders.bdq:BDQ"
    stream = "motionveil.streaming.veils:DifferenceVeil"
    colour, marker = "#0072B2", "o"
    renamed: ClassVar = {
        **{f"bdq-{modules}": f"bdq:modules={modules}" for modules in ("B", "D", "Q")},
        **{f"bdq-{modules}": f"bdq:modules={modules}" for modules in ("BD", "BQ", "DQ")},
        **{f"bdq-range-{mode}": f"bdq:range_mode={mode}" for mode in ("clip", "batch")},
        **{f"bdq-levels-{number}": f"bdq:levels={number}" for number in (3, 7, 31)},
        **{f"bdq-kernel-{size}": f"bdq:kernel_size={size}" for size in (3, 9)},
        "bdq-sigma-fixed": "bdq:learn_sigma=false",
        "bdq-channels": "bdq:channels=3",
        "bdq-hard": "bdq:hard=true",
    }

    def start(self, start: Start, changes: Mapping[str, Any]) -> Settings | None:
        """Return sigma 1 and boundaries 0.5, 1.5, ...; the range is calibrated."""
        chosen = {"hardness": start.hardness, "range_mode": start.range_mode, **changes}
        plain = self.change(None, chosen | {"range_mode": "clip", "range": None})
        assert isinstance(plain, BDQSettings)
        fixed = chosen["range_mode"] == "fixed" and "D" in plain.modules
        spread = start.calibrate() if fixed and "range" not in changes else None
        return self.change(None, {"range": spread, **chosen} if fixed else chosen)

    def change(self, settings: Settings | None, changes: Mapping[str, Any]) -> Settings | None:
        """Return settings with some changed; `levels` and `channels` set boundaries and sigma."""
        known = dict(changes)
        kept = settings if isinstance(settings, BDQSettings) else None
        if "levels" in known:
            known["boundaries"] = base.even_boundaries(int(known.pop("levels")))
        if known.pop("channels", 1) == 3:
            first = kept or BDQSettings(range_mode="clip")
            known.setdefault("sigma", first.sigmas[:1] * 3)
            known["boundaries"] = (known.get("boundaries") or first.rows[0],) * 3
        modules = known.get("modules", kept.modules if kept else "BDQ")
        mode = known.get("range_mode", kept.range_mode if kept else "fixed")
        if "D" not in modules or mode != "fixed":
            known.setdefault("range", None)
        return super().change(settings, known)

    def check(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Check settings that a name gives; `levels` and `channels` are among them."""
        own = {name: changes[name] for name in ("levels", "channels") if name in changes}
        if own.get("channels", 3) != 3 or not 1 <= int(own.get("levels", 1)) <= 255:
            raise MotionveilError("channels is 3, and levels from 1 to 255")
        others = {name: value for name, value in changes.items() if name not in own}
        # What does not go together is looked at when the range is known.
        missing = {} if "range" in others or "range_mode" in others else {"range_mode": "clip"}
        typed = super().check(others | missing)
        return {name: own[name] if name in own else typed[name] for name in changes}

    def read(self, values: dict[str, Any]) -> dict[str, Any]:
        """Read the files in which the numbers stood beside the settings of other methods."""
        values = super().read(values)
        if values.get("settings") is None:
            values["settings"] = {
                name: values.pop(name) for name in OLDER_NUMBERS if name in values
            } or None
        elif values.get("method") == "bdq-variant":
            own = dict(values["settings"])
            own["modules"] = own.pop("stages", "BDQ")
            for name in ("sigma", "boundaries"):
                if len(own.get(name, ())) == 1:
                    own[name] = own[name][0]
            values["settings"] = own
        return values | {"method": "bdq"}

    def difference(self, settings: Any, *, hard: bool = False) -> BlurredDifference:
        """Return BDQ in fixed range as a map of blurred differences.

        Raises:
            MotionveilError: It has no difference, its output depends on frames still to come, or
                its blur is not the paper's.
        """
        assert isinstance(settings, BDQSettings)
        if settings.range is None:
            raise MotionveilError(_why_not(settings))
        if settings.kernel_size != KERNEL_SIZE or len(settings.sigmas) + len(settings.rows) > 2:
            raise MotionveilError(
                f"only a window of {KERNEL_SIZE} pixels and the same numbers for R, G and B can"
                " work frame by frame"
            )
        weights = gaussian(settings.sigmas[0] if "B" in settings.modules else None)
        hard = hard or settings.hard
        return BlurredDifference(
            weights,
            settings.range,
            lambda difference: quantised(settings, difference, hard=hard),
            steps=hard and "Q" in settings.modules,
        )


def _why_not(settings: BDQSettings) -> str:
    if "D" not in settings.modules:
        return f"BDQ with the modules {settings.modules} takes no difference: it shows the scene"
    return (
        f"an encoder with range_mode {settings.range_mode!r} cannot work frame by frame:"
        " its output depends on frames still to come; only 'fixed' can stream"
    )


def gaussian(sigma: float | None) -> NDArray[np.float64]:
    """Return the 5 weights of the separable Gaussian, sum 1; None blurs nothing."""
    radius = KERNEL_SIZE // 2
    if sigma is None:
        return np.eye(KERNEL_SIZE)[radius]
    return base.gaussian(sigma, radius)


def quantised(
    settings: BDQSettings, difference: NDArray[Any], *, hard: bool = False
) -> NDArray[np.float64]:
    """Map blurred differences to levels: fixed-range normalisation, then quantisation.

    Args:
        settings: Of fixed range, with one row of boundaries.
        difference: Blurred differences of intensities in [0, 1], any shape.
        hard: Count the boundaries below instead of summing sigmoids.

    Returns:
        Values in [0, 15], float64, of the same shape.
    """
    assert settings.range is not None
    row, reach = settings.rows[0], settings.range
    position = (np.asarray(difference, np.float64) + reach) / (2 * reach) * len(row)
    position = np.clip(position, 0, len(row))
    if "Q" not in settings.modules:
        return position * (LEVELS / len(row))
    return base.quantise(position, row, settings.hardness, hard=hard)
