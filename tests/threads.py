"""How many threads torch takes in tests.

Toys are faster on one thread, by far where other programs run too: torch's threads wait for each
other by turning. What trains for minutes takes all, by the environment that was given.
"""

from __future__ import annotations

import os

GIVEN = dict(os.environ)
"""The environment for programs that shall have all threads."""

if "PYTEST_XDIST_WORKER" in os.environ:  # beside other tests, two threads are slower than one
    GIVEN.setdefault("OMP_NUM_THREADS", "1")

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is loaded
