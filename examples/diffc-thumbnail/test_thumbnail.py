"""Everything that diffc asks of a codec, each rule a test."""

from __future__ import annotations

import pytest
from diffc_thumbnail import Thumbnail

from diffc.testing import Check, checks


@pytest.mark.parametrize("check", checks(Thumbnail, thread_counts=True), ids=str)
def test_codec(check: Check) -> None:
    """Try one rule."""
    check()
