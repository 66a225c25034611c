"""The ground that the chip takes: the area of one of each device, from which `photonsim.cost.area` adds up the whole.

Photonics is large: a phase shifter is 100 µm long because the effect that it uses is weak, a modulator 260 µm, and a
waveguide wants 5 µm of bend. A memory cell of 7 nm CMOS takes 0.03 µm², a crossing of two optical operands 10,000. And
devices do not tile: waveguides between them, bends, and gaps against heat and crosstalk take as much ground again.
That share is the *layout factor*.

Fields have defaults, which are *assumed* where a chip's file does not give them: most are the devices of
Lightening-Transformer's table. 1e-12 m² is 1 µm².
"""

import dataclasses

import equinox as eqx

from photonsim.errors import PhotonsimError, check_number


class Floorplan(eqx.Module):
    """Area of one of each device, m².

    - `lasers`, `laser_m2`, `comb_m2`: light sources of the whole chip, and what makes a comb of one; 0 lasers where
      light comes by fibre.
    - `modulator_m2`, `dac_m2`: of one input that is modulated, all its rails, and its converter.
    - `cell_m2`, `layout_factor`: of what holds or multiplies one weight, and the ground it takes over its own area.
    - `core_m2`: what a core has once: splitters, gratings.
    - `receiver_m2`, `amplifier_m2`, `adc_m2`, `accumulator_m2`: of a pair of photodiodes, and of what reads them.
    - `sram_m2_per_bit`: of the on-chip SRAM. `other_m2`: all else of the chip.
    """

    lasers: int = eqx.field(static=True, default=0)
    laser_m2: float = 1.2e-7
    comb_m2: float = 0.0
    modulator_m2: float = 5.2e-9
    dac_m2: float = 1.1e-8
    cell_m2: float = 4.595e-9
    layout_factor: float = 2.14
    core_m2: float = 0.0
    receiver_m2: float = 8e-11
    amplifier_m2: float = 5e-11
    adc_m2: float = 2.85e-9
    accumulator_m2: float = 8.89e-11
    sram_m2_per_bit: float = 5e-14
    other_m2: float = 0.0

    def __check_init__(self):
        for field in dataclasses.fields(self):
            check_number(f"floorplan.{field.name}", getattr(self, field.name), at_least=0.0)
        if isinstance(self.layout_factor, int | float) and self.layout_factor < 1:
            raise PhotonsimError(
                f"floorplan.layout_factor = {self.layout_factor:g} is below 1: a device needs at least its own area."
            )
