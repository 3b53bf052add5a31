"""Real video for the tests of the exports."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from motionveil.video import read_clip


@pytest.fixture(scope="session")
def real_clip(ut_interaction: Path) -> NDArray[np.uint8]:
    """Twelve frames of two people who fight, uint8 (12, H, W, 3)."""
    return read_clip(ut_interaction / "segmented_set1" / "0_1_4.avi", 40, 52)
