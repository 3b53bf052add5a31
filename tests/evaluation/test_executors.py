"""Where attacks run: a process that is killed costs what it ran, and nothing else."""

from __future__ import annotations

import pytest

from motionveil.evaluation.executors import in_processes

pytestmark = pytest.mark.slow  # every process imports torch


def test_a_killed_process_costs_its_own_call_only() -> None:
    killed = "__import__('os').kill(__import__('os').getpid(), 9)"
    calls = [("'first'",), (killed,), ("'third'",), ("'fourth'",)]
    ended = dict(in_processes(2, threads=1)(eval, calls))
    assert ended.pop(1) == "its process ended abruptly, for its memory perhaps"
    assert ended == {0: "first", 2: "third", 3: "fourth"}
