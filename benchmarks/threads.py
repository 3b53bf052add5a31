"""A training step with torch's threads waiting in three ways, on a quiet and on a busy machine.

OpenMP's threads spin while they wait, unless OMP_WAIT_POLICY is PASSIVE, which `import motionveil`
sets where the user has not.

    python benchmarks/threads.py --json docs/results/threads.json
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

STEP = """
import statistics, sys, time
import torch  # before motionveil, so that the environment is the benchmark's
from motionveil.networks import create_action_network
torch.set_num_threads(int(sys.argv[1]))
network = create_action_network("small3d", classes=6)
optimizer = torch.optim.AdamW(network.parameters())
clips, classes = torch.rand(8, 3, 15, 64, 64), torch.randint(0, 6, (8,))
taken = []
for _ in range(8):
    began = time.perf_counter()
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(network(clips), classes).backward()
    optimizer.step()
    taken.append(time.perf_counter() - began)
print(statistics.median(taken[2:]))
"""
CASES = ((1, None), (None, None), (None, "PASSIVE"))
"""Threads (None for all cores) and OMP_WAIT_POLICY."""


def step_seconds(threads: int, policy: str | None) -> float:
    """Return the median time of a step in a process of its own."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
    if policy is not None:
        environment["OMP_WAIT_POLICY"] = policy
    command = [sys.executable, "-c", STEP, str(threads)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return float(done.stdout)


def main() -> None:
    """Measure each case quiet, and beside one busy process for each core."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    cores = os.cpu_count() or 1
    rows = []
    for busy in (False, True):
        others = [
            subprocess.Popen([sys.executable, "-c", "while True: pass"])
            for _ in range(cores if busy else 0)
        ]
        try:
            for threads, policy in CASES:
                seconds = step_seconds(threads or cores, policy)
                row = {"busy": busy, "threads": threads or cores, "policy": policy or "default"}
                rows.append(row | {"ms": round(1000 * seconds, 1)})
                print(rows[-1], flush=True)
        finally:
            for other in others:
                other.kill()
    if arguments.json:
        arguments.json.write_text(json.dumps({"cores": cores, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
