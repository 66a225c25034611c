"""The light source: optical power, what it costs at the wall, and the energy of its photons."""

import equinox as eqx

from photonsim.errors import check_fraction, check_number
from photonsim.units import photon_energy_j


class Laser(eqx.Module):
    """A continuous-wave laser: `P_wall = P / η`.

    Left out: intensity noise, linewidth, the power of its cooler (count that in the efficiency).

    - `power_w`: optical power one core is given, at the source, W.
    - `wall_plug_efficiency`: optical power over electrical power, driver and cooler included, 0–1.
    - `wavelength_m`: vacuum wavelength, m.
    """

    power_w: float
    wall_plug_efficiency: float
    wavelength_m: float

    def __check_init__(self):
        check_number("laser.power_w", self.power_w, at_least=0.0)
        check_fraction("laser.wall_plug_efficiency", self.wall_plug_efficiency)
        check_number("laser.wavelength_m", self.wavelength_m, above=0.0)

    @property
    def wall_power_w(self):
        """Electrical power for one core's light, W."""
        return self.power_w / self.wall_plug_efficiency

    @property
    def photon_energy_j(self):
        """Energy of one photon, J."""
        return photon_energy_j(self.wavelength_m)
