"""A crossbar of phase-change cells: weights that hold themselves without power, and are never quite what was written.

    x₁ ──┬──[g⁺]──▶ plus diode       a cell passes between almost nothing and all of its light, never less than nothing:
         └──[g⁻]──▶ minus diode      a weight is the difference of two cells ("pair"), or of one and a fixed tap that
                                     passes half ("reference")

The in-memory convolution of Feldmann et al. (Nature 589:52, 2021), where several vectors, on wavelengths of their own,
pass the same cells at once. A cell of relative conductance g passes `T = T_max (d + (1 − d) g)`, with the darkest share
d from its contrast. The dark light cancels in the difference and stays in the shot noise.

What the cells make of a matrix is `devices/pcm.py`: programming error, drift over the time since writing, and 1/f read
noise, as IBM fitted them. The 1/f noise of hours hardly moves within the microseconds of a product, so it is drawn once
for a written matrix, as in IBM's aihwkit; readings that are far apart see it anew (`read_noise = "each-reading"`). Each
writing is a draw of its own, from the die's
seed and the matrix itself: the same matrix on the same die gives the same cells.

Drift takes all weights down together before it spreads them; so the digital side can multiply most of it back. A tile's
factor is what its outputs summed to when it was written over what they sum to now (global drift compensation, Joshi et
al., Nat. Commun. 11:2473, 2020).
"""

from typing import Any

import equinox as eqx
import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from photonsim.converters import Adc, Bend, Dac, full_scale_code, straight_through
from photonsim.devices import AbstractModulator, AbstractPassive, Laser, PcmCell, Receiver, WeightCell
from photonsim.errors import check_choice, check_count, check_number
from photonsim.tiles.base import Disturbance
from photonsim.tiles.cell_errors import CellErrors
from photonsim.tiles.die import Die
from photonsim.tiles.encodings import AbstractEncoding, Differential
from photonsim.tiles.incoherent import AbstractIncoherentTile
from photonsim.tiles.partial_sums import split_blocks
from photonsim.tiles.readout import is_on
from photonsim.tiles.written_cells import Known, WrittenCells
from photonsim.units import ratio_from_db

WEIGHT_ENCODINGS = ("pair", "reference")
READ_NOISE = ("each-writing", "each-reading")
CELL_KEY = 12  # of the die's seed: what its cells make of what is written


