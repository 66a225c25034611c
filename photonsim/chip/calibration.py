"""Calibration as code: known vectors through the chip's own tiles, with all their noise, and what a fit makes of them.

Every column is driven with n known sums S, and read as `v = g S + o + noise` before any correction. Least squares give
its gain and offset, and the digital side divides by the one and takes off the other. With readings of noise σ,

    Var[ĝ] = σ² / (n ⟨S²⟩)            Var[ô] = σ² / n            for sums of both signs

so the error of a calibrated column falls as 1/√n, down to what rounding repeats. It is not free: n symbols on every
tile, their conversions, and the writing of the pattern. And it ages: a gain that walks by σ_w √t (`tiles/drift.py`) is
off by `σ²/(n ⟨S²⟩) + σ_w² t/2` in the mean square over an interval t between calibrations. If a share f of all time may
go into calibration, n grows with t, and there is a best interval: `t* = √(2 σ² τ / (f ⟨S²⟩)) / σ_w` for symbols of τ.

A mesh that configures itself (`tile.self_configured`) is measured cell by cell before: a field sent into a cell shows
its splitters' angles, at four settings of its phases, each of which must settle. The field goes by the sine of the
angle, so n readings of noise σ over a field of full scale leave an error of `σ / √n` rad. Two meshes of N(N − 1)/2
cells, one at a time in all cores at once, take `4 N(N − 1) (t_settle + n / clock)`: with heaters, all of it settling.
Its columns are then read under a random matrix, since equal weights ask cells for divisions that few can reach.

What a calibration cannot tell: cells that differ within a column, and a laser that has become dimmer for all. Of cells
that have all drifted, it finds the mean, as a gain.
"""

import dataclasses

import equinox as eqx
import jax
import numpy as np
from jax import numpy as jnp

from photonsim.chip.chip import Chip
from photonsim.converters import full_scale_code
from photonsim.devices.mesh import mesh_layout
from photonsim.errors import PhotonsimError, check_count
from photonsim.events import EventCounts
from photonsim.tiles import AbstractTile, Mesh
from photonsim.tiles.correction import AbstractCorrection, MeasuredCorrection, NoCorrection
from photonsim.tiles.encodings import AbstractEncoding, Differential, OffsetProgrammed
from photonsim.tiles.incoherent import AbstractIncoherentTile

FILLED = (0.2, 0.8)  # of a converter's half-span: the magnitudes of the sums
FEWEST_READINGS = 4
RANDOM_INPUTS = 0.6  # within ± this, an rms of 0.35
SETTINGS_PER_CELL = 4  # of a mesh cell's phases: bar and cross of either splitter


class Calibration(eqx.Module):
    """What a calibration found, and what it took.

    - `correction`: gain and offset of every column.
    - `events`: what happened on the chip meanwhile; `photonsim.cost.energy.price` has the bill.
    - `seconds`: for how long the chip did nothing else.
    - `splitter_error_rad`: how well a mesh that configures itself knows its splitters now.
    """

    correction: MeasuredCorrection
    events: EventCounts
    seconds: float
    splitter_error_rad: float | None = None

    def apply(self, chip: Chip) -> Chip:
        """The chip with this correction; a mesh makes up for its splitters as well as it knows them."""
        if self.splitter_error_rad is None:
            return _corrected(chip, self.correction)
        assert isinstance(chip.tile, Mesh)
        tile = dataclasses.replace(chip.tile, splitter_error_rad=self.splitter_error_rad)
        return _corrected(dataclasses.replace(chip, tile=tile), self.correction, "splitter_error_rad")


def calibrate(chip: Chip, readings: int, seed: int = 0) -> Calibration:
    """Measure every column of a chip whose tiles hold their weights, with `readings` known vectors.

    `seed` draws vectors and noise. All cores at once, each with one tile of weights ±1 (all 1 where there is no
    reference column to tell apart, normal numbers in a mesh). Cells of a mesh that configures itself are
    measured first, by as many readings at each setting.
    """
    tile = chip.tile
    if not isinstance(tile, AbstractIncoherentTile | Mesh):
        raise PhotonsimError(
            f"{chip.name} has a {type(tile).__name__}: calibrate() knows the columns of tiles that hold their weights."
        )
    check_count("readings", readings)
    if readings < FEWEST_READINGS:
        raise PhotonsimError(f"readings = {readings}: a gain and an offset take at least {FEWEST_READINGS}.")
    if isinstance(tile, Mesh) and tile.self_configured:
        return _calibrate_mesh(chip, tile, readings, seed)
    encoding = Differential() if isinstance(tile, Mesh) else tile.encoding
    return _calibrate_columns(chip, tile, encoding, readings, seed)


