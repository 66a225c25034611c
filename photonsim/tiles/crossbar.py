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
import math
from typing import NamedTuple

import equinox as eqx
import jax
from jax import numpy as jnp
from jaxtyping import Array, Float

from photonsim.converters import Adc, Bend, Dac, bits_in_words, full_scale_code
from photonsim.converters.nonlinearity import POWERS
from photonsim.devices import (
    AbstractModulator,
    AbstractPassive,
    Laser,
    LinkBudget,
    Loss,
    Modulator,
    Receiver,
    SplitterTree,
    WeightCell,
)
from photonsim.errors import PhotonsimError, check_choice, check_count, check_number
from photonsim.events import PARTIAL_SUM_BITS, EventCounts
from photonsim.tiles.base import AbstractTile, Converters, Devices, Disturbance, Reload
from photonsim.tiles.cell_errors import CellErrors
from photonsim.tiles.die import Die, DieColumns, land
from photonsim.tiles.encodings import AbstractEncoding, Coherent, Differential, OffsetProgrammed
from photonsim.tiles.inputs import PREDISTORTIONS, dac_levels, written_inputs
from photonsim.tiles.partial_sums import Programmed, Readout, block_scales, encode, split_blocks
from photonsim.tiles.readout import (
    check_light,
    in_products,
    intensity_disturbance,
    is_on,
    reading_disturbances,
    set_readout,
    shared_disturbances,
)
from photonsim.units import ELEMENTARY_CHARGE_C


class _Known(NamedTuple):
    """What is known when a matrix is programmed: a traced setting may be anything, these decide what is compiled."""

    cores: int
    input_bits: int | None
    exact_cells: bool
    leaks: bool


