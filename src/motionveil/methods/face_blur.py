"""Faces found by a detector are blurred, the rest of the video stays."""

from motionveil.methods.base import Method


class FaceBlur(Method):
    """Raw video with blurred faces: data of its own, made by a detector, and no encoder."""

    name = "face-blur"
    label = "faces blurred"
    help = "faces found by a detector are blurred; needs --face-detector"
    encoder = "motionveil.encoders.raw:Raw"
    unstreamable = "it blurs faces in files: motionveil faces"
    blurs_faces = True
    colour, marker = "#555555", "h"
