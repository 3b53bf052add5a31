"""What the owners of a data set published: how much there should be, and where it is to be had.

Nothing is ever downloaded: `motionveil check` says what is missing and names the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Published:
    """A data set as published.

    Attributes:
        name: The data set's name in a manifest.
        page: Where its owners offer it.
        clips: Clips that a whole manifest has.
        videos: Videos, or folders of frames, that they lie in.
        actions: Number of actions.
        labels: Number of names of each privacy label.
        splits: For each way to split it, the number of clips in each part.
    """

    name: str
    page: str
    clips: int
    videos: int
    actions: int
    labels: Mapping[str, int]
    splits: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
