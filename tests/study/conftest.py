"""A small study that is being served."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from small_study import small_study

if TYPE_CHECKING:
    from study_world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """The study in `tmp_path / "study"`, its server, and browsers that ask it."""
    pytest.importorskip("fastapi", reason="needs fastapi: install '.[study]'")
    from study_world import World

    small_study(tmp_path / "study")
    world = World(tmp_path / "study")
    yield world
    world.site.store.close()
