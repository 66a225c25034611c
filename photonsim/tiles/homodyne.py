"""Time-multiplexed homodyne detection: one term of every dot product in each symbol period, added up as charge.

          w₁(t)  w₂(t)  w₃(t)     each column's light carries one weight after another,
    x₁(t) ──○──────○──────○       each row's one input after another;
    x₂(t) ──○──────○──────○       ○ a balanced pair of diodes with an integrator: Q = Σ_t x(t) w(t), read once

An array of rows · columns detectors computes a whole matrix product, `rows` by `columns`, in k symbols (Hamerly et al.,
PRX 9:021032, 2019). One conversion serves up to thousands of multiplications, so that in the end the photons decide:
with n_mac of them per multiplication, both arms together, `y = Σ w x + ||w|| ||x|| / √(k n_mac) · N(0, 1)`.
"""

import equinox as eqx
from jax import numpy as jnp

from photonsim.converters import Adc, Dac
from photonsim.devices.laser import Laser
from photonsim.devices.modulator import Modulator
from photonsim.devices.receiver import Receiver
from photonsim.errors import check_count, check_number
from photonsim.events import EventCounts
from photonsim.tiles.balanced_detection import AbstractBalancedTile, Interference, interference
from photonsim.tiles.base import Devices, Disturbance, StoredBits
from photonsim.tiles.die import Die
from photonsim.tiles.live_operands import live_events
from photonsim.units import ratio_from_db


class Homodyne(AbstractBalancedTile):
    """`rows` × `columns` homodyne detectors that integrate over up to `integration_steps` symbols.

    Half the laser's power goes to either operand: `P_operand = P/2 · 10^(−loss/10) / (rows · columns)`.

    - `insertion_loss_db`: all between laser and photodiode but the division over rows and columns, dB.
    - `phase_sigma_rad`: error of the phase between the two operands, drawn for each product.

    Left out: leakage of the integrator, imbalance of the splitters.
    """

    rows: int = eqx.field(static=True)
    columns: int = eqx.field(static=True)
    integration_steps: int = eqx.field(static=True)
    clock_hz: float
    insertion_loss_db: float
    laser: Laser
    input_dac: Dac
    weight_dac: Dac
    modulator: Modulator
    receiver: Receiver
    adc: Adc
    phase_sigma_rad: float = 0.0
    die: Die = Die()

    def __check_init__(self):
        for name in ("rows", "columns", "integration_steps"):
            check_count(f"tile.{name}", getattr(self, name))
        check_number("tile.clock_hz", self.clock_hz, above=0.0)
        check_number("tile.laser.power_w", self.laser.power_w, above=0.0)
        check_number("tile.insertion_loss_db", self.insertion_loss_db, at_least=0.0)
        check_number("tile.phase_sigma_rad", self.phase_sigma_rad, at_least=0.0)

    @property
    def devices(self) -> Devices:
        """See `AbstractTile.devices`: a modulator for each row and column, a detector where they meet."""
        crossings = self.rows * self.columns
        return Devices(self.rows, crossings, receivers=crossings, readouts=crossings, weight_modulators=self.columns)

    @property
    def terms_per_readout(self) -> int:
        """See `AbstractBalancedTile`."""
        return self.integration_steps

    @property
    def symbols_per_readout(self) -> int:
        """See `AbstractBalancedTile`."""
        return self.integration_steps

    @property
    def operand_power_w(self):
        """Power of one operand at full scale at its detector, W."""
        return self.laser.power_w / 2 / ratio_from_db(self.insertion_loss_db) / (self.rows * self.columns)

    @property
    def photons_per_mac(self):
        """Photons of both operands at full scale on the diodes, for one multiply-accumulate."""
        return 2 * self.operand_power_w / (self.laser.photon_energy_j * self.clock_hz)

    @property
    def interference(self) -> Interference:
        """Equal splitters, and the phase between the operands."""
        return interference(jnp.zeros(self.integration_steps), 0.0, self.phase_sigma_rad, 0.0, equal_splitters=True)

    def operand_disturbances(self) -> tuple[Disturbance, ...]:
        """See `AbstractBalancedTile`."""
        return (Disturbance("operand phase", f"{self.phase_sigma_rad:.3g} rad", {"phase_sigma_rad": 0.0}),)

    @property
    def macs_per_cycle(self) -> int:
        """See `AbstractTile.macs_per_cycle`."""
        return self.rows * self.columns

    def events(self, batch: int, m: int, k: int, n: int, stored_bits: StoredBits | None = None) -> EventCounts:
        """See `AbstractTile.events`: both operands are converted in every symbol, outputs once per integration."""
        bits = stored_bits or self.operand_bits
        return live_events((batch, m, k, n), self.rows, self.columns, 1, self.integration_steps, bits)