class Crossbar(AbstractTile):
    """A weight-stationary crossbar of `rows` inputs and `columns` outputs.

    The laser's power is divided over the rows and fanned out over the columns, so that at full scale (input and weight
    both 1) one multiply-accumulate detects

        P_mac = P · 10^(-loss/10) / (rows · columns)            n_ph = P_mac / (h ν · clock)  photons;

    where a reference column counts as one more. The loss is that of the tile's link budget: `insertion_loss_db`, the
    `stages`, and the modulator's own. Inputs and weights are block floating point: one scale per input vector and tile,
    one per tile column (ABFP).

    - `insertion_loss_db`: what is lost between laser and photodiode and is in no stage, dB.
    - `stages`: parts of the path by name, in any order; splitter trees among them are part of the fan-out.
    - `encoding`: how signs travel, see `encodings.py`.
    - `predistortion`: how the modulators are driven, see `inputs.py`; `input_dnl_rms`: spread of the steps of their
      DACs, LSB; `input_bend`: of the way from code to light, where it was measured as a whole.
    - `cell_errors`: what fabrication did to the cells.
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
        check_count("tile.rows", self.rows)
        check_count("tile.columns", self.columns)
        check_number("tile.clock_hz", self.clock_hz, above=0.0)
        check_number("tile.insertion_loss_db", self.insertion_loss_db, at_least=0.0)
        check_number("tile.input_dnl_rms", self.input_dnl_rms, at_least=0.0)
        check_choice("tile.predistortion", self.predistortion, PREDISTORTIONS)
        check_light(self.laser, self.receiver)
        self._check_fan_out()
        if isinstance(self.encoding, Coherent) and not isinstance(self.modulator, Modulator):
            raise PhotonsimError(
                "A coherent encoding writes fields, and the modulators' curves here are those of intensities: "
                'give tile.modulator kind = "ideal".'
            )

    def _check_fan_out(self) -> None:
        if self._detectors % self._branches:
            raise PhotonsimError(
                f"The splitter trees among tile.stages divide the light by {self._branches}, which does not divide the "
                f"{self._detectors} cells that it goes to: give trees over rows or columns, and any other as a loss."
            )

    # Light and noise

    @property
    def _detectors(self) -> int:
        """Cells that the light is divided among, those of a reference column included."""
        return self.rows * (self.columns + self.encoding.references)

    @property
    def _branches(self) -> int:
        trees = (stage for stage in self.stages.values() if isinstance(stage, SplitterTree))
        return math.prod(tree.fan_out for tree in trees)

    @property
    def link(self) -> LinkBudget:
        """The way from the laser to the photodiode of one multiply-accumulate, at full scale."""
        return LinkBudget(
            stages=(
                *self.stages.values(),
                Loss("modulator", self.modulator.insertion_loss_db),
                Loss("rest of the path", self.insertion_loss_db),
            ),
            fan_out=self._detectors // self._branches,
        )

    @property
    def power_per_mac_w(self):
        """Detected optical power of one multiply-accumulate at full scale, a local oscillator's share included, W."""
        return self.link.detected_power_w(self.laser.power_w)

    @property
    def photons_per_mac(self):
        """Photons reaching the photodiode in one symbol for one multiply-accumulate at full scale."""
        return self.link.photons_per_symbol(self.laser, self.clock_hz)

    @property
    def current_per_mac_a(self):
        """Photocurrent of one multiply-accumulate at full scale over what a value of zero leaves, A."""
        contrast = self.encoding.current_share * (1.0 - self.modulator.leakage)
        return self.receiver.responsivity_a_per_w * self.power_per_mac_w * contrast

    @property
    def electrons_per_mac(self):
        """Photoelectrons of one multiply-accumulate at full scale in one symbol."""
        return self.current_per_mac_a / (ELEMENTARY_CHARGE_C * self.clock_hz)

    def with_photons_per_mac(self, photons: float) -> "Crossbar":
        """The same tile with the laser turned to give `photons` per multiply-accumulate at full scale."""
        check_number("photons_per_mac", photons, above=0.0)
        power_w = self.laser.power_w * photons / self.photons_per_mac
        return eqx.tree_at(lambda tile: tile.laser.power_w, self, power_w)

    @property
    def background_variance(self):
        """Variance of dark current, amplifier and oscillator noise, in units of one full-scale product squared."""
        bandwidth_hz = self.clock_hz / 2  # Nyquist: one sample per symbol
        variance_a2 = self.receiver.background_variance_a2(bandwidth_hz)
        if self._has_oscillator_noise:
            oscillator_w = self.encoding.oscillator_share * self.rows * self.power_per_mac_w
            variance_a2 = variance_a2 + self.receiver.shot_variance_a2(oscillator_w, bandwidth_hz)
        return in_products(variance_a2, self.current_per_mac_a)

    @property
    def _leaks(self) -> bool:
        """Whether light that modulators cannot shut off is noise."""
        return self.readout.shot_noise and self.modulator.leaks

    def leak_variance(self, weights: Float[Array, "*b t r n"]) -> Float[Array, "*b t n"]:
        """Shot noise of the light that modulators cannot shut off, in the same units; `weights` within 0 … ±1.

        On each rail `T_min / (T_max − T_min)` of a full-scale product's light, whatever the input.
        """
        leaked = self.encoding.rails * self.modulator.leakage / (1.0 - self.modulator.leakage)
        return leaked / self.electrons_per_mac * jnp.sum(jnp.abs(weights), axis=-2)

    @property
    def _has_oscillator_noise(self) -> bool:
        return isinstance(self.encoding, Coherent) and self.receiver.shot_noise

    @property
    def _has_background(self) -> bool:
        receiver = (self.receiver.tia_noise_a_per_sqrt_hz, self.receiver.dark_current_a)
        return self._has_oscillator_noise or any(is_on(value) for value in receiver)

    @property
    def _shapes_inputs(self) -> bool:
        """Whether the light is not that of the DAC's codes."""
        bent = self.predistortion != "exact" and not self.modulator.is_straight
        return not self.input_bend.is_off or (self.input_dac.bits is not None and (bent or is_on(self.input_dnl_rms)))

    @property
    def readout(self) -> Readout:
        """What of the reading is fixed when a product is compiled."""
        return Readout(
            input_bits=None if self._shapes_inputs else self.input_dac.bits,
            adc_bits=self.adc.bits,
            columns=self.columns,
            noise=self._has_background or is_on(self.adc.noise_rms),
            shot_noise=self.receiver.shot_noise and not isinstance(self.encoding, Coherent),
            common_mode=is_on(self.die.common_mode_rms),
            intensity_noise=not self.laser.is_noiseless,
        )

    @property
    def macs_per_cycle(self) -> float:
        """See `AbstractTile.macs_per_cycle`."""
        return self.rows * self.columns / self.encoding.passes

    @property
    def terms_per_readout(self) -> int:
        """See `AbstractTile.terms_per_readout`."""
        return self.rows

    @property
    def converters(self) -> Converters:
        """See `AbstractTile.converters`."""
        return Converters(self.input_dac, self.adc)

    @property
    def converter_bits(self) -> tuple[int | None, int | None, int | None]:
        """See `AbstractTile.converter_bits`."""
        return self.input_dac.bits, self.cell.bits, self.adc.bits

    @property
    def devices(self) -> Devices:
        """See `AbstractTile.devices`: a reference column is one more to hold and to read."""
        columns = self.columns + self.encoding.references
        return Devices(modulators=self.rows, cells=self.rows * columns, receivers=columns, readouts=columns)

    @property
    def reload(self) -> Reload:
        """See `AbstractTile.reload`."""
        return Reload(self.cell.tile_write_time_s, self.cell.double_buffered)

    def disturbances(self) -> tuple[Disturbance, ...]:
        """See `AbstractTile.disturbances`."""
        inputs, *reading = reading_disturbances(self.input_dac, self.receiver, self.adc, self.die, self.photons_per_mac)
        levels = Disturbance("weight levels", bits_in_words(self.cell.bits), {"cell.bits": "none"})
        cells, light = self.cell_errors.disturbances(), intensity_disturbance(self.laser)
        return (inputs, *self._input_disturbances(), levels, *cells, *reading, light)

    def _input_disturbances(self) -> tuple[Disturbance, ...]:
        """What modulators and their converters add, if there is a curve that they could follow."""
        found: list[Disturbance] = []
        if not self.modulator.is_straight:
            setting = f"predistortion {self.predistortion}"
            found.append(Disturbance("modulator curve", setting, {"predistortion": "exact"}))
        if self.modulator.leaks:
            share = f"{float(self.modulator.leakage):.2e} of full scale"
            dark = {f"modulator.{name}": value for name, value in self.modulator.dark_settings.items()}
            found.append(Disturbance("light at zero", share, dark | {"receiver.shot_noise": False}))
        if is_on(self.input_dnl_rms):
            found.append(Disturbance("unequal input steps", f"± {self.input_dnl_rms:g} LSB", {"input_dnl_rms": 0.0}))
        if not self.input_bend.is_off:
            off = {f"input_bend.{name}": 0.0 for name in POWERS}
            found.append(Disturbance("bent input line", f"cube {self.input_bend.cubic:g}", off))
        return tuple(found)

    # Numbers

    def program(
        self, w: Float[Array, "*b k n"], cores: int = 1, scales: Float[Array, "*b t 1 n"] | None = None
    ) -> Programmed | OffsetProgrammed:
        """Quantise (k, n) weights block by block and column by column, and set the readout of each.

        Block (t, j) of the matrix sits in core `(t J + j) mod cores`, so its columns are those of one physical die.
        `scales`: of every block's columns, if they are not to be their largest magnitudes.
        """
        blocks, across = -(-w.shape[-2] // self.rows), -(-w.shape[-1] // self.columns)
        columns = self._landing(cores, self.columns, blocks, w.shape[-1])
        references = self._landing(cores, 1, blocks, across, True) if self.encoding.references else None
        return self._program(w, scales, columns, references, self._known(cores))

    def _known(self, cores: int) -> "_Known":
        return _Known(cores, self.readout.input_bits, self.cell_errors.are_off, self._leaks)

    def _landing(self, cores: int, columns: int, blocks: int, width: int, references: bool = False) -> DieColumns:
        """`Die.landing`, with what the cells of a column have in common, and for reference columns too."""
        if self.cell_errors.are_off and not references:
            return self.die.landing(cores, columns, blocks, width)
        in_common = self.cell_errors.column_gain(self.die.seed, cores, columns, references)
        return land(self.die.draw(cores, columns, in_common, references), columns, blocks, width)

    @functools.partial(jax.jit, static_argnames="known")
    def _program(self, w, scales, columns: DieColumns, references: DieColumns | None, known: "_Known"):
        """`program` on known physical columns, compiled as one piece."""
        blocks = split_blocks(w, self.rows, axis=-2)  # (..., t, r, n)
        scales = block_scales(blocks, axis=-2) if scales is None else scales  # (..., t, 1, n)
        levels = encode(blocks, scales, self.cell.bits)
        scales, full = scales[..., 0, :], full_scale_code(self.cell.bits)
        if references is None:
            return self._set_readout(self._hold(levels, full, known), scales, full, columns, known)
        return self._program_raised(levels, scales, w.shape[-2], columns, references, known)

    def _hold(self, levels, full: int, known: "_Known", references: bool = False):
        """The levels that cells really have."""
        if known.exact_cells:
            return levels
        columns = 1 if references else self.columns
        return self.cell_errors.hold(levels, full, self.die.seed, known.cores, columns, references)

    def _program_raised(self, levels, scales, inner: int, columns: DieColumns, references: DieColumns, known: "_Known"):
        """Cells at `(1 + w)/2`, and beside each tile a column of open cells; rows without inputs stay dark."""
        full = 2 * full_scale_code(self.cell.bits)
        used = split_blocks(jnp.ones((inner, 1), levels.dtype), self.rows, axis=-2)  # (t, r, 1)
        raised = self._hold((levels + full // 2) * used, full, known)
        batch, across = levels.shape[:-3], references.gain.shape[-1]
        opened = jnp.broadcast_to(full * used, (*used.shape[:2], across))
        opened = jnp.broadcast_to(self._hold(opened, full, known, True), (*batch, *opened.shape))
        units = jnp.ones((*batch, *references.gain.shape), scales.dtype)
        return OffsetProgrammed(
            cells=self._set_readout(raised, 2 * scales, full, columns, known),
            reference=self._set_readout(opened, units, full, references, known),
            scales=scales,
        )

    def _set_readout(self, levels, scales, full: int, columns: DieColumns, known: "_Known") -> Programmed:
        """Columns whose cells have `levels`, of which `full` passes all light."""
        weights = jax.lax.stop_gradient(levels) / full
        return set_readout(
            levels,
            scales,
            self.adc.full_scale(self.rows, weights),
            float(full_scale_code(known.input_bits) * full),
            self.adc,
            columns,
            variance=self.background_variance + (self.leak_variance(weights) if known.leaks else 0.0),
            shot_variance=1.0 / self.electrons_per_mac,
        )

    def compact(self, programmed: Programmed | OffsetProgrammed) -> Programmed | OffsetProgrammed:
        """See `AbstractTile.compact`: cells that are not exact stay floats."""
        return programmed.compact(self.cell.bits if self.cell_errors.are_off else None)

    def matmul(self, x, programmed, key_data, engine="auto", row_offset=0):
        """See `AbstractTile.matmul`; `engine` is `"jax"` (the definition), `"numba"` (its fast twin) or `"auto"`."""
        shared = shared_disturbances(self.laser, self.adc, self.die, self.clock_hz / 2)
        inputs = (
            self._write_inputs(x, is_on(self.input_dnl_rms), not self.input_bend.is_off) if self._shapes_inputs else x
        )
        return self.encoding.multiply(inputs, programmed, self.readout, shared, key_data, row_offset, engine)

    @functools.partial(jax.jit, static_argnames=("unequal", "bent"))
    def _write_inputs(self, x: Float[Array, "*b m k"], unequal: bool, bent: bool) -> Float[Array, "*b m k"]:
        """The inputs as the modulators write them, their DACs' steps `unequal` or not, their way `bent` or not."""
        bits, levels, bend = self.input_dac.bits, None, self.input_bend if bent else None
        if bits is not None and unequal:
            levels = dac_levels(bits, self.input_dnl_rms, self.rows, self.die.seed)
        return written_inputs(x, bits, self.modulator, self.predistortion, levels, self.rows, bend)

    # The bill

    def events(self, batch: int, m: int, k: int, n: int) -> EventCounts:
        """Counts of `batch` products (m, k) × (k, n): every tile is written once and streams all m rows.

        Rows and columns of a tile that the matrix does not fill are dark and unread, but the tile's time is spent.
        Each pass of the encoding takes symbols, conversions and readings of its own; a reference column is one more
        column to write and to read in each tile, and one more digital subtraction from every partial sum.
        """
        down, across = -(-k // self.rows), -(-n // self.columns)
        symbols, references = self.encoding.passes * m, self.encoding.references
        sums = symbols * n * down
        weight_bits, input_bits = (bits or PARTIAL_SUM_BITS for bits in (self.cell.bits, self.input_dac.bits))
        return EventCounts(
            macs=float(batch * m * k * n),
            tile_cycles=float(batch * symbols * down * across),
            input_conversions=float(batch * symbols * k * across),
            weight_writes=float(batch * k * (n + references * across)),
            tile_writes=float(batch * down * across),
            output_conversions=float(batch * (sums + references * symbols * down * across)),
            accumulations=float(batch * sums * (1 + references)),
            scale_operations=float(batch * m * k),
            sram_read_bits=float(
                batch * (symbols * k * across * input_bits + k * n * weight_bits + (sums - m * n) * PARTIAL_SUM_BITS)
            ),
            sram_write_bits=float(batch * (m * k * input_bits + sums * PARTIAL_SUM_BITS)),
        )
