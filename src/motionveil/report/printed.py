"""Published figures that may stand beside a result: the same data set and privacy label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from motionveil.published.figures import (
    Publication,
    PublishedDataset,
    PublishedRow,
    load_publication,
    publications,
)
from motionveil.results import Dataset


@dataclass(frozen=True)
class Printed:
    """What a publication printed for a data set; nothing of it was run here.

    Attributes:
        publication: The publication.
        dataset: Its figures for the data set.
    """

    publication: Publication
    dataset: PublishedDataset

    @property
    def rows(self) -> tuple[PublishedRow, ...]:
        """The figures, a row a method."""
        return self.dataset.rows

    def sources(self) -> dict[str, str]:
        """Return the sources used, in words."""
        used = {figure.source for row in self.rows for figure in (row.action, row.privacy)}
        return {key: said for key, said in self.publication.sources.items() if key in used}


def printed_for(data: Dataset) -> list[Printed]:
    """Return what was published for a data set of this name and privacy label, by frame."""
    found = []
    for name in publications():
        publication = load_publication(name)
        for dataset in publication.datasets:
            same = (dataset.name, dataset.privacy_label) == (data.name, data.privacy_label)
            # Figures by clip have no place on an axis of accuracies by frame.
            if same and publication.reading == "frame":
                found.append(Printed(publication, dataset))
    return found


def rows_of(printed: Sequence[Printed]) -> list[PublishedRow]:
    """Return all published rows."""
    return [row for one in printed for row in one.rows]
