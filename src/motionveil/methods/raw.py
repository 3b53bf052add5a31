"""Raw video: the reference that every method is measured against."""

from motionveil.methods.base import Method


class Raw(Method):
    """The identity; it protects nothing."""

    name = "raw"
    label = "raw video"
    help = "raw video: the upper bound"
    encoder = "motionveil.encoders.raw:Raw"
    unstreamable = "it passes video through unveiled, so there is nothing to do"
    colour, marker = "#000000", "s"