class PcmCrossbar(AbstractIncoherentTile):
    """`rows` × `columns` weights of phase-change cells.

    Of a product's light, half goes to either cell of a pair, or to the cell and its reference.

    - `insertion_loss_db`: all between laser and photodiode but the divisions and the cells' own absorption, dB.
    - `pcm`: what a cell makes of a weight; `cell`: its bits, its writing, and the power that holding takes (none).
    - `cell_contrast_db`: brightest over darkest, dB.
    - `wavelengths_per_row`: input vectors that pass the cells at once.
    - `time_since_writing_s`: age of the weights when they are used.
    - `read_noise`: when the cells' 1/f noise is drawn, once with `"each-writing"` or with `"each-reading"`.
    - `drift_compensated`: whether the digital side multiplies the mean drift of each tile back.

    Left out: memory of the former state, crosstalk of heat between cells, drift of the contrast's dark end.
    """

    rows: int = eqx.field(static=True)
    columns: int = eqx.field(static=True)
    clock_hz: float
    insertion_loss_db: float
    cell_contrast_db: float
    laser: Laser
    input_dac: Dac
    modulator: AbstractModulator
    cell: WeightCell
    receiver: Receiver
    adc: Adc
    pcm: PcmCell = PcmCell()
    wavelengths_per_row: int = eqx.field(static=True, default=1)
    weight_encoding: str = eqx.field(static=True, default="pair")
    time_since_writing_s: float = 20.0
    read_noise: str = eqx.field(static=True, default="each-writing")
    drift_compensated: bool = eqx.field(static=True, default=False)
    die: Die = Die()
    encoding: AbstractEncoding = Differential()
    predistortion: str = eqx.field(static=True, default="exact")
    input_dnl_rms: float = 0.0
    input_bend: Bend = Bend()
    cell_errors: CellErrors = CellErrors()
    stages: dict[str, AbstractPassive] = eqx.field(default_factory=dict)

    def __check_init__(self):
        self.check_fields()
        self.check_detects_intensities()
        check_count("tile.wavelengths_per_row", self.wavelengths_per_row)
        check_number("tile.cell_contrast_db", self.cell_contrast_db, above=0.0)
        check_number("tile.time_since_writing_s", self.time_since_writing_s, above=0.0)
        check_choice("tile.weight_encoding", self.weight_encoding, WEIGHT_ENCODINGS)
        check_choice("tile.read_noise", self.read_noise, READ_NOISE)

    @property
    def vectors_at_once(self) -> int:
        """See `AbstractIncoherentTile.vectors_at_once`."""
        return self.wavelengths_per_row

    @property
    def paired(self) -> bool:
        """Whether a weight is two cells, not one beside a fixed tap."""
        return self.weight_encoding == "pair"

    @property
    def cells_per_weight(self) -> int:
        """Cells that one weight is written into."""
        return self.encoding.rails * (2 if self.paired else 1)

    @property
    def darkest(self):
        """d: what the darkest cell passes over what the brightest does."""
        return 1.0 / ratio_from_db(self.cell_contrast_db)

    @property
    def full_scale_share(self):
        """Half the light through a cell that goes from dark to bright; half of that again from its middle."""
        return (1.0 - self.darkest) / (2 if self.paired else 4)

    @property
    def cell_light(self) -> tuple[float, Any]:
        """See `AbstractIncoherentTile.cell_light`: one cell of a pair, or a cell and its tap, and the dark light."""
        dark = self.darkest / (1 - self.darkest)
        return (1.0, 2 * dark) if self.paired else (0.0, 2 + 4 * dark)

    @property
    def exact_cells(self) -> bool:
        """See `AbstractIncoherentTile.exact_cells`."""
        pcm = self.pcm
        return not any(is_on(scale) for scale in (pcm.programming_scale, pcm.drift_scale, pcm.read_scale))

    @property
    def noisy_cells(self) -> bool:
        """See `AbstractIncoherentTile.noisy_cells`."""
        return self.read_noise == "each-reading" and is_on(self.pcm.read_scale)

    def lifetime_s(self, vectors: int):
        """Seconds until the cells are worn, where a tile is written anew for every `vectors` input vectors."""
        check_count("vectors", vectors)
        symbols = self.encoding.passes * -(-vectors // self.vectors_at_once)
        return self.pcm.endurance_writes * (symbols / self.clock_hz + self.cell.tile_write_time_s)

    def cell_disturbances(self) -> tuple[Disturbance, ...]:
        """See `AbstractIncoherentTile.cell_disturbances`."""
        pcm, age = self.pcm, f"{self.time_since_writing_s:g} s after writing"
        drift = "compensated" if self.drift_compensated else "uncompensated"
        return (
            Disturbance("cell programming", f"scale {pcm.programming_scale:g}", {"pcm.programming_scale": 0.0}),
            Disturbance("cell drift", f"scale {pcm.drift_scale:g}, {age}, {drift}", {"pcm.drift_scale": 0.0}),
            Disturbance(
                "cell read noise", f"scale {pcm.read_scale:g}, {age}, {self.read_noise}", {"pcm.read_scale": 0.0}
            ),
        )

    def write_cells(self, codes: Float[Array, "*b t r n"], known: Known) -> WrittenCells:
        """Write conductances, let them age, and read what they have become."""
        largest = full_scale_code(self.cell.bits)
        weights = jnp.clip(jax.lax.stop_gradient(codes) / largest, -1.0, 1.0)
        wanted = jnp.maximum(jnp.stack([weights, -weights]), 0) if self.paired else ((1 + weights) / 2)[None]
        if known.exact:
            return WrittenCells(codes, self._light(wanted) * largest)
        writing, ageing, reading = jax.random.split(self._key_of(codes), 3)
        written = self.pcm.program(wanted, writing)
        drifted = self.pcm.drift(written, self.time_since_writing_s, ageing)
        now, variance = drifted, None
        if self.read_noise == "each-writing":
            now = self.pcm.read(written, drifted, self.time_since_writing_s, reading)
        elif known.noisy:
            spread = self.pcm.read_spread(written, drifted, self.time_since_writing_s)
            variance = largest**2 * (1 if self.paired else 4) * jnp.sum(spread**2, axis=0)
        made = straight_through(codes, self._signal(now) * largest)
        correction = self._drift_correction(written, now) if self.drift_compensated else 1.0
        return WrittenCells(made, self._light(now) * largest, correction, variance)

    def _key_of(self, codes: Float[Array, "*b"]) -> PRNGKeyArray:
        """The key of a writing: the die's seed, and a checksum of what is written."""
        words = jax.lax.bitcast_convert_type(jax.lax.stop_gradient(codes).astype(jnp.float32), jnp.uint32).ravel()
        places = 2 * jnp.arange(words.size, dtype=jnp.uint32) + jnp.uint32(1)
        checksum = jnp.sum(words * places, dtype=jnp.uint32)
        return jax.random.fold_in(jax.random.fold_in(jax.random.key(self.die.seed), CELL_KEY), checksum)

    def _signal(self, g: Float[Array, "c *b"]) -> Float[Array, "*b"]:
        """Plus less minus, in weights: of a pair, or of a cell and its tap."""
        return g[0] - g[1] if self.paired else 2 * g[0] - 1

    def _light(self, g: Float[Array, "c *b"]) -> Float[Array, "*b"]:
        """Plus and minus together, in the same unit; the dark light of both included."""
        dark = self.cell_light[1]
        both = g[0] + g[1] + dark if self.paired else 2 * g[0] - 1 + dark
        return both.astype(g.dtype)

    def _drift_correction(self, written: Float[Array, "c *b t r n"], now: Float[Array, "c *b t r n"]):
        """Sum of a tile's outputs when it was written over that of now, for each of its columns."""
        then, today = (self._tile_sums(jnp.abs(self._signal(g))) for g in (written, now))
        factor = jnp.where(today > 0, then / jnp.where(today > 0, today, 1.0), 1.0)
        return jnp.repeat(factor, self.columns, axis=-1)[..., : now.shape[-1]]

    def _tile_sums(self, values: Float[Array, "*b t r n"]) -> Float[Array, "*b t j"]:
        """Sums over the rows and columns of each tile."""
        return split_blocks(values.sum(axis=-2), self.columns, axis=-1).sum(axis=-1)
