"""Toy data that the training's tests share; see `tiny`."""

from __future__ import annotations

import pytest

from motionveil.data.manifest import Manifest
from motionveil.training.trial import Trial
from tiny import tiny_trial, write_toys


@pytest.fixture(scope="session")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Twelve clips to train on, eight held out: two people, two actions."""
    return write_toys(tmp_path_factory.mktemp("toys"))


@pytest.fixture(scope="session")
def trial(toys: Manifest) -> Trial:
    """A trial with the tiny recipe; take others from `tiny.tiny_trial`."""
    return tiny_trial(toys)
