"""A result beside the published figures: does the difference lie within its interval?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel

from motionveil.errors import MotionveilError
from motionveil.published.figures import (
    Axis,
    Figure,
    Publication,
    PublishedDataset,
    PublishedRow,
)
from motionveil.report.pooling import Method, Run, check, pool
from motionveil.results import Accuracy, Dataset, wilson_interval


class Comparison(BaseModel):
    """One accuracy of one method, measured and published; all shares in [0, 1].

    Attributes:
        method, alpha: As in the result's rows; rows that differ by seed or fold only are pooled.
        axis: `"action"`, or `"privacy"` as the publication reads it, by frame or by clip.
        measured, measured_interval, n: What was measured, with Wilson's 95 % interval, on n clips.
        published, published_interval, published_n: The same as published.
        source: Where the published figure stands, a key of the publication's `sources`.
        difference: `measured - published`.
        interval: Newcombe's 95 % interval of the difference.
        verdict: `"within"` where that interval holds 0, else `"outside"`.
    """

    method: str
    alpha: float | None
    axis: Axis
    measured: float
    measured_interval: tuple[float, float]
    n: int
    published: float
    published_interval: tuple[float, float]
    published_n: int
    source: str
    difference: float
    interval: tuple[float, float]
    verdict: Literal["within", "outside"]


class Verification(BaseModel):
    """A result held against a publication.

    Attributes:
        title, page: The publication.
        dataset: The data set's name.
        privacy_label: What the adversary was to find.
        reading: What the privacy figures are, `"frame"` or `"clip"` accuracy.
        comparisons: Action, then privacy, of each method with a published counterpart.
        departures: How the experiment is not the published one; where there is any, neither
            agreement nor difference says anything about the publication.
        not_compared: What has no published counterpart, and why.
        remark: What has to be known to read the published figures.
        sources: The sources of the figures compared, in words.
    """

    title: str
    page: str
    dataset: str
    privacy_label: str
    reading: str
    comparisons: list[Comparison]
    departures: list[str]
    not_compared: list[str]
    remark: str
    sources: dict[str, str]


def name_of(method: str, alpha: float | None) -> str:
    """Return how a method is called: `raw`, or `bdq, alpha 2`."""
    return method if alpha is None else f"{method}, alpha {alpha:g}"


def difference_interval(a: float, n: int, b: float, m: int) -> tuple[float, float]:
    """Return the 95 % interval of `a - b`, two shares of independent samples.

    Newcombe's hybrid of two Wilson intervals, without a correction for continuity (Newcombe,
    Statistics in Medicine 17, 1998, method 10).

    Args:
        a, b: The shares, in [0, 1].
        n, m: The number of trials behind each, 1 or more.

    Raises:
        ValueError: A share or a number is out of range.

    Example:
        >>> low, high = difference_interval(56 / 70, 70, 48 / 80, 80)
        >>> round(low, 4), round(high, 4)
        (0.0524, 0.3339)
    """
    (a_low, a_high), (b_low, b_high) = wilson_interval(a, n), wilson_interval(b, m)
    return (
        a - b - math.hypot(a - a_low, b_high - b),
        a - b + math.hypot(a_high - a, b - b_low),
    )


def verify(run: Run, publication: Publication) -> Verification:
    """Compare a result with the published figures for the same data set and methods.

    Args:
        run: The result and its folder.
        publication: The published figures.

    Raises:
        MotionveilError: The publication has no figures for the data set or for any of the methods,
            or the result contradicts itself.
    """
    check(run)
    file = run.folder / "results.json"
    dataset = run.result.dataset
    published = _dataset_of(publication, dataset.name, f"{file}")
    same_label = dataset.privacy_label == published.privacy_label
    comparisons: list[Comparison] = []
    not_compared: list[str] = []
    for method in pool([run.result]):
        row = _counterpart(method, published)
        if row is None:
            name = name_of(method.method, method.alpha)
            not_compared.append(f"{name}: {_why_none(method, published)}")
            continue
        comparisons.append(_compare(method, row, "action", method.action, published.n))
        if same_label:
            seen = method.frame if publication.reading == "frame" else method.clip
            comparisons.append(_compare(method, row, "privacy", seen, published.n))
    if not comparisons:
        raise MotionveilError(
            f"{file}: nothing to compare on {dataset.name}: {'; '.join(not_compared)}"
        )
    if not same_label:
        not_compared.append(
            f"privacy: the label is {dataset.privacy_label!r}, published is"
            f" {published.privacy_label!r}"
        )
    used = {comparison.source for comparison in comparisons}
    return Verification(
        title=publication.title,
        page=publication.page,
        dataset=dataset.name,
        privacy_label=published.privacy_label,
        reading=publication.reading,
        comparisons=comparisons,
        departures=[
            *_departures_of_data(dataset, published),
            *_departures_of_recipe(run.result.recipe, publication, published),
        ],
        not_compared=not_compared,
        remark=published.remark,
        sources={key: said for key, said in publication.sources.items() if key in used},
    )


def _dataset_of(publication: Publication, name: str, where: str) -> PublishedDataset:
    for dataset in publication.datasets:
        if dataset.name == name:
            return dataset
    names = ", ".join(dataset.name for dataset in publication.datasets)
    raise MotionveilError(
        f"{where}: the data set is {name!r}; there are published figures for {names}"
    )


def _counterpart(method: Method, published: PublishedDataset) -> PublishedRow | None:
    """Return the published row of a method; BDQ has one at the published alpha only."""
    for row in published.rows:
        if row.method == method.method and row.alpha in (None, method.alpha):
            return row
    return None


def _why_none(method: Method, published: PublishedDataset) -> str:
    alphas = [row.alpha for row in published.rows if row.method == method.method]
    if not alphas:
        return "no published figure"
    return f"published is alpha {alphas[0]:g}"


def _compare(
    method: Method, row: PublishedRow, axis: Axis, seen: Accuracy, published_n: int
) -> Comparison:
    figure: Figure = getattr(row, axis)
    low, high = difference_interval(seen.accuracy, seen.n, figure.accuracy, published_n)
    return Comparison(
        method=method.method,
        alpha=method.alpha,
        axis=axis,
        measured=seen.accuracy,
        measured_interval=seen.interval,
        n=seen.n,
        published=figure.accuracy,
        published_interval=figure.interval(published_n),
        published_n=published_n,
        source=figure.source,
        difference=seen.accuracy - figure.accuracy,
        interval=(low, high),
        verdict="within" if low <= 0 <= high else "outside",
    )


def _departures_of_data(dataset: Dataset, published: PublishedDataset) -> Iterator[str]:
    """Say how the clips and their labels are not the published ones."""
    way = dataset.split_rule.partition(":")[0]
    if not way:
        yield f"the result does not say how its data was split, published is {published.split!r}"
    elif way != published.split:
        yield f"the split is {way!r}, published is {published.split!r}"
    counts = (published.training, published.validation)
    for split, found in dataset.parts.items():
        if found != counts:
            yield (
                f"{split} has {found[0]} clips to train on and {found[1]} held out, the published"
                f" split has {counts[0]} and {counts[1]}"
            )
            break
    for what, names, number in (
        ("actions", dataset.actions, published.actions),
        (f"names of {published.privacy_label}", dataset.privacy_names, published.privacy_names),
    ):
        if len(names) != number:
            yield f"{len(names)} {what}, published are {number}"


def _departures_of_recipe(
    recipe: Mapping[str, Any], publication: Publication, published: PublishedDataset
) -> Iterator[str]:
    """Say in which fields the recipe is not the published one; alpha is compared with the rows."""
    found = dict(_flat(_with_rate_and_order(recipe)))
    protocol = {"frames": published.frames, **publication.protocol}
    if silent := [field for field in protocol if field not in found]:
        yield f"the result does not say its {', '.join(silent)}"
    for field, value in protocol.items():
        if field in found and not _same(field, found[field], value):
            yield f"{field} is {_said(found[field])}, published is {_said(value)}"


def _with_rate_and_order(recipe: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an older recipe, which has `frame_step` and knows the paper's order only, as now."""
    if "frame_step" not in recipe:
        return recipe
    step = recipe["frame_step"]
    rate = None if step == 1 else f"that of every {step}. frame"
    return {"rate": rate, "order": "paper", **recipe}


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the fields of a recipe, with dots in the names of nested ones."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _same(field: str, found: Any, value: Any) -> bool:
    if field.endswith(".weights"):  # a file's name does not tell what it was trained on
        return found is not None
    if isinstance(value, list) and isinstance(found, list):
        return len(found) == len(value) and all(map(math.isclose, found, value))
    return bool(found == value)


def _said(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(f"{item:.3g}" for item in value)
    return "none" if value is None else f"{value}"
