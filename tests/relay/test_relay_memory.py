"""Decoding a large picture takes memory for the picture, not for the network's view of all of it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import RELAY_MODEL
from photograph import drawn

import diffc

# prints what decoding adds to the peak, in bytes
DECODE = """
import resource, sys
import torch
from diffc.codecs.relay.codec import RelayCodec
from diffc.codec import Coded, DecodeOptions
from diffc.container import open_body, parse_header

def peak():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

torch.set_num_threads(1)
data = sys.stdin.buffer.read()
header = parse_header(data)
body = open_body(header, data[header.header_length:])
coded = Coded(body.payload, header.parameters, header.size, 1, header.fingerprint)
before = peak()
RelayCodec.decode(coded, DecodeOptions())
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peaks are counted otherwise elsewhere")
def test_memory_is_few_bytes_a_pixel() -> None:
    size = (480, 5000)
    data = diffc.encode(
        drawn(size, "RGB"), backend="relay", model=str(RELAY_MODEL), quality=5, scale=3.0
    )
    done = subprocess.run(
        [sys.executable, "-c", DECODE], input=data, capture_output=True, check=True
    )
    # twelve are the result; whole planes of all that the network makes would be 140
    assert int(done.stdout) < 80 * size[0] * size[1]
