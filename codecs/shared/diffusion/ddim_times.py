"""The times that a released model's own scheduler would sample at, by DDIM (arXiv 2010.02502)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from diffc.codecs.shared.diffusion.schedules import count_of
from diffc.errors import OptionError


def ddim_times(config: Mapping[str, Any], steps: int) -> list[int]:
    """Return falling times, one for each step, as places in the scheduler's table.

    Parameters
    ----------
    config : mapping
        Of a scheduler of diffusers: ``timestep_spacing`` is leading (also where it says nothing),
        trailing or linspace (arXiv 2305.08891, table 2); ``steps_offset`` is added to the first.
    steps : int
        From 1 to the number of the table's levels.

    Raises
    ------
    OptionError
        If the table has fewer levels than steps.
    ValueError
        If the spacing or the offset is none of these.
    """
    count = count_of(config)
    if steps > count:
        raise OptionError(f"the model samples in up to {count} steps, not {steps}: choose fewer")
    spacing, offset = config.get("timestep_spacing", "leading"), config.get("steps_offset", 0)
    if isinstance(offset, bool) or not isinstance(offset, int) or not 0 <= offset < count:
        raise ValueError(
            f"steps_offset is 0 to {count - 1}, not {str(offset)[:100]}: fetch it anew"
        )
    if spacing == "leading":
        # an offset could lead beyond the table where every level is a step
        return [min(i * (count // steps) + offset, count - 1) for i in reversed(range(steps))]
    if spacing == "trailing":
        return [_rounded((steps - i) * count, steps) - 1 for i in range(steps)]
    if spacing == "linspace":
        last = max(steps - 1, 1)
        return [_rounded(i * (count - 1), last) for i in reversed(range(steps))]
    raise ValueError(
        f"timestep_spacing is leading, trailing or linspace, not {str(spacing)[:100]!r}: use "
        "another model"
    )


def _rounded(numerator: int, denominator: int) -> int:
    """Return the nearest integer, the even one of two, as numpy rounds."""
    whole, rest = divmod(numerator, denominator)
    return whole + (2 * rest > denominator or (2 * rest == denominator and whole % 2 == 1))


def last_alpha_bar(config: Mapping[str, Any], alpha_bars: Sequence[float]) -> float:
    """Return where the last step leads: to no noise at all, or to the first level of the table."""
    return 1.0 if config.get("set_alpha_to_one", True) else alpha_bars[0]
