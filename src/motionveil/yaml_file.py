"""YAML that people write: recipes, grids, suites, service files, texts; of bounded size and depth.

A few lines of YAML can stand for more values than memory holds, since a name may stand for a list
of names. So what a text stands for is counted before anything is built.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from motionveil.errors import MotionveilError
from motionveil.limits import read_text

_LONGEST = 1 << 20  # characters
_DEEPEST = 50
_MOST = 100_000  # values, those that a name stands for included


def read_yaml(file: Path, what: str, *, as_written: bool = False) -> Any:
    """Return what a YAML file holds.

    Args:
        file: The file.
        what: What it is, for errors: "the recipe".
        as_written: Take every value as a text: 007 is no 7, and `no` is no false.

    Raises:
        MotionveilError: It cannot be read, is no YAML, or is too large; names the file and line.
    """
    return load_yaml(read_text(file, what), f"{file}", as_written=as_written)


def load_yaml(text: str, name: str, *, as_written: bool = False) -> Any:
    """Return what a YAML text holds; see `read_yaml`, and `name` is what errors call it.

    Raises:
        MotionveilError: See `read_yaml`.
    """
    try:
        _check_size(text)
        # Two loaders that build no objects but texts, numbers, dates, lists and mappings.
        return (yaml.BaseLoader if as_written else yaml.SafeLoader)(text).get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = "" if mark is None else f":{mark.line + 1}"
        raise MotionveilError(f"{name}{line}: is no YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise MotionveilError(f"{name}: is no YAML: {' '.join(str(error).split())}") from error
    except (ValueError, TypeError, OverflowError) as error:  # of a date that is none, and the like
        raise MotionveilError(f"{name}: cannot be read: {error}") from error


def _check_size(text: str) -> None:
    if len(text) > _LONGEST:
        raise ValueError(f"it has more than {_LONGEST} characters")
    sizes: dict[str, int] = {}  # of what the names stand for
    counts, names = [0], [""]
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            counts.append(1)
            names.append(event.anchor or "")
        elif isinstance(event, yaml.CollectionEndEvent):
            size = counts.pop()
            counts[-1] += size
            sizes[names.pop()] = size
        elif isinstance(event, yaml.AliasEvent):
            counts[-1] += sizes.get(event.anchor or "", 1)
        elif isinstance(event, yaml.ScalarEvent):
            counts[-1] += 1
        if len(counts) > _DEEPEST or counts[-1] > _MOST:
            raise ValueError(
                f"it stands for more than {_MOST} values, or is nested more than {_DEEPEST} deep"
            )
