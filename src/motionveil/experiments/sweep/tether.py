"""Runs a command for no longer than its owner lives: `python -m ...tether CLAIM COMMAND...`.

The owner holds the other end of standard input. When that closes, because the owner wants the
command stopped or because it was killed, the command is stopped: no cell goes on computing for a
sweep, or a worker of Ray's, that is no more.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1
"""Of Linux's prctl: the signal that a process gets when its parent ends."""

GRACE = ((signal.SIGINT, 10.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, None))
"""The signals by which a command is stopped, each with the seconds that it has to obey."""


def main(arguments: Sequence[str]) -> int:
    """Run the command and return its exit status; 128 and the number for a signal, as a shell.

    Args:
        arguments: The descriptor of the cell's claim, and the command. The command holds the claim
            too, so that whoever comes next waits for it even if this process is killed.
    """
    # Ray and shells may start us with Ctrl-C ignored, which the command would inherit.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    command = subprocess.Popen(
        arguments[1:],
        stdin=subprocess.DEVNULL,
        pass_fds=(int(arguments[0]),),
        process_group=0,  # so that a signal reaches what the command starts, and not us
        preexec_fn=_die_with_parent,
    )
    threading.Thread(target=_stop_when_left, args=(command,), daemon=True).start()
    status = command.wait()
    return status if status >= 0 else 128 - status


def _die_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies, which may be killed without warning.

    Ray kills the children of a worker when it shuts down: without this the command would outlive
    the process that is there to stop it. Elsewhere there is no such thing to ask for.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _stop_when_left(command: subprocess.Popen[bytes]) -> None:
    """Wait until nobody holds the other end of standard input, then stop the command."""
    # Not by `sys.stdin`, whose lock a thread that waits for ever would hold at the program's end.
    while os.read(0, 1):
        pass
    for number, patience in GRACE:
        try:
            os.killpg(command.pid, number)
            command.wait(patience)
            return
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
