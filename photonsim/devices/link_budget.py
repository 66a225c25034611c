"""The link budget: from the laser's power to the light on one photodiode, and back.

    P_detected = P_laser · 10^(-(excess + splitting)/10)            P_wall = P_laser / η

The photons behind a multiply-accumulate are never a knob of their own: they follow from the laser, the losses on the
way, the fan-out and the clock. Losses multiply, so their decibels add, and every 3 dB doubles the bill: a broadcast to
twice as many outputs, or one more tree of splitters, costs twice the laser.
"""

import equinox as eqx

from photonsim.devices.laser import Laser
from photonsim.devices.passives import AbstractPassive
from photonsim.errors import check_count
from photonsim.units import db_from_ratio, ratio_from_db


class LinkBudget(eqx.Module):
    """Stages that light passes in turn, and a fan-out shared among detectors that no splitter tree among them makes.

    - `stages`: the parts of the path, in any order.
    - `fan_out`: further division, `10 log₁₀ N` and nothing lost: the columns of a crossbar, the two rails of a signed
      value.
    """

    stages: tuple[AbstractPassive, ...]
    fan_out: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        check_count("link.fan_out", self.fan_out)

    @property
    def excess_loss_db(self):
        """Light lost, dB: what a tile calls its insertion loss."""
        return sum((stage.excess_loss_db for stage in self.stages), start=0.0)

    @property
    def transmission(self):
        """Share of the laser's light on one photodiode: excess loss and splitting."""
        split = ratio_from_db(sum((stage.split_loss_db for stage in self.stages), start=0.0)) * float(self.fan_out)
        return 1.0 / (ratio_from_db(self.excess_loss_db) * split)

    @property
    def loss_db(self):
        """All that lies between the laser and one photodiode, dB."""
        return -db_from_ratio(self.transmission)

    def detected_power_w(self, laser_power_w):
        """Light on one photodiode, W."""
        return laser_power_w * self.transmission

    def laser_power_w(self, detected_power_w):
        """Laser power that puts a wanted light on each photodiode, W: the inverse of `detected_power_w`."""
        return detected_power_w / self.transmission

    def wall_power_w(self, detected_power_w, wall_plug_efficiency):
        """Electrical power of that laser, W."""
        return self.laser_power_w(detected_power_w) / wall_plug_efficiency

    def photons_per_symbol(self, laser: Laser, clock_hz):
        """Photons on one photodiode in a symbol period, with a `Laser` at its own power."""
        return self.detected_power_w(laser.power_w) / (laser.photon_energy_j * clock_hz)
