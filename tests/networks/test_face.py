"""dlib's face network, with its own weights, tells real people apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from motionveil.networks.face_embedding import CHIP, FaceDescriber, face_chips, load_face_describer


def test_a_chip_is_a_square_around_the_box_and_grey_outside() -> None:
    frame = torch.zeros(3, 40, 80)
    frame[:, 10:20, 30:50] = 200  # the box is 20 wide, the square 26
    (chip,) = face_chips(frame, torch.tensor([[30.0, 10, 20, 10]]))
    assert chip.shape == (3, CHIP, CHIP)
    bright = np.argwhere(chip[0].numpy() > 100)
    height, width = bright.max(0) - bright.min(0) + 1
    assert abs(width - CHIP * 20 / 26) <= 2
    assert abs(height - CHIP * 10 / 26) <= 2
    (corner,) = face_chips(frame, torch.tensor([[-20.0, -20, 20, 20]]))
    assert corner[:, :100, :100].allclose(torch.tensor(127.5))
    assert face_chips(frame, torch.empty(0, 4)).shape == (0, 3, CHIP, CHIP)


def test_every_chip_is_described_by_itself() -> None:
    torch.manual_seed(0)
    network = FaceDescriber().eval()
    chips = torch.rand(3, 3, CHIP, CHIP) * 255
    with torch.no_grad():
        together = network(chips)
        alone = torch.cat([network(chip[None]) for chip in chips])
    assert together.shape == (3, 128)
    assert torch.allclose(together, alone, atol=1e-5)


@pytest.mark.slow
def test_people_are_nearest_to_themselves(ut_interaction: Path, pretrained: Path) -> None:
    """Of ten pairs in profile; the chance level is one in ten."""
    from motionveil.faces import FaceDetector
    from motionveil.video import read_frames

    detect = FaceDetector(pretrained / "yunet_n_640.onnx")
    network = load_face_describer(pretrained / "dlib_face_resnet29.safetensors")
    found, pairs, videos = [], [], []
    for file in sorted((ut_interaction / "segmented_set1").glob("*.avi")):
        image = next(iter(read_frames(file))).image
        boxes = torch.from_numpy(detect(image).boxes)
        frame = torch.from_numpy(image).permute(2, 0, 1).float()
        with torch.no_grad():
            found.append(network(face_chips(frame, boxes)))
        pairs += [file.stem.split("_")[1]] * len(boxes)
        videos += [file.stem] * len(boxes)
    apart = torch.cdist(torch.cat(found), torch.cat(found)).numpy()
    apart[np.equal.outer(videos, videos)] = np.inf
    right = np.array(pairs)[apart.argmin(axis=1)] == np.array(pairs)
    assert len(right) >= 60
    assert right.mean() >= 0.3
