"""What motionveil raises when its input is at fault, and how such faults are described."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any


class MotionveilError(Exception):
    """An input that cannot be used; the message names the file, the value and what would be right.

    The command line prints the message on one line and exits with status 1.
    """


def describe_faults(faults: Sequence[Any]) -> str:
    """Return on one line which fields are wrong, how, and what was found; the first five.

    Args:
        faults: pydantic's `ValidationError.errors()`.
    """
    more = f"; and {len(faults) - 5} more" if len(faults) > 5 else ""
    return "; ".join(_fault(item) for item in faults[:5]) + more


def _fault(item: Any) -> str:
    field = ".".join(str(part) for part in item["loc"])
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "missing" or not field:
        return f"{field}: {message}" if field else message
    return f"{field}: {message} (found {json.dumps(item['input'], default=str)[:80]})"
