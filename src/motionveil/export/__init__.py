"""The encoder out of Python: an ONNX model or a C file for the machine behind the camera.

Needs numpy and no torch. `motionveil.export.onnx` stands on the package `onnx` and is imported by
the caller that asks for that format:

    from motionveil.export.onnx import write_onnx

Examples:
    >>> from motionveil.export import write_c
    >>> from motionveil.spec import load_spec
    >>> write_c(load_spec("bdq"), "bdq.c")  # doctest: +SKIP
"""

from motionveil.export.c import write_c
from motionveil.export.integer import IntegerEncoder

__all__ = ["IntegerEncoder", "write_c"]
