"""Numbers for the flags of reading, which are OpenCV's, and the options of writing, our own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffc.registry import declarations

IMREAD_UNCHANGED = -1
IMREAD_GRAYSCALE = 0
IMREAD_COLOR = 1
IMREAD_COLOR_BGR = 1
IMREAD_ANYDEPTH = 2
IMREAD_ANYCOLOR = 4
IMREAD_LOAD_GDAL = 8
IMREAD_REDUCED_GRAYSCALE_2 = 16
IMREAD_REDUCED_COLOR_2 = 17
IMREAD_REDUCED_GRAYSCALE_4 = 32
IMREAD_REDUCED_COLOR_4 = 33
IMREAD_REDUCED_GRAYSCALE_8 = 64
IMREAD_REDUCED_COLOR_8 = 65
IMREAD_IGNORE_ORIENTATION = 128
IMREAD_COLOR_RGB = 256

# far from OpenCV's own numbers; "DF" in ASCII is 0x4446
IMWRITE_DIFFC_QUALITY = 0x44460000
IMWRITE_DIFFC_BPP_X10000 = 0x44460001
IMWRITE_DIFFC_TARGET_SIZE = 0x44460002
IMWRITE_DIFFC_BACKEND = 0x44460003

# values for IMWRITE_DIFFC_BACKEND, such as IMWRITE_DIFFC_BACKEND_RELAY; they stand in programs, never
# in files, and are what codecs declare
BACKENDS = dict(
    sorted((each.number, each.name) for each in declarations().values() if each.number is not None)
)
for _number, _name in BACKENDS.items():
    globals()[f"IMWRITE_DIFFC_BACKEND_{_name.upper().replace('-', '_')}"] = _number

if TYPE_CHECKING:
    # type checkers do not run the loop; a codec without a line here works all the same
    IMWRITE_DIFFC_BACKEND_COD: int
    IMWRITE_DIFFC_BACKEND_DDCM: int
    IMWRITE_DIFFC_BACKEND_PERCO: int
    IMWRITE_DIFFC_BACKEND_PERCO_SD: int
    IMWRITE_DIFFC_BACKEND_RELAY: int
