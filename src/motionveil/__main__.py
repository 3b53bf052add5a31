"""`python -m motionveil` is the same as `motionveil`."""

import sys

from motionveil.cli import main

if __name__ == "__main__":
    sys.exit(main())
