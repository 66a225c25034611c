"""The cell that holds one weight: a modulator, a metasurface element, a current DAC behind a photodiode."""

import equinox as eqx

from photonsim.errors import check_bits, check_number


class WeightCell(eqx.Module):
    """A programmable weight with `2^bits` levels, written once and then read by light at every symbol.

    Left out: drift, programming error and retention (the cell holds exactly what it was given).

    - `bits`: resolution of the weight, sign included; `None` is ideal.
    - `write_energy_j`: energy to program one cell, its DAC included, J.
    - `tile_write_time_s`: time to program all the cells of a tile, s.
    - `hold_power_w`: power to keep one cell at its level, W.
    - `double_buffered`: whether the next tile is written while this one computes.
    """

    bits: int | None = eqx.field(static=True)
    write_energy_j: float
    tile_write_time_s: float
    hold_power_w: float = 0.0
    double_buffered: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        check_bits("cell.bits", self.bits)
        check_number("cell.write_energy_j", self.write_energy_j, at_least=0.0)
        check_number("cell.tile_write_time_s", self.tile_write_time_s, at_least=0.0)
        check_number("cell.hold_power_w", self.hold_power_w, at_least=0.0)
