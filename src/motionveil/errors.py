"""What motionveil raises when its input is at fault."""


class MotionveilError(Exception):
    """An input that cannot be used; the message names the file, the value and what would be right.

    The command line prints the message on one line and exits with status 1.
    """
