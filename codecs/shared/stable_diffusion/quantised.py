"""Linear layers of large networks with weights of one byte, through torchao.

Weights alone: what they are multiplied with stays as it is, so that devices differ by rounding and by no
more.  Convolutions keep their format; torchao leaves them out.
"""

from __future__ import annotations

from torch import nn

from diffc.optional_packages import quantising_package

_CONFIGURATIONS = {"int8": "Int8WeightOnlyConfig", "fp8": "Float8WeightOnlyConfig"}


def quantise(network: nn.Module, precision: str) -> nn.Module:
    """Convert the weights of all linear layers in their place, and return the network.

    Parameters
    ----------
    network : Module
        On its device, in the format that it computes in.
    precision : str
        ``int8``, by a scale for each row, or ``fp8``, of which 4 bits are the exponent.

    Raises
    ------
    ModelNotAvailableError
        If torchao is not installed, or is too old.
    """
    package = quantising_package()
    package.quantize_(network, getattr(package, _CONFIGURATIONS[precision])())
    return network
