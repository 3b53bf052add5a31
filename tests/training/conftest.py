"""Toy data that the training's tests share; see `tiny`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

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


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Let torch compute on one thread, which on toys is faster, and exact to the bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
