"""The light source: optical power, what it costs at the wall, the energy of its photons, and how its power trembles.

Relative intensity noise (RIN) is the spectral density of the power's fluctuations over its mean squared. It grows with
the signal, so more light does not help: however bright the laser, `SNR ≤ 1 / (RIN · B)` in a bandwidth B. At
-140 dB/Hz, an ordinary distributed-feedback laser, that is 8.0 bits at 1 GHz and 6.35 at 10 GHz; good ones reach -150
to -160 and gain 1.66 bits for every 10 dB.
"""

import equinox as eqx

from photonsim.errors import check_fraction, check_number
from photonsim.units import db_from_ratio, enob_from_sndr_db, photon_energy_j, ratio_from_db

NOISELESS_RIN_DB_PER_HZ = -200.0  # below the quantum limit 2hν/P of any laser up to 25 W: as good as none


class Laser(eqx.Module):
    """A continuous-wave laser: `P_wall = P / η`.

    Left out: linewidth, the spectrum of the intensity noise (white here), the power of its cooler (count that in the
    efficiency).

    - `power_w`: optical power one core is given, at the source, W.
    - `wall_plug_efficiency`: optical power over electrical power, driver and cooler included, 0–1.
    - `wavelength_m`: vacuum wavelength, m.
    - `rin_db_per_hz`: relative intensity noise, dB/Hz: -140 ordinary, -160 very good. All columns of a tile tremble
      together with it; the default is a noiseless laser.
    """

    power_w: float
    wall_plug_efficiency: float
    wavelength_m: float
    rin_db_per_hz: float = NOISELESS_RIN_DB_PER_HZ

    def __check_init__(self):
        check_number("laser.power_w", self.power_w, at_least=0.0)
        check_fraction("laser.wall_plug_efficiency", self.wall_plug_efficiency)
        check_number("laser.wavelength_m", self.wavelength_m, above=0.0)
        check_number("laser.rin_db_per_hz", self.rin_db_per_hz)

    @property
    def wall_power_w(self):
        """Electrical power for one core's light, W."""
        return self.power_w / self.wall_plug_efficiency

    @property
    def photon_energy_j(self):
        """Energy of one photon, J."""
        return photon_energy_j(self.wavelength_m)

    @property
    def rin_per_hz(self):
        """Relative intensity noise, 1/Hz: variance of the power over its mean squared, per hertz."""
        return ratio_from_db(self.rin_db_per_hz)

    @property
    def is_noiseless(self) -> bool:
        """Whether the laser has no intensity noise worth the name; a traced value may have."""
        return isinstance(self.rin_db_per_hz, int | float) and self.rin_db_per_hz <= NOISELESS_RIN_DB_PER_HZ

    def intensity_rms(self, bandwidth_hz):
        """Standard deviation of the power over its mean in a bandwidth B: `√(RIN · B)`."""
        return 10.0 ** (self.rin_db_per_hz / 20) * bandwidth_hz**0.5

    def snr_ceiling(self, bandwidth_hz):
        """Largest signal-to-noise power ratio that any detected power reaches: `1 / (RIN · B)`."""
        return 1.0 / (self.rin_per_hz * bandwidth_hz)

    def enob_ceiling(self, bandwidth_hz):
        """The same in effective bits."""
        return enob_from_sndr_db(db_from_ratio(self.snr_ceiling(bandwidth_hz)))