def _calibrate_columns(
    chip: Chip, tile: AbstractIncoherentTile | Mesh, encoding: AbstractEncoding, readings: int, seed: int
) -> Calibration:
    random = np.random.default_rng(seed)
    matrix = _pattern(random, tile, encoding, chip.cores * tile.columns)
    bare = _corrected(chip, NoCorrection())
    programmed = bare.program(jnp.asarray(matrix))
    cells = programmed.cells if isinstance(programmed, OffsetProgrammed) else programmed
    spans = np.asarray(cells.scale[0], np.float64) * tile.adc.full_scale_code  # of each column, in sums
    if isinstance(tile, Mesh):
        x = random.uniform(-RANDOM_INPUTS, RANDOM_INPUTS, (readings, tile.rows)).astype(np.float32)
        x[:, 0] = 1.0
    else:
        x = _vectors(random, readings, matrix[:, 0], float(spans.min()), full_scale_code(tile.input_dac.bits))
    answers = bare.matmul(jnp.asarray(x), programmed, jax.random.key(seed), "jax")
    correction = _fit(x, matrix, np.asarray(answers, np.float64), spans, encoding, chip.cores)
    events = chip.events(1, readings, tile.rows, matrix.shape[1])
    streaming_s = events.tile_cycles / chip.cores / chip.clock_hz
    fitted = 2.0 * (2 + encoding.references) * readings * matrix.shape[1]  # a multiply-add with each answer for each
    return Calibration(correction, events + EventCounts(vector_operations=fitted), tile.reload.seconds + streaming_s)


def _pattern(random: np.random.Generator, tile: AbstractTile, encoding: AbstractEncoding, columns: int) -> np.ndarray:
    """Known weights (rows, columns); the first row is dark, and holds the inputs' scale at 1."""
    if isinstance(tile, Mesh):
        matrix = random.normal(size=(tile.rows, columns))
    else:
        w = random.choice([-1.0, 1.0], tile.rows) if encoding.references else np.ones(tile.rows)
        matrix = np.repeat(w[:, None], columns, axis=1)
    matrix[0] = 0.0
    return matrix.astype(np.float32)


def _calibrate_mesh(chip: Chip, tile: Mesh, readings: int, seed: int) -> Calibration:
    """Its cells, and then its columns on the mesh that they make."""
    error_rad = float(tile.reading_sigma) / readings**0.5
    known = dataclasses.replace(tile, splitter_error_rad=error_rad)
    columns = _calibrate_columns(dataclasses.replace(chip, tile=known), known, Differential(), readings, seed)
    cells = sum(len(mesh_layout(modes, tile.scheme).cells) for modes in (tile.rows, tile.columns))
    settings = SETTINGS_PER_CELL * cells
    configured = EventCounts(
        tile_cycles=float(settings * readings * chip.cores),
        input_conversions=float(settings * readings * chip.cores),  # one input is lit
        weight_writes=float(2 * settings * chip.cores),  # both phases of the cell
        tile_writes=float(settings * chip.cores),
        output_conversions=float(2 * settings * readings * chip.cores),  # both outputs of the cell
        vector_operations=float(2 * settings * readings * chip.cores),
    )
    seconds = settings * (tile.reload.seconds + readings / chip.clock_hz)
    return Calibration(columns.correction, columns.events + configured, columns.seconds + seconds, error_rad)


def _corrected(chip: Chip, correction: AbstractCorrection, *changed: str) -> Chip:
    """The chip with another correction; neither it nor the other `changed` settings have a source any more."""
    tile = chip.tile
    assert isinstance(tile, AbstractIncoherentTile | Mesh)
    lost = {"tile.die.correction", *(f"tile.{name}" for name in changed)}
    die = dataclasses.replace(tile.die, correction=correction)
    sources = tuple((name, source) for name, source in chip.sources if name not in lost)
    return dataclasses.replace(chip, tile=dataclasses.replace(tile, die=die), sources=sources)


def _vectors(random: np.random.Generator, readings: int, w: np.ndarray, span: float, code: int) -> np.ndarray:
    """Inputs whose sums fill the range, of both signs in turn, from rows picked anew each time: (readings, rows)."""
    x = np.zeros((readings, len(w)), np.float32)
    for m in range(readings):
        sign, wanted = 1.0 - 2.0 * (m % 2), random.uniform(*FILLED) * min(span, len(w) - 1)
        lit = random.choice(np.arange(1, len(w)), size=max(1, round(wanted)), replace=False)
        level = min(wanted / len(lit), 1.0)
        x[m, lit] = sign * w[lit] * (level if code == 1 else max(round(level * code), 1) / code)
        x[m, 0] = sign
    return x


def _fit(x, w, answers, spans: np.ndarray, encoding: AbstractEncoding, cores: int) -> MeasuredCorrection:
    """Least squares, column by column: the sum, the sign that an offset is read with, and the reference's sum."""
    read_twice = encoding.passes == 2  # an offset is read with the sign of the inputs, all of one kind
    constant = np.sign(x[:, 0]) if read_twice else np.ones(len(x))
    shared = np.stack([constant] + [x.sum(1)] * encoding.references, axis=1)  # (readings, 1 or 2)
    sums = (x.astype(np.float64) @ w).T[..., None]  # (columns, readings, 1)
    regressors = np.concatenate([sums, np.broadcast_to(shared, (len(sums), *shared.shape))], axis=-1)
    found = (np.linalg.pinv(regressors) @ answers.T[..., None])[..., 0].T
    found[1] /= spans
    gain, offset, *reference_sum = found.reshape(len(found), cores, -1)
    reference = np.ones((cores, 1))
    if reference_sum:  # y = g (S + X) − g_ref X
        reference = (gain - reference_sum[0]).mean(1, keepdims=True)
    return MeasuredCorrection(*(jnp.asarray(each, jnp.float32) for each in (gain, offset, reference)))
