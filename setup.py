"""What is installed: every folder of the three rooms, so a new one needs no line here."""

from collections.abc import Iterator
from pathlib import Path

from setuptools import setup

PLACES = {"diffc": "plugin", "diffc.codecs": "codecs", "diffc.adapters": "adapters"}
DATA = ["py.typed", "*.bin", "*.css", "*.html", "*.js", "*.json", "*.md", "*.safetensors", "*.toml"]
DATA += ["*.txt", "LICENSE.*", "NOTICE.*"]


def packages(root: Path) -> Iterator[str]:
    """Yield the name of each folder that holds modules or data."""
    for package, place in PLACES.items():
        top = root / place
        for folder in [top, *sorted(each for each in top.rglob("*") if each.is_dir())]:
            parts = folder.relative_to(top).parts
            if "__pycache__" not in parts and any(each.is_file() for each in folder.iterdir()):
                yield ".".join((package, *parts))


if __name__ == "__main__":
    setup(
        packages=list(packages(Path(__file__).parent)),
        package_dir=PLACES,
        package_data={"": DATA},
    )
