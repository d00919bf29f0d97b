"""``import diffc.cv`` is `diffc.adapters.opencv`."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffc.adapters.opencv import *

    # made when it is first asked for, because it derives from cv2's where there is one
    error: type[ValueError]

sys.modules[__name__] = import_module("diffc.adapters.opencv")
