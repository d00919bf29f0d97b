"""The codecs that come with diffc, by name: one line each is all that the core knows of them.

A class declares the rest.  Its module loads neither numpy nor torch before it codes or decodes, so
that lists may read the declaration; what is heavy is imported inside methods.
"""

from __future__ import annotations

BUILT_IN = {
    "cod": "diffc.codecs.cod.codec:CodCodec",
    "ddcm": "diffc.codecs.ddcm.codec:DdcmCodec",
    "perco": "diffc.codecs.perco.codec:PercoCodec",
    "perco-sd": "diffc.codecs.perco_sd.codec:PercoSdCodec",
    "relay": "diffc.codecs.relay.codec:RelayCodec",
}
DEFAULT_CODEC = "relay"
