"""Face blurring with a detector: what deployed anonymisers do, as a rival to compare with.

It is no protection that we recommend: it hides the faces that were found, and nothing else. Needs
`pip install 'motionveil[faces]'`, no torch, and YuNet's ONNX file.

Example:
    >>> from motionveil.faces import FaceDetector, blur_video
    >>> blur_video("in.mp4", "out.mkv", FaceDetector("yunet.onnx"))  # doctest: +SKIP
"""

from motionveil.faces.blurring import FaceMemory, blur_faces
from motionveil.faces.decoding import Detect, Faces
from motionveil.faces.detector import FaceDetector
from motionveil.faces.video import Blur, FaceCounts, blur_video, blurred_frames

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
