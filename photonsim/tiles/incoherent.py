"""What crossbars, weight banks and their like share: light that is weighed cell by cell and added up on photodiodes.

Of a cell's light one part falls on the plus diode of its column and one on the minus diode, and their difference is the
product: a ring drops some of its wavelength and lets the rest through; a pair of phase-change cells passes some on
either side; a crossbar's cell lights one rail and leaves the other dark. Signs of weights are thus in the cells. Those
of inputs, which are intensities, take one of two encodings (a crossbar has two more, `encodings.py`):

    differential   a rail for positive inputs and one for negative, each with cells of its own, the second with its
                   diodes exchanged; the cells of both are taken to be alike
    two-pass       the positive inputs in one symbol, the negative in the next, through the same cells; two readings,
                   subtracted by the digital side

Shot noise counts the light on both diodes, `a = Σ |q| (plus + minus)`, and a cell may have light on both even where its
weight is zero. `partial_sums.py` counts `Σ |q| |levels|`; so where both are lit and shot noise is on, a column is
written as two groups of rows, `plus` and `−minus`, that see the same inputs. Their sum is the product and their
magnitudes are all the light: no approximation, and every engine runs it.

Noise that a cell has anew at each reading, of variance σ²_kn, adds `Σ_k q_k² σ²_kn` to a sum. `partial_sums.py` knows
`Σ_k q_k²` alone; a block of a column therefore has the mean σ² of its cells: exact in the mean over inputs.
"""

import abc
from typing import Any, Self

import equinox as eqx
from jax import numpy as jnp
from jaxtyping import Array, Float

from photonsim.converters import Adc, Bend, Dac, bits_in_words
from photonsim.devices import AbstractModulator, AbstractPassive, Laser, LinkBudget, Receiver, WeightCell
from photonsim.errors import PhotonsimError, check_count, check_number
from photonsim.events import EventCounts
from photonsim.tiles.base import AbstractTile, Converters, Devices, Disturbance, Reload, StoredBits
from photonsim.tiles.cell_errors import CellErrors
from photonsim.tiles.die import Die, DieColumns, land
from photonsim.tiles.encodings import AbstractEncoding, Differential, TwoPass
from photonsim.tiles.held_weights import written_events
from photonsim.tiles.inputs import InputPath, input_disturbances, leak_variance, shape_inputs
from photonsim.tiles.light_path import check_fan_out, light_path
from photonsim.tiles.partial_sums import Readout, split_blocks
from photonsim.tiles.readout import (
    check_light,
    in_products,
    intensity_disturbance,
    reading_disturbances,
    readout_of,
    shared_disturbances,
)
from photonsim.tiles.written_cells import Known, WrittenCells, program_cells
from photonsim.units import ELEMENTARY_CHARGE_C


