"""Measure what ``diffc autoload on`` costs: an interpreter's start, and the import of Pillow.

    python examples/time_autoload.py --runs 50

It makes a virtual environment of its own that finds the packages of this one, and switches autoload off
and on in it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from statistics import median

from diffc.autoload.switch import switch_off, switch_on


def milliseconds(python: Path) -> tuple[float, float]:
    """Return what an interpreter says that start-up files and the import of Pillow have taken."""
    command = [str(python), "-X", "importtime", "-c", "from PIL import Image"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    lines = [line.removeprefix("import time:").split("|") for line in said.splitlines()]
    rows = {name.strip(): (alone, below) for alone, below, name in lines}
    # the module site runs them itself
    return int(rows["site"][0]) / 1000, int(rows["PIL.Image"][1]) / 1000


def main() -> None:
    """Print milliseconds without and with autoload."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=50)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, symlinks=sys.platform != "win32")
        python = next(Path(folder).glob("[bS]*/python*"))
        packages = next(Path(folder).rglob("site-packages"))
        (packages / "others.pth").write_text("\n".join(filter(None, sys.path)))
        rows: dict[str, list[tuple[float, float]]] = {"without": [], "with": []}
        # in turns, as a machine has other things to do
        for _ in range(runs):
            for name, switch in (("without", switch_off), ("with", switch_on)):
                switch(packages)
                rows[name].append(milliseconds(python))
    for name, found in rows.items():
        start, pillow = (median(each) for each in zip(*found, strict=True))
        least, _ = min(found)
        print(
            f"{name} autoload: {start:.2f} ms for start-up files (at least {least:.2f}), "
            f"{pillow:.1f} ms for the import of PIL.Image"
        )


if __name__ == "__main__":
    main()
