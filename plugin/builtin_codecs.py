"""The codecs that come with diffc, by name: one line each is all that the core knows of them.

A class declares the rest.  Its module loads neither numpy nor torch before it codes or decodes, so
that lists may read the declaration; what is heavy is imported inside methods.
"""

from __future__ import annotations

BUILT_IN = {
    "cod": "diffc.codecs.cod.codec:CodCodec",
    "compressai": "diffc.codecs.compressai.codec:CompressAICodec",
    "ddcm": "diffc.codecs.ddcm.codec:DdcmCodec",
    "dither": "diffc.codecs.dither.codec:DitherCodec",
    "perco": "diffc.codecs.perco.codec:PercoCodec",
    "perco-sd": "diffc.codecs.perco_sd.codec:PercoSdCodec",
    "posterior": "diffc.codecs.posterior.codec:PosteriorCodec",
    "relay": "diffc.codecs.relay.codec:RelayCodec",
}
BY_RATE = ("relay", "perco")
"""What codes where no codec is named: the first that makes so small a file.

``diffc bench`` on the 24 Kodak photographs: where both reach, at 0.03 and 0.12 bpp, relay is nearer to
the photograph by every measure (docs/perco.md, "Measured").
"""
DEFAULT_CODEC = BY_RATE[0]
RESTORER = "diffc.codecs.relay.restoring:restore"
"""What `diffc.restore` calls with what is degraded and the options of decoding."""
