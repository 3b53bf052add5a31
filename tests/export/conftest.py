"""Real video and compiled encoders for the tests of the exports."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from compiled import Built
from export_examples import SPECS
from numpy.typing import NDArray

from motionveil.video import read_clip


@pytest.fixture(scope="session")
def real_clip(ut_interaction: Path) -> NDArray[np.uint8]:
    """Twelve frames of two people who fight, uint8 (12, H, W, 3)."""
    return read_clip(ut_interaction / "segmented_set1" / "0_1_4.avi", 40, 52)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, bool], Built]:
    """Compiles each encoder once, soft or hard."""

    @cache
    def build(name: str, hard: bool) -> Built:
        return Built(SPECS[name], tmp_path_factory.mktemp("built"), hard=hard)

    return build
