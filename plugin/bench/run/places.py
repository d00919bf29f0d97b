"""Where a run's folder keeps what."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from diffc.bench.contenders.specs import slug, target_text

RUN, SUMMARY, SPEED, ORIGINAL = "run.json", "summary.json", "speed.jsonl", "original"


@dataclass(frozen=True)
class Places:
    """Paths in the folder of a run.

    Parameters
    ----------
    folder : Path
        The run's.
    """

    folder: Path

    def original(self, image: str) -> Path:
        """Return where the original is, as PNG."""
        return self.folder / "originals" / f"{image}.png"

    def coded(self, codec: str, target_bpp: float, image: str, extension: str) -> Path:
        """Return where a coded file is."""
        return self._of("files", codec, target_bpp) / (image + extension)

    def picture(self, codec: str, target_bpp: float, image: str) -> Path:
        """Return where a decoded picture is, as PNG."""
        return self._of("pictures", codec, target_bpp) / f"{image}.png"

    def features(self, codec: str, target_bpp: float, image: str) -> Path:
        """Return where a decoded picture's patch features are."""
        return self._of("features", codec, target_bpp) / f"{image}.npy"

    def original_features(self, image: str) -> Path:
        """Return where the original's patch features are."""
        return self.folder / "features" / ORIGINAL / f"{image}.npy"

    def _of(self, kind: str, codec: str, target_bpp: float) -> Path:
        return self.folder / kind / slug(codec) / target_text(target_bpp)
