"""Digital to analog: the input converter that drives a modulator.

What a bit costs: the energy of a conversion grows as `2^b / b`, the rule by which Lightening-Transformer (Zhu et al.,
HPCA 2024) carries an 8-bit converter of 50 mW at 14 GS/s to other resolutions: 0.45 pJ at 4 bits, 3.57 pJ at 8.
`energy_at` scales a converter's own known energy by that rule.
"""

import equinox as eqx

from photonsim.errors import check_bits, check_count, check_number


class Dac(eqx.Module):
    """An input converter under block floating point: each block of an input vector is scaled to its full range.

    - `bits`: resolution, sign included; `None` is ideal.
    - `energy_j`: energy of one conversion, J.
    - `rate_hz`: conversions per second of one converter; the default keeps pace with any symbol.
    - `lanes`: modulators that take turns at one converter.
    """

    bits: int | None = eqx.field(static=True)
    energy_j: float
    rate_hz: float = 1e12
    lanes: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        check_bits("input_dac.bits", self.bits)
        check_number("input_dac.energy_j", self.energy_j, at_least=0.0)
        check_number("input_dac.rate_hz", self.rate_hz, above=0.0)
        check_count("input_dac.lanes", self.lanes)

    def energy_at(self, bits: int):
        """Energy of one conversion if the converter had `bits`: `E · (2^bits / bits) / (2^own / own)`, J.

        Of an ideal converter, whose energy belongs to no number of bits, the energy unchanged.
        """
        if self.bits is None:
            return self.energy_j
        return self.energy_j * (2.0**bits / bits) / (2.0**self.bits / self.bits)
