"""Two parsers, one of them written from the specification alone, read every file alike."""

import dataclasses
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import reference_parser
from fuzz_container import files

from diffc.container import open_body, parse_header
from diffc.errors import FileError


def ours(data: bytes) -> tuple[str, dict[str, Any]]:
    """Return how far the file is accepted and what was read."""
    try:
        header = parse_header(data)
    except FileError:
        return "refused", {}
    fields = dataclasses.asdict(header)
    fields["order"] = list(header.body_chunks)
    try:
        body = open_body(header, data[header.header_length :])
    except FileError:
        return "header", fields
    return "file", fields | {"alpha": body.alpha, "payload": body.payload}


def reference(data: bytes) -> tuple[str, dict[str, Any]]:
    try:
        fields = reference_parser.parse_header(data)
    except reference_parser.Refused:
        return "refused", {}
    fields["order"] = list(fields["body_chunks"])
    try:
        return "file", fields | reference_parser.parse_body(fields, data)
    except reference_parser.Refused:
        return "header", fields


@pytest.mark.parametrize("seed", range(3))
def test_parsers_agree(seed: int) -> None:
    results = Counter[str]()
    for data in files(8000, seed):
        result = ours(data)
        assert result == reference(data), data.hex()
        results[result[0]] += 1
    assert min(results[stage] for stage in ("refused", "header", "file")) > 400, results


def test_checks_of_the_specification() -> None:
    assert reference_parser.crc16(b"123456789") == 0x29B1


def test_fuzzer_runs() -> None:
    script = Path(__file__).parents[1].joinpath("fuzz_container.py")
    command = [sys.executable, str(script), "--executions", "500", "--seed", "7"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("500 executions")
    assert " 0 unexpected exceptions" in done.stdout
