"""Encoders and clips that the encoder tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from motionveil.encoders import BDQ
from motionveil.spec import EncoderSpec

TRAINED = (0.5, 1.5, 2.5, 3.5, 5.4, 5.4, 5.5, 7.0, 9.3, 9.3, 9.3, 12.0, 13.0, 14.0, 14.5)
"""Boundaries as training leaves them: several in one place."""


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def encoder() -> BDQ:
    """A BDQ in fixed mode with numbers as training leaves them."""
    spec = EncoderSpec.untrained(range=0.25).model_copy(
        update={"sigma": 1.37, "boundaries": TRAINED}
    )
    return BDQ(spec)


@pytest.fixture
def threads() -> Iterator[None]:
    """Restore torch's number of threads after a test that changes it."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
