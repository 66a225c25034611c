"""The input modulator: writes one value onto the light in each symbol period."""

import equinox as eqx

from photonsim.errors import check_number


class Modulator(eqx.Module):
    """An amplitude modulator with its transfer curve linearised by the DAC's table.

    Left out: residual curvature, finite extinction, bandwidth and inter-symbol interference.

    - `energy_j`: drive energy for one symbol, J.
    - `static_power_w`: bias and tuning power of one modulator, W.
    """

    energy_j: float
    static_power_w: float = 0.0

    def __check_init__(self):
        check_number("modulator.energy_j", self.energy_j, at_least=0.0)
        check_number("modulator.static_power_w", self.static_power_w, at_least=0.0)
