"""Stratified split and folds: nothing leaks, training lacks nothing, shares are even."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motionveil.datasets.manifest import Clip
from motionveil.datasets.splits import stratified_folds, stratified_split
from motionveil.errors import MotionveilError


def _clip(number: int, action: str, person: str, group: str) -> Clip:
    return Clip(f"{number}.mp4", 0, 9, action, {"person": person}, group, "")


def _grid(actions: int, people: int, takes: int) -> list[Clip]:
    cells = [(a, p) for a in range(actions) for p in range(people) for _ in range(takes)]
    return [_clip(i, f"a{a}", f"p{p}", str(i)) for i, (a, p) in enumerate(cells)]


def _names(clips: list[Clip]) -> set[str]:
    return {name for clip in clips for name in (clip.action, clip.privacy["person"])}


@pytest.mark.parametrize("seed", range(5))
def test_even_data_is_split_evenly(seed: int) -> None:
    clips = stratified_split(_grid(6, 5, 4), share=0.25, seed=seed)
    held_out = Counter((c.action, c.privacy["person"]) for c in clips if c.split == "validation")
    assert set(held_out.values()) == {1}
    assert len(held_out) == 30


def test_one_take_each() -> None:
    clips = stratified_split(_grid(6, 4, 1), share=0.25, seed=0)
    held_out = [c for c in clips if c.split == "validation"]
    assert set(Counter(c.action for c in held_out).values()) == {1}
    assert max(Counter(c.privacy["person"] for c in held_out).values()) == 2
    assert len(held_out) == 6


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 12)), min_size=1, max_size=60
    ),
    share=st.floats(0.05, 0.6),
    seed=st.integers(0, 1000),
)
def test_invariants(rows: list[tuple[int, int, int]], share: float, seed: int) -> None:
    clips = [_clip(i, f"a{a}", f"p{p}", f"g{g}") for i, (a, p, g) in enumerate(rows)]
    try:
        split = stratified_split(clips, share=share, seed=seed)
    except MotionveilError:  # rightly so if without any one group some name is gone
        for group in {c.group for c in clips}:
            rest = [c for c in clips if c.group != group]
            assert _names(rest) < _names(clips)
        return
    assert split == stratified_split(clips, share=share, seed=seed)
    assert [(c.path, c.action) for c in split] == [(c.path, c.action) for c in clips]
    train = [c for c in split if c.split == "train"]
    held_out = [c for c in split if c.split == "validation"]
    assert held_out
    assert len(train) + len(held_out) == len(clips)
    assert not {c.group for c in train} & {c.group for c in held_out}
    assert _names(train) == _names(clips)


def test_seed_matters() -> None:
    clips = _grid(3, 3, 4)
    chosen = [
        tuple(c.path for c in stratified_split(clips, share=0.25, seed=s) if c.split != "train")
        for s in range(5)
    ]
    assert len(set(chosen)) > 1


def test_too_little_to_split() -> None:
    with pytest.raises(MotionveilError, match="nothing can be held out of 4 clips"):
        stratified_split(_grid(2, 2, 1)[:2] + _grid(4, 4, 1)[-2:], share=0.25, seed=0)


@pytest.mark.parametrize("share", [0, 1, -0.1, float("nan")])
def test_wrong_share(share: float) -> None:
    with pytest.raises(MotionveilError, match="between 0 and 1"):
        stratified_split(_grid(2, 2, 2), share=share, seed=0)


@pytest.mark.parametrize("seed", range(5))
def test_even_data_makes_even_folds(seed: int) -> None:
    clips = stratified_folds(_grid(6, 5, 4), folds=4, seed=seed)
    cells = Counter((c.split, c.action, c.privacy["person"]) for c in clips)
    assert set(cells.values()) == {1}
    assert len(cells) == 4 * 30


def test_one_take_each_in_folds() -> None:
    """Each action is in each fold as often as five people allow, and each person too."""
    clips = stratified_folds(_grid(10, 5, 1), folds=5, seed=0)
    assert set(Counter(c.split for c in clips).values()) == {10}
    assert set(Counter((c.split, c.action) for c in clips).values()) == {1}
    people = Counter((c.split, c.privacy["person"]) for c in clips)
    assert set(people.values()) <= {1, 2, 3}
    assert len(people) == 25


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 12)), min_size=1, max_size=60
    ),
    folds=st.integers(2, 5),
    seed=st.integers(0, 1000),
)
def test_invariants_of_folds(rows: list[tuple[int, int, int]], folds: int, seed: int) -> None:
    clips = [_clip(i, f"a{a}", f"p{p}", f"g{g}") for i, (a, p, g) in enumerate(rows)]
    groups = {c.group for c in clips}
    if len(groups) < folds:
        with pytest.raises(MotionveilError, match="and a recording for each"):
            stratified_folds(clips, folds=folds, seed=seed)
        return
    split = stratified_folds(clips, folds=folds, seed=seed)
    assert split == stratified_folds(clips, folds=folds, seed=seed)
    assert [(c.path, c.action) for c in split] == [(c.path, c.action) for c in clips]
    assert {c.split for c in split} == {f"fold{number}" for number in range(folds)}
    assert len({(c.group, c.split) for c in split}) == len(groups)


def test_seed_matters_to_folds() -> None:
    clips = _grid(3, 3, 4)
    chosen = {tuple(c.split for c in stratified_folds(clips, folds=3, seed=s)) for s in range(5)}
    assert len(chosen) > 1


def test_too_few_recordings_for_the_folds() -> None:
    with pytest.raises(MotionveilError, match="5 folds of 4 recordings"):
        stratified_folds(_grid(1, 1, 4), folds=5, seed=0)
    with pytest.raises(MotionveilError, match="1 folds of 4 recordings: there must be 2"):
        stratified_folds(_grid(1, 1, 4), folds=1, seed=0)
