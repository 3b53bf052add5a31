"""Face blurring with a detector, as deployed anonymisers do: a baseline.

Not a protection that we recommend: it hides the faces that were found, and nothing else. Needs
`pip install 'motionveil[faces]'`, no torch, and YuNet's ONNX file.

Examples:
    >>> from motionveil.faces import FaceDetector, blur_video
    >>> blur_video("in.mp4", "out.mkv", FaceDetector("yunet.onnx"))  # doctest: +SKIP
"""

from motionveil.faces.blurring import (
    Blur,
    FaceCounts,
    FaceMemory,
    blur_faces,
    blur_video,
    blurred_frames,
)
from motionveil.faces.detector import Detect, FaceDetector, Faces

__all__ = [
    "Blur",
    "Detect",
    "FaceCounts",
    "FaceDetector",
    "FaceMemory",
    "Faces",
    "blur_faces",
    "blur_video",
    "blurred_frames",
]
