"""The machine of a run, as others need to know it: no names, no paths."""

from __future__ import annotations

import os
import platform
import re
from importlib import metadata
from pathlib import Path

PACKAGES = (
    "diffc",
    "numpy",
    "pillow",
    "pillow-heif",
    "pillow-jxl-plugin",
    "torch",
    "torchvision",
    "torchmetrics",
    "piq",
    "bjontegaard",
    "lpips",
)


def describe_machine() -> dict[str, str]:
    """Return what a run's figures depend on.

    Returns
    -------
    dict
        Processor, cores, memory, gpu, system, python, and versions of packages by their names;
        what is not known is left out.
    """
    found = {
        "processor": _processor(),
        "cores": str(_cores()),
        "memory": _memory(),
        "gpu": _gpu(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    found |= _libraries()
    return {name: value for name, value in found.items() if value}


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor()
    match = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return match[1].strip() if match else platform.processor()


def _cores() -> int:
    # those that this process may use, where the system says it
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> str:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return ""
    return f"{size / 2**30:.0f} GiB"


def _gpu() -> str:
    import torch

    if not torch.cuda.is_available():
        return "none"
    return f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}"


def _libraries() -> dict[str, str]:
    """Return versions of the coding libraries inside Pillow."""
    from PIL import features

    names = {"libjpeg_turbo": "libjpeg-turbo", "webp": "libwebp", "jpg_2000": "OpenJPEG"}
    found = {
        label: str(features.version(name)) for name, label in names.items() if features.check(name)
    }
    if features.check("avif"):
        found["libavif"] = str(features.version("avif"))
    return found
