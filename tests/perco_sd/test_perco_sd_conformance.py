"""The conformance kit with a directory in the layout of the PerCo (SD) release."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from diffc.codec import DecodeOptions
from diffc.registry import load_codec
from diffc.testing import checks

pytestmark = pytest.mark.skipif(
    find_spec("diffusers") is None or find_spec("transformers") is None,
    reason='needs pip install "diffc[models]"',
)

CODEC = load_codec("perco-sd")


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A directory in the layout of the release."""
    from tiny_perco import make_perco

    return str(make_perco(tmp_path_factory.mktemp("perco") / "release"))


@pytest.mark.parametrize("rule", [str(check) for check in checks(CODEC)])
def test_the_contract_holds(rule: str, release: str) -> None:
    found = checks(
        CODEC(model=release),
        decode_options=DecodeOptions(model=release, steps=2),
        thread_counts=True,
    )
    (check,) = (each for each in found if str(each) == rule)
    check()
