"""Results beside published figures of the same data set: differences and their intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel

from motionveil.errors import MotionveilError
from motionveil.published import (
    Axis,
    Publication,
    PublishedAccuracy,
    PublishedDataset,
    PublishedRow,
    load_publication,
    publications,
)
from motionveil.report.aggregate import Method, StoredResult, check, pool
from motionveil.report.departures import Departure, counterpart, departures, name_of, refusals
from motionveil.results import Accuracy, Dataset
from motionveil.statistics import wilson_interval


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
    """A result compared with a publication.

    Attributes:
        title, page: The publication.
        dataset: The data set's name.
        privacy_label: What the adversary was to find.
        reading: What the privacy figures are, `"frame"` or `"clip"` accuracy.
        comparisons: Action, then privacy, of each method with a published counterpart.
        departures: How the experiment is not the published one; where there is any, neither
            agreement nor difference says anything about the publication.
        not_compared: What has no published counterpart, and the reason.
        remark: What has to be known to read the published figures.
        sources: The sources of the figures compared.
    """

    title: str
    page: str
    dataset: str
    privacy_label: str
    reading: str
    comparisons: list[Comparison]
    departures: list[Departure]
    not_compared: dict[str, str]
    remark: str
    sources: dict[str, str]


def published_for(data: Dataset) -> list[tuple[Publication, PublishedDataset]]:
    """Return what was published for a data set of this name and privacy label, by frame."""
    return [
        (publication, dataset)
        for publication in map(load_publication, publications())
        for dataset in publication.datasets
        # Figures by clip have no place on an axis of accuracies by frame.
        if publication.reading == "frame"
        and (dataset.name, dataset.privacy_label) == (data.name, data.privacy_label)
    ]


def published_rows(data: Dataset) -> list[PublishedRow]:
    """Return all published rows for a data set, as `published_for`."""
    return [row for _, dataset in published_for(data) for row in dataset.rows]


def sources_of(publication: Publication, used: set[str]) -> dict[str, str]:
    """Return what these sources of a publication are."""
    return {key: said for key, said in publication.sources.items() if key in used}


def difference_interval(a: float, n: int, b: float, m: int) -> tuple[float, float]:
    """Return the 95 % interval of `a - b`, two shares of independent samples.

    Newcombe's hybrid of two Wilson intervals, without a correction for continuity (Newcombe,
    Statistics in Medicine 17, 1998, method 10).

    Args:
        a, b: The shares, in [0, 1].
        n, m: The number of trials behind each, 1 or more.

    Raises:
        ValueError: A share or a number is out of range.

    Examples:
        >>> low, high = difference_interval(56 / 70, 70, 48 / 80, 80)
        >>> round(low, 4), round(high, 4)
        (0.0524, 0.3339)
    """
    (a_low, a_high), (b_low, b_high) = wilson_interval(a, n), wilson_interval(b, m)
    return (
        a - b - math.hypot(a - a_low, b_high - b),
        a - b + math.hypot(a_high - a, b - b_low),
    )


def verify(run: StoredResult, publication: Publication) -> Verification:
    """Compare a result with the published figures for the same data set and methods.

    Raises:
        MotionveilError: The publication has no figures for the data set or for any of the methods,
            or the result contradicts itself.
    """
    check(run)
    dataset = run.result.dataset
    published = _dataset_of(publication, dataset.name, f"{run.file}")
    refused = refusals(run.result, published)
    left = [row for row in run.result.rows if name_of(row.method, row.alpha) not in refused]
    methods = pool([run.result.model_copy(update={"rows": left})]) if left else []
    same_label = dataset.privacy_label == published.privacy_label
    comparisons = [
        comparison
        for comparison in compare(methods, publication, published)
        if same_label or comparison.axis == "action"
    ]
    not_compared = refused | {
        name_of(m.method, m.alpha): _no_published(m, published)
        for m in methods
        if counterpart(m.method, m.alpha, published) is None
    }
    if not comparisons:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in not_compared.items())
        raise MotionveilError(f"{run.file}: nothing to compare on {dataset.name}: {reasons}")
    if not same_label:
        labels = f"{dataset.privacy_label!r}, published is {published.privacy_label!r}"
        not_compared["privacy"] = f"the label is {labels}"
    return Verification(
        title=publication.title,
        page=publication.page,
        dataset=dataset.name,
        privacy_label=published.privacy_label,
        reading=publication.reading,
        comparisons=comparisons,
        departures=departures(run.result, publication, published),
        not_compared=not_compared,
        remark=published.remark,
        sources=sources_of(publication, {comparison.source for comparison in comparisons}),
    )


def compare(
    methods: Sequence[Method], publication: Publication, published: PublishedDataset
) -> list[Comparison]:
    """Compare methods with their published counterparts; action, then privacy, of each."""
    comparisons = []
    for method in methods:
        row = counterpart(method.method, method.alpha, published)
        if row is not None:
            privacy = method.frame if publication.reading == "frame" else method.clip
            comparisons.append(_compare(method, row, "action", method.action, published.n))
            comparisons.append(_compare(method, row, "privacy", privacy, published.n))
    return comparisons


def _dataset_of(publication: Publication, name: str, where: str) -> PublishedDataset:
    for dataset in publication.datasets:
        if dataset.name == name:
            return dataset
    names = ", ".join(dataset.name for dataset in publication.datasets)
    raise MotionveilError(
        f"{where}: the data set is {name!r}; there are published figures for {names}"
    )


def _no_published(method: Method, published: PublishedDataset) -> str:
    alphas = [row.alpha for row in published.rows if row.method == method.method]
    return f"published is alpha {alphas[0]:g}" if alphas else "no published figure"


def _compare(
    method: Method, row: PublishedRow, axis: Axis, seen: Accuracy, published_n: int
) -> Comparison:
    figure: PublishedAccuracy = getattr(row, axis)
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
