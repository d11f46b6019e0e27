"""Development only: lets a torchvision built for CUDA be imported with a torch built for the CPU.

Such a torchvision stops at its import, because two compiled operators are absent. Run once by
``make env``; where torchvision imports as it is, nothing is done. Users have a matching torchvision
and need none of this.
"""

import subprocess
import sys
import sysconfig
from pathlib import Path

NAME = "_torchvision_schemas"
HOOK = '''"""Declares two operators when torchvision is about to be imported; written by dev/torchvision_schemas.py."""

import importlib.abc
import importlib.machinery
import sys


class Finder(importlib.abc.MetaPathFinder):
    """Waits for torchvision, so that a start without it costs nothing."""

    def find_spec(self, name, path=None, target=None):
        if name != "torchvision":
            return None
        sys.meta_path.remove(self)
        import torch

        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(operator + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        torch._torchvision_schemas = library  # a reference that stays
        return importlib.machinery.PathFinder.find_spec(name, path, target)


sys.meta_path.insert(0, Finder())
'''


def main() -> None:
    """Writes the hook into the environment's start-up, if torchvision needs it."""
    site = Path(sysconfig.get_paths()["purelib"])
    if (
        subprocess.run(
            [sys.executable, "-c", "import torchvision"], capture_output=True, check=False
        ).returncode
        == 0
    ):
        return
    (site / f"{NAME}.py").write_text(HOOK, encoding="utf-8")
    (site / f"{NAME}.pth").write_text(f"import {NAME}\n", encoding="utf-8")
    subprocess.run([sys.executable, "-c", "import torchvision"], check=True)


if __name__ == "__main__":
    main()
