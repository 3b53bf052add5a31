"""Which files of a study may be asked for, and by whom."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from motionveil.errors import MotionveilError
from motionveil.study.design import MEDIA, PICTURES, Study

TYPES = {".mp4": "video/mp4", ".webm": "video/webm", ".jpg": "image/jpeg"}


class Media:
    """The clips and pictures of a study, by name: names are looked up, never put into a path.

    Args:
        folder: The study's.
        study: Its design.

    Raises:
        MotionveilError: A file of the study is missing.
    """

    def __init__(self, folder: Path, study: Study) -> None:
        self._paths: dict[str, Path] = {}
        users: dict[str, set[str]] = defaultdict(set)
        pictures = {person.id: person.picture for person in study.people}
        for question in study.questions:
            clips = [folder / MEDIA / f"{question.clip}{suffix}" for suffix in (".mp4", ".webm")]
            portraits = [folder / PICTURES / pictures[person] for person in question.options]
            for path in (*clips, *portraits):
                users[path.name].add(question.id)
                self._paths[path.name] = path
        self._users = {name: frozenset(questions) for name, questions in users.items()}
        for path in self._paths.values():
            if not path.is_file():
                raise MotionveilError(f"{path}: is missing; study.json names it")

    def find(self, name: str, shown: set[str]) -> Path | None:
        """Return the file of a name.

        Args:
            name: What a browser asks for.
            shown: Ids of the questions that the participant was shown.

        Returns:
            None if there is no such file, or none of these questions uses it.
        """
        if shown.isdisjoint(self._users.get(name, ())):
            return None
        return self._paths[name]
