"""What is imported when, each in an interpreter of its own."""

import subprocess
import sys

import pytest


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_package_imports_neither_timm_nor_monai_nor_torchvision():
    code = (
        "import sys, motionveil.networks; print({'timm', 'monai', 'torchvision'} & {*sys.modules})"
    )
    assert python(code) == "set()"


def test_small_networks_need_none_of_them_either():
    code = (
        "import sys; from motionveil.networks import *; "
        "create_action_network('small3d', 2); create_privacy_network('small2d', 2); "
        "print({'timm', 'monai', 'torchvision'} & {*sys.modules})"
    )
    assert python(code) == "set()"


@pytest.mark.slow
def test_torchvision_is_imported_whatever_was_tried_before():
    ensure = "from motionveil.networks.backbones import ensure_torchvision as f; f(); f(); "
    use = "import torchvision.transforms; print('fine')"
    failed = "\ntry:\n import torchvision\nexcept RuntimeError: pass\n"
    assert python(failed + ensure + use) == "fine"
    assert python("import monai.networks.nets; " + ensure + use) == "fine"
