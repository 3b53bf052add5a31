"""The parser of command lines, whose complaints keep passwords."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from motionveil.secret import without_secrets


class Parser(argparse.ArgumentParser):
    """Complains about a command line without repeating its passwords."""

    _words: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Remember the words, for `error`."""
        self._words = list(sys.argv[1:] if args is None else args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Print usage and the message, and exit with status 2."""
        if message.startswith("unrecognized arguments"):  # an option mistyped is no less secret
            message = re.sub(r"(--[^\s=]+)([ =])(?!-)\S+", r"\1\2...", message)
        super().error(without_secrets(message, self._words))
