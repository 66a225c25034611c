"""Digital to analog: the input converter that drives a modulator."""

import equinox as eqx

from photonsim.errors import check_bits, check_number


class Dac(eqx.Module):
    """An input converter under block floating point: each block of an input vector is scaled to its full range.

    - `bits`: resolution, sign included; `None` is ideal.
    - `energy_j`: energy of one conversion, J.
    """

    bits: int | None = eqx.field(static=True)
    energy_j: float

    def __check_init__(self):
        check_bits("input_dac.bits", self.bits)
        check_number("input_dac.energy_j", self.energy_j, at_least=0.0)
