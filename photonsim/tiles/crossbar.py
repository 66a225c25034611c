"""An incoherent, weight-stationary crossbar: the array inside Lightmatter's Envise, Lightelligence's PACE, and, with
reflective metasurface cells, Neurophos' optical processor.

          w₁₁   w₁₂   w₁₃
    x₁ ───●─────●─────●───    each input's light is modulated once and fanned out to every column;
          │     │     │       each cell passes the part that its weight says;
    x₂ ───●─────●─────●───    each column's photocurrents add up by Kirchhoff's law
          ▼     ▼     ▼
         TIA   TIA   TIA      one amplifier and one converter per column and symbol
         ADC   ADC   ADC

Intensities are positive. How signs travel is the tile's `encoding` (`encodings.py`): on differential rails, where a
value is light on a plus or a minus rail, the two rails' photocurrents are subtracted, and the shot noise is that of all
the light on both; or in one of three other ways.
"""

import functools

import equinox as eqx
import jax
from jax import numpy as jnp
from jaxtyping import Array, Float

from photonsim.converters import Adc, Bend, Dac, full_scale_code
from photonsim.devices import AbstractModulator, AbstractPassive, Laser, Modulator, Receiver, WeightCell
from photonsim.errors import PhotonsimError
from photonsim.tiles.cell_errors import CellErrors
from photonsim.tiles.die import Die, DieColumns
from photonsim.tiles.encodings import AbstractEncoding, Coherent, Differential, OffsetProgrammed
from photonsim.tiles.incoherent import AbstractIncoherentTile
from photonsim.tiles.partial_sums import block_scales, encode, split_blocks
from photonsim.tiles.readout import in_products
from photonsim.tiles.written_cells import Known, WrittenCells, set_columns


class Crossbar(AbstractIncoherentTile):
    """A weight-stationary crossbar of `rows` inputs and `columns` outputs, whose cells light one rail of a column.

    All of a cell's light is the signal of a weight of 1, so that at full scale one multiply-accumulate detects

        P_mac = P · 10^(-loss/10) / (rows · columns)            n_ph = P_mac / (h ν · clock)  photons.

    Inputs and weights are block floating point: one scale per input vector and tile, one per tile column (ABFP). For
    the settings see `AbstractIncoherentTile`.
    """

    rows: int = eqx.field(static=True)
    columns: int = eqx.field(static=True)
    clock_hz: float
    insertion_loss_db: float
    laser: Laser
    input_dac: Dac
    modulator: AbstractModulator
    cell: WeightCell
    receiver: Receiver
    adc: Adc
    die: Die = Die()
    encoding: AbstractEncoding = Differential()
    predistortion: str = eqx.field(static=True, default="exact")
    input_dnl_rms: float = 0.0
    input_bend: Bend = Bend()
    cell_errors: CellErrors = CellErrors()
    stages: dict[str, AbstractPassive] = eqx.field(default_factory=dict)

    def __check_init__(self):
        self.check_fields()
        if isinstance(self.encoding, Coherent) and not isinstance(self.modulator, Modulator):
            raise PhotonsimError(
                "A coherent encoding writes fields, and the modulators' curves here are those of intensities: "
                'give tile.modulator kind = "ideal".'
            )

    @property
    def full_scale_share(self) -> float:
        """See `AbstractIncoherentTile.full_scale_share`: all."""
        return 1.0

    @property
    def cell_light(self) -> tuple[float, float]:
        """See `AbstractIncoherentTile.cell_light`: one diode alone."""
        return 1.0, 0.0

    @property
    def exact_cells(self) -> bool:
        """See `AbstractIncoherentTile.exact_cells`."""
        return True

    @property
    def lights_both_diodes(self) -> bool:
        """One of them."""
        return False

    @property
    def cells_per_weight(self) -> int:
        """One: the rails of a value share it."""
        return 1

    @property
    def shot_noise(self) -> bool:
        """See `AbstractIncoherentTile.shot_noise`; a coherent reading has that of its oscillator."""
        return self.receiver.shot_noise and not isinstance(self.encoding, Coherent)

    @property
    def background_variance(self):
        """Variance of dark current, amplifier and oscillator noise, in units of one full-scale product squared."""
        bandwidth_hz = self.clock_hz / 2  # Nyquist: one sample per symbol
        variance_a2 = self.receiver.background_variance_a2(bandwidth_hz)
        if self.receiver.shot_noise and not self.shot_noise:
            oscillator_w = self.encoding.oscillator_share * self.rows * self.power_per_mac_w
            variance_a2 = variance_a2 + self.receiver.shot_variance_a2(oscillator_w, bandwidth_hz)
        return in_products(variance_a2, self.current_per_mac_a)

    def write_cells(self, codes: Float[Array, "*b t r n"], known: Known) -> WrittenCells:
        """As they are given."""
        return WrittenCells(codes, jnp.abs(codes))

    def program(self, w, cores: int = 1, scales=None):
        """See `AbstractIncoherentTile.program`; with raised weights, and a reference column beside each tile."""
        if not self.encoding.references:
            return super().program(w, cores, scales)
        blocks, across = -(-w.shape[-2] // self.rows), -(-w.shape[-1] // self.columns)
        columns = self.landing(cores, self.columns, blocks, w.shape[-1])
        references = self.landing(cores, 1, blocks, across, references=True)
        return _program_raised(self, w, scales, columns, references, self.known(cores))


@functools.partial(jax.jit, static_argnames="known")
def _program_raised(
    tile: Crossbar, w: Float[Array, "*b k n"], scales, columns: DieColumns, references: DieColumns, known: Known
) -> OffsetProgrammed:
    """Cells at `(1 + w)/2`, and beside each tile a column of open cells; rows without inputs stay dark."""
    blocks = split_blocks(w, tile.rows, axis=-2)  # (..., t, r, n)
    scales = block_scales(blocks, axis=-2) if scales is None else scales  # (..., t, 1, n)
    levels, scales = encode(blocks, scales, tile.cell.bits), scales[..., 0, :]
    full, inner = 2 * full_scale_code(tile.cell.bits), w.shape[-2]
    used = split_blocks(jnp.ones((inner, 1), levels.dtype), tile.rows, axis=-2)  # (t, r, 1)
    raised = _held(tile, (levels + full // 2) * used, full, known)
    batch, across = levels.shape[:-3], references.gain.shape[-1]
    opened = jnp.broadcast_to(full * used, (*used.shape[:2], across))
    opened = jnp.broadcast_to(_held(tile, opened, full, known, True), (*batch, *opened.shape))
    units = jnp.ones((*batch, *references.gain.shape), scales.dtype)
    return OffsetProgrammed(
        cells=set_columns(tile, tile.write_cells(raised, known), 2 * scales, full, columns, known, inner),
        reference=set_columns(tile, tile.write_cells(opened, known), units, full, references, known, inner),
        scales=scales,
    )


def _held(tile: Crossbar, levels, full: int, known: Known, references: bool = False):
    """The levels that cells really have."""
    if known.sound:
        return levels
    columns = 1 if references else tile.columns
    return tile.cell_errors.hold(levels, full, tile.die.seed, known.cores, columns, references)