class AbstractIncoherentTile(AbstractTile):
    """A tile of `rows` × `columns` cells between modulators and balanced diodes, weights written once.

    The laser's power is divided over the rows and fanned out over the columns, a reference column counting as one more;
    `full_scale_share` of a cell's light is the signal of a product at full scale (input and weight both 1):

        P_mac = P · 10^(-loss/10) / (rows · columns · vectors_at_once) · full_scale_share

    The loss is that of the tile's link budget: `insertion_loss_db`, the `stages`, and the modulator's own.

    - `insertion_loss_db`: what is lost between laser and photodiode and is in no stage, dB.
    - `stages`: parts of the path by name, in any order; splitter trees among them are part of the division.
    - `encoding`: how signs travel, see `encodings.py`.
    - `predistortion`, `input_dnl_rms`, `input_bend`: how inputs become light, see `InputPath`.
    - `cell_errors`: what fabrication did to the cells.
    """

    insertion_loss_db: eqx.AbstractVar[float]
    laser: eqx.AbstractVar[Laser]
    input_dac: eqx.AbstractVar[Dac]
    modulator: eqx.AbstractVar[AbstractModulator]
    cell: eqx.AbstractVar[WeightCell]
    receiver: eqx.AbstractVar[Receiver]
    adc: eqx.AbstractVar[Adc]
    die: eqx.AbstractVar[Die]
    encoding: eqx.AbstractVar[AbstractEncoding]
    predistortion: eqx.AbstractVar[str]
    input_dnl_rms: eqx.AbstractVar[float]
    input_bend: eqx.AbstractVar[Bend]
    cell_errors: eqx.AbstractVar[CellErrors]
    stages: eqx.AbstractVar[dict[str, AbstractPassive]]

    @property
    @abc.abstractmethod
    def full_scale_share(self) -> float | Array:
        """Difference of the two diodes' light, over their sum, of a weight of 1."""

    @property
    @abc.abstractmethod
    def cell_light(self) -> tuple[float, Any]:
        """(a, b): both diodes together have `a |w| + b` of a weight w, in full-scale products, in the mean of ±w."""

    @property
    @abc.abstractmethod
    def exact_cells(self) -> bool:
        """Whether cells hold the codes that they are given, but for `cell_errors`."""

    @abc.abstractmethod
    def write_cells(self, codes: Float[Array, "*b t r n"], known: Known) -> WrittenCells:
        """The codes of all blocks, as the cells of their cores hold them when light passes; unchanged if exact."""

    @property
    def lights_both_diodes(self) -> bool:
        """Whether cells light the minus diode beside the plus."""
        return True

    @property
    def vectors_at_once(self) -> int:
        """Input vectors that pass the cells in one symbol, on wavelengths of their own."""
        return 1

    @property
    def noisy_cells(self) -> bool:
        """Whether a cell's weight is another one at each reading."""
        return False

    def dead_signal(self, light: Float[Array, "*b t r n"]) -> Float[Array, "*b t r n"] | float:
        """Signal of cells that are at rest, given the light that they would have: dark."""
        return 0.0

    def check_fields(self) -> None:
        """Refuse sizes, losses and inputs that cannot be."""
        check_count("tile.rows", self.rows)
        check_count("tile.columns", self.columns)
        check_number("tile.clock_hz", self.clock_hz, above=0.0)
        check_number("tile.insertion_loss_db", self.insertion_loss_db, at_least=0.0)
        check_light(self.laser, self.receiver)
        self.input_path.check()
        check_fan_out(self.stages, self._detectors)

    def check_detects_intensities(self) -> None:
        """Refuse encodings that raise weights or write fields."""
        if not isinstance(self.encoding, Differential | TwoPass):
            raise PhotonsimError(
                f"tile.encoding = {type(self.encoding).__name__}: these cells have signs of their own and detect "
                'intensities. Take "differential" or "two-pass".'
            )

    # Light and noise

    @property
    def cells_per_weight(self) -> int:
        """Cells that one weight is written into: those of each rail."""
        return self.encoding.rails

    @property
    def input_path(self) -> InputPath:
        """From numbers to light."""
        shape = (self.predistortion, self.input_dnl_rms, self.input_bend)
        return InputPath(self.input_dac, self.modulator, *shape, converters=self.rows, seed=self.die.seed)

    @property
    def _detectors(self) -> int:
        """Cells that the light is divided among, those of a reference column included, and vectors at once."""
        return self.rows * (self.columns + self.encoding.references) * self.vectors_at_once

    @property
    def link(self) -> LinkBudget:
        """The way from the laser to the light of one multiply-accumulate at full scale."""
        return light_path(self.stages, self.modulator, self.insertion_loss_db, self._detectors)

    @property
    def power_per_mac_w(self):
        """Difference of the detected powers of one multiply-accumulate at full scale, an oscillator's included, W."""
        return self.link.detected_power_w(self.laser.power_w) * self.full_scale_share

    @property
    def photons_per_mac(self):
        """Photons by which the diodes differ in one symbol for one multiply-accumulate at full scale."""
        return self.power_per_mac_w / (self.laser.photon_energy_j * self.clock_hz)

    @property
    def current_per_mac_a(self):
        """Photocurrent of one multiply-accumulate at full scale over what a value of zero leaves, A."""
        contrast = self.encoding.current_share * (1.0 - self.modulator.leakage)
        return self.receiver.responsivity_a_per_w * self.power_per_mac_w * contrast

    @property
    def electrons_per_mac(self):
        """Photoelectrons of one multiply-accumulate at full scale in one symbol."""
        return self.current_per_mac_a / (ELEMENTARY_CHARGE_C * self.clock_hz)

    def with_photons_per_mac(self, photons: float) -> Self:
        """The same tile with the laser turned to give `photons` per multiply-accumulate at full scale."""
        check_number("photons_per_mac", photons, above=0.0)
        power_w = self.laser.power_w * photons / self.photons_per_mac
        return eqx.tree_at(lambda tile: tile.laser.power_w, self, power_w)

    @property
    def shot_noise(self) -> bool:
        """Whether the light of products is noisy in proportion to it."""
        return self.receiver.shot_noise

    @property
    def background_variance(self):
        """Variance of dark current and amplifier noise, in units of one full-scale product squared."""
        bandwidth_hz = self.clock_hz / 2  # Nyquist: one sample per symbol
        return in_products(self.receiver.background_variance_a2(bandwidth_hz), self.current_per_mac_a)

    def leak_variance(self, light: Float[Array, "*b t r n"]) -> Float[Array, "*b t n"]:
        """Shot noise of what modulators cannot shut off, in the same unit; `light` of the cells at an input of 1."""
        return leak_variance(self.modulator, self.encoding.rails, self.electrons_per_mac, light)

    @property
    def readout(self) -> Readout:
        """What of the reading is fixed when a product is compiled."""
        oscillator = self.receiver.shot_noise and not self.shot_noise
        bits, anew = self.input_path.coded_bits, self.noisy_cells
        return readout_of(self, bits, shot_noise=self.shot_noise, constant_noise=oscillator, square_noise=anew)

    @property
    def macs_per_cycle(self) -> float:
        """See `AbstractTile.macs_per_cycle`."""
        return self.rows * self.columns * self.vectors_at_once / self.encoding.passes

    @property
    def terms_per_readout(self) -> int:
        """See `AbstractTile.terms_per_readout`."""
        return self.rows

    @property
    def converter_bits(self) -> tuple[int | None, int | None, int | None]:
        """See `AbstractTile.converter_bits`."""
        return self.input_dac.bits, self.cell.bits, self.adc.bits

    @property
    def converters(self) -> Converters:
        """See `AbstractTile.converters`."""
        return Converters(self.input_dac, self.adc)

    @property
    def devices(self) -> Devices:
        """See `AbstractTile.devices`: vectors on wavelengths of their own share the cells and nothing else.

        A reference column is one more to hold and to read.
        """
        columns, vectors = self.columns + self.encoding.references, self.vectors_at_once
        cells = self.rows * columns * self.cells_per_weight
        return Devices(self.rows * vectors, cells, receivers=columns * vectors, readouts=columns * vectors)

    @property
    def reload(self) -> Reload:
        """See `AbstractTile.reload`."""
        return Reload(self.cell.tile_write_time_s, self.cell.double_buffered)

    def cell_disturbances(self) -> tuple[Disturbance, ...]:
        """What keeps the cells from being exact, beside `cell_errors`."""
        return ()

    def disturbances(self) -> tuple[Disturbance, ...]:
        """See `AbstractTile.disturbances`."""
        inputs, *reading = reading_disturbances(self.input_dac, self.receiver, self.adc, self.die, self.photons_per_mac)
        levels = Disturbance("weight levels", bits_in_words(self.cell.bits), {"cell.bits": "none"})
        cells = (*self.cell_errors.disturbances(), *self.cell_disturbances())
        light = intensity_disturbance(self.laser)
        return (inputs, *input_disturbances(self.input_path), levels, *cells, *reading, light)

    # Numbers

    def known(self, cores: int) -> Known:
        """What decides how a matrix is programmed."""
        leaks = self.shot_noise and self.modulator.leaks
        sound = self.cell_errors.are_off
        return Known(cores, self.readout.input_bits, self.exact_cells, sound, self.noisy_cells, leaks)

    def landing(self, cores: int, columns: int, blocks: int, width: int, references: bool = False) -> DieColumns:
        """`Die.landing`, with what the cells of a column have in common, and for reference columns too."""
        if self.cell_errors.are_off and not references:
            return self.die.landing(cores, columns, blocks, width)
        in_common = self.cell_errors.column_gain(self.die.seed, cores, columns, references)
        return land(self.die.draw(cores, columns, in_common, references), columns, blocks, width)

    def program(self, w: Float[Array, "*b k n"], cores: int = 1, scales: Float[Array, "*b t 1 n"] | None = None) -> Any:
        """Quantise (k, n) weights block by block and column by column, write them, and set the readout of each column.

        Block (t, j) of the matrix sits in core `(t J + j) mod cores`, so its columns are those of one physical die.
        `scales`: of every block's columns, if they are not to be their largest magnitudes.
        """
        blocks = -(-w.shape[-2] // self.rows)
        columns = self.landing(cores, self.columns, blocks, w.shape[-1])
        return program_cells(self, w, scales, columns, self.known(cores))

    @property
    def splits_rows(self) -> bool:
        """Whether a column is stored as the light of its plus diode and that of its minus diode."""
        return self.shot_noise and self.lights_both_diodes

    def compact(self, programmed: Any) -> Any:
        """See `AbstractTile.compact`: levels that are not whole numbers stay floats."""
        whole = self.exact_cells and self.cell_errors.are_off and not self.splits_rows
        return programmed.compact(self.cell.bits if whole else None)

    def matmul(self, x, programmed, key_data, engine="auto", row_offset=0) -> Any:
        """See `AbstractTile.matmul`; engines are those of `engine.multiply`."""
        shared = shared_disturbances(self.laser, self.adc, self.die, self.clock_hz / 2)
        inputs = shape_inputs(self.input_path, x, self.rows) if self.input_path.shapes else x
        if self.splits_rows:
            inputs = self._to_both_diodes(inputs, programmed.levels.shape[-2])
        return self.encoding.multiply(inputs, programmed, self.readout, shared, key_data, row_offset, engine)

    def _to_both_diodes(self, x: Float[Array, "*b m k"], stored_rows: int) -> Float[Array, "*b m kk"]:
        """Inputs block by block in front of the rows of each diode, which are half of those stored."""
        blocks = split_blocks(jnp.asarray(x), stored_rows // 2, axis=-1)  # (..., m, t, r)
        return jnp.concatenate([blocks, blocks], axis=-1).reshape(*x.shape[:-1], -1)

    # The bill

    def events(self, batch: int, m: int, k: int, n: int, stored_bits: StoredBits | None = None) -> EventCounts:
        """See `written_events`: a reference column is written into every tile, too."""
        input_bits, weight_bits = stored_bits or self.operand_bits
        references, across = self.encoding.references, -(-n // self.columns)
        return written_events(
            (batch, m, k, n),
            (self.rows, self.columns),
            input_bits,
            writes=self.cells_per_weight * k * (n + references * across),
            written_bits=k * n * weight_bits,
            passes=self.encoding.passes,
            vectors_at_once=self.vectors_at_once,
            references=references,
        )
