"""A weight-stationary mesh of interferometers: any real matrix as light that divides and meets again.

    x ══[ V† ]══[ Σ ]══[ U ]══ W x        W = U Σ V†; U and V†: Clements or Reck meshes; Σ: one attenuator per mode

No light is thrown away to make a sum, and signs are phases; in return, every path through the mesh must keep its
phase, and each of the N² settings takes microseconds to change. A passive mesh has no gain: a block is divided by its
largest singular value, which the digital side multiplies in again. Outputs are fields, read by homodyne detection with
a local oscillator, whose shot noise is the same whatever the signal.

Because the matrix is real and only the in-phase field is read, unequal splitters count to second order alone: to first
order they put light into the other quadrature. Wrong phases count to first order.

A matrix becomes phases in a compiler (`devices/mesh.py`, on the host, in float64). What the mesh then really does is
simulated: its own splitters, trimmed as well as self-configuration can, and phases as they are set. The product itself
is `partial_sums.py` with these disturbed weights.
"""

import functools

import equinox as eqx
import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Complex, Float

from photonsim.converters import Adc, Dac, bits_in_words, full_scale_code, straight_through
from photonsim.devices.laser import Laser
from photonsim.devices.mesh import (
    SCHEMES,
    Fabrication,
    MeshPhases,
    SplitterErrors,
    cell_blocks,
    decompose,
    draw_fabrication,
    mesh_layout,
    self_configure,
    turn_shifters,
)
from photonsim.devices.modulator import Modulator
from photonsim.devices.phase_shifter import PhaseShifter
from photonsim.devices.receiver import Receiver
from photonsim.errors import PhotonsimError, check_choice, check_count, check_fraction, check_number
from photonsim.events import EventCounts
from photonsim.tiles.base import AbstractTile, Converters, Devices, Disturbance, Reload, StoredBits
from photonsim.tiles.die import Die, DieColumns
from photonsim.tiles.engine import multiply
from photonsim.tiles.fast_mesh import mesh_matrix_fast
from photonsim.tiles.held_weights import written_events
from photonsim.tiles.partial_sums import SMALLEST_SCALE, Programmed, Readout, split_blocks
from photonsim.tiles.readout import (
    intensity_disturbance,
    is_on,
    reading_disturbances,
    readout_of,
    set_readout,
    shared_disturbances,
)
from photonsim.units import ratio_from_db


class MeshSettings(eqx.Module):
    """A block as its compiler hands it to a mesh: phases of both unitaries, and the attenuators between them.

    `gains`, 0 to 1: singular values over `scale`, the largest. Any leading axes.
    """

    before: MeshPhases  # V†, of the inputs
    after: MeshPhases  # U, of the outputs
    gains: Float[Array, "*b s"] | Float[np.ndarray, "*b s"]
    scale: Float[Array, "*b"] | Float[np.ndarray, "*b"]


class Mesh(AbstractTile):
    """A mesh of `rows` inputs and `columns` outputs between modulators and homodyne detectors.

    Of the laser's power P, the local oscillators get a share a, the inputs the rest. At full scale (one input 1, gain
    1) an output receives P_in and its oscillator P_lo:

        P_in = (1 − a) P T_in / rows,    P_lo = a P T / columns,    photocurrent 2 R √(P_in P_lo)

    with T the transmission outside of the mesh and T_in that times the loss of all its cells.

    - `insertion_loss_db`: all between laser and photodiode but the cells, dB.
    - `cell_loss_db`: loss of one cell, dB (0.1 – 0.5 – 2: optimistic, demonstrated, typical).
    - `splitter_sigma_rad`: standard deviation of the splitters' coupling angles, fixed by the die's seed.
    - `self_configured`: whether the compiler knows the splitters and makes up for them; `splitter_error_rad`: the
      standard deviation of what it knows wrong of their angles.
    - `local_oscillator_share`: a.

    Left out: shot noise of the signal beside that of its oscillator, phase drift, dispersion.
    """

    rows: int = eqx.field(static=True)
    columns: int = eqx.field(static=True)
    clock_hz: float
    insertion_loss_db: float
    cell_loss_db: float
    laser: Laser
    input_dac: Dac
    modulator: Modulator
    phase_shifter: PhaseShifter
    receiver: Receiver
    adc: Adc
    splitter_sigma_rad: float = 0.0
    self_configured: bool = eqx.field(static=True, default=False)
    splitter_error_rad: float = 0.0
    scheme: str = eqx.field(static=True, default="clements")
    local_oscillator_share: float = 0.5
    die: Die = Die()

    def __check_init__(self):
        check_count("tile.rows", self.rows)
        check_count("tile.columns", self.columns)
        check_number("tile.clock_hz", self.clock_hz, above=0.0)
        check_number("tile.laser.power_w", self.laser.power_w, above=0.0)
        for name in ("insertion_loss_db", "cell_loss_db", "splitter_sigma_rad", "splitter_error_rad"):
            check_number(f"tile.{name}", getattr(self, name), at_least=0.0)
        check_choice("tile.scheme", self.scheme, SCHEMES)
        check_fraction("tile.local_oscillator_share", self.local_oscillator_share)
        if self.local_oscillator_share == 1.0:
            raise PhotonsimError("tile.local_oscillator_share = 1 leaves no light for the inputs: give less.")

    # Light and noise

    @property
    def phase_shifters(self) -> int:
        """Phases that hold a matrix: two per cell of both meshes, their outputs, and the attenuators."""
        return self.rows**2 + self.columns**2 + min(self.rows, self.columns)

    @property
    def cells_deep(self) -> int:
        """Cells on a path: both meshes and the attenuator."""
        return mesh_layout(self.rows, self.scheme).depth + mesh_layout(self.columns, self.scheme).depth + 1

    @property
    def input_power_w(self):
        """Power at an output that one input at full scale sends there with gain 1, W."""
        loss = ratio_from_db(self.insertion_loss_db + self.cell_loss_db * self.cells_deep)
        return (1 - self.local_oscillator_share) * self.laser.power_w / loss / self.rows

    @property
    def oscillator_power_w(self):
        """Power of one output's local oscillator, W."""
        return self.local_oscillator_share * self.laser.power_w / ratio_from_db(self.insertion_loss_db) / self.columns

    @property
    def photons_per_mac(self):
        """Photons on the diodes of one output in one symbol, all inputs and the oscillator, per input."""
        power_w = self.input_power_w + self.oscillator_power_w / self.rows
        return power_w / (self.laser.photon_energy_j * self.clock_hz)

    @property
    def noise_variance(self):
        """Variance of shot, dark and amplifier noise, in units of one full-scale product squared."""
        bandwidth_hz = self.clock_hz / 2  # Nyquist: one sample per symbol
        variance_a2 = self.receiver.background_variance_a2(bandwidth_hz)
        if self.receiver.shot_noise:
            variance_a2 = variance_a2 + self.receiver.shot_variance_a2(self.oscillator_power_w, bandwidth_hz)
        current_squared = 4 * self.receiver.responsivity_a_per_w**2 * self.input_power_w * self.oscillator_power_w
        return variance_a2 / current_squared

    @property
    def reading_sigma(self):
        """Standard deviation of one reading over a field of full scale: light, receiver, and measured noise."""
        span = self.adc.full_scale(self.rows, jnp.full((1, self.rows, 1), self.rows**-0.5))[0, 0]
        noisy = self.readout.noise
        return jnp.sqrt((self.noise_variance if noisy else 0.0) + (self.adc.noise_rms * span) ** 2)

    @property
    def readout(self) -> Readout:
        """What of the reading is fixed when a product is compiled; the oscillator's shot noise is one of the noises."""
        return readout_of(self, self.input_dac.bits, shot_noise=False, constant_noise=self.receiver.shot_noise)

    @property
    def macs_per_cycle(self) -> int:
        """See `AbstractTile.macs_per_cycle`."""
        return self.rows * self.columns

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
        return self.input_dac.bits, self.phase_shifter.bits, self.adc.bits

    @property
    def devices(self) -> Devices:
        """See `AbstractTile.devices`: its cells are phase shifters."""
        return Devices(self.rows, self.phase_shifters, receivers=self.columns, readouts=self.columns)

    @property
    def reload(self) -> Reload:
        """See `AbstractTile.reload`: all phases settle together, and light must wait."""
        return Reload(self.phase_shifter.response_time_s, False)

    def disturbances(self) -> tuple[Disturbance, ...]:
        """See `AbstractTile.disturbances`."""
        shifter = self.phase_shifter
        unequal = {"splitter_sigma_rad": 0.0, "splitter_error_rad": 0.0}
        paths = {"cell_loss_db": 0.0} if self.scheme == "reck" else {}  # the paths of a Clements mesh lose alike
        return (
            Disturbance("phase levels", bits_in_words(shifter.bits), {"phase_shifter.bits": "none"}),
            Disturbance("phase error", f"{shifter.phase_sigma_rad:.2e} rad", {"phase_shifter.phase_sigma_rad": 0.0}),
            Disturbance("thermal crosstalk", f"{shifter.crosstalk:g}", {"phase_shifter.crosstalk": 0.0}),
            Disturbance("splitters and paths", f"{self.splitter_sigma_rad:.2e} rad", unequal | paths),
            *reading_disturbances(self.input_dac, self.receiver, self.adc, self.die, self.photons_per_mac),
            intensity_disturbance(self.laser),
        )

    # Numbers

    def program(self, w: Float[Array, "*b k n"], cores: int = 1) -> Programmed:
        """Write (k, n) weights block by block into meshes, whose errors then belong to the weights.

        Block (t, j) sits in core `(t J + j) mod cores`. Gradients pass as if the mesh had been perfect.
        """
        misread = self.self_configured and is_on(self.splitter_error_rad)
        columns = self.die.landing(cores, self.columns, -(-w.shape[-2] // self.rows), w.shape[-1])
        return _program(self, w, columns, cores, misread)

    def compact(self, programmed: Programmed) -> Programmed:
        """See `AbstractTile.compact`: disturbed weights are real numbers, so they stay floats."""
        return programmed

    def matmul(self, x, programmed, key_data, engine="auto", row_offset=0):
        """See `AbstractTile.matmul`; engines are those of `engine.multiply`."""
        shared = shared_disturbances(self.laser, self.adc, self.die, self.clock_hz / 2)
        return multiply(x, programmed, self.readout, shared, key_data, row_offset, engine)

    # The bill

    def events(self, batch: int, m: int, k: int, n: int, stored_bits: StoredBits | None = None) -> EventCounts:
        """Counts of `batch` products (m, k) × (k, n): every mesh is set once, all its phases, for all m rows."""
        phases = -(-k // self.rows) * -(-n // self.columns) * self.phase_shifters
        input_bits, phase_bits = (stored_bits or self.operand_bits)[0], self.operand_bits[1]  # phases have no format
        return written_events((batch, m, k, n), (self.rows, self.columns), input_bits, phases, phases * phase_bits)


@functools.partial(jax.jit, static_argnames=("cores", "misread"))
def _program(tile: Mesh, w: Float[Array, "*b k n"], columns: DieColumns, cores: int, misread: bool) -> Programmed:
    """`program` on known physical columns, compiled as one piece."""
    blocks = _blocks(w, tile.rows, tile.columns)  # (..., t, j, r, c)
    wanted = compile_blocks(jax.lax.stop_gradient(blocks), tile.scheme)
    made = _made(tile, wanted, cores, misread)
    scale = wanted.scale[..., None, None]
    exact = jnp.where(scale > 0, blocks / jnp.where(scale > 0, scale, 1.0), 0.0)
    n = w.shape[-1]
    levels = _side_by_side(straight_through(exact, made))[..., :n]  # (..., t, r, n)
    scales = jnp.repeat(wanted.scale, tile.columns, axis=-1)[..., :n]  # (..., t, n)
    return set_readout(
        levels,
        scales,
        tile.adc.full_scale(tile.rows, jax.lax.stop_gradient(levels)),
        float(full_scale_code(tile.input_dac.bits)),
        tile.adc,
        columns,
        variance=jnp.asarray(tile.noise_variance, w.dtype),
    )


def _blocks(w: Float[Array, "*b k n"], rows: int, columns: int) -> Float[Array, "*b t j r c"]:
    """A matrix cut into blocks of rows and columns, filled up with zeros."""
    cut = split_blocks(split_blocks(w, rows, axis=-2), columns, axis=-1)  # (..., t, r, j, c)
    return jnp.swapaxes(cut, -3, -2)


def _side_by_side(blocks: Float[Array, "*b t j r c"]) -> Float[Array, "*b t r jc"]:
    """The blocks of a row of tiles, joined again."""
    joined = jnp.swapaxes(blocks, -3, -2)
    return joined.reshape(*joined.shape[:-2], -1)


def compile_blocks(blocks: Float[Array, "*b r c"], scheme: str) -> MeshSettings:
    """The settings that make `y = x @ block` of each block, found on the host. Not differentiable."""
    rows, columns = blocks.shape[-2:]
    lead, dtype = blocks.shape[:-2], blocks.dtype

    def phases(modes: int) -> MeshPhases:
        layout = mesh_layout(modes, scheme)
        cells = jnp.zeros((*lead, layout.depth, layout.pairs), dtype)
        return MeshPhases(cells, cells, jnp.zeros((*lead, modes), dtype))

    def settings() -> MeshSettings:
        gains = jnp.zeros((*lead, min(rows, columns)), dtype)
        return MeshSettings(phases(rows), phases(columns), gains, jnp.zeros(lead, dtype))

    result = jax.eval_shape(settings)
    return jax.pure_callback(
        functools.partial(_compile_on_host, scheme=scheme), result, blocks, vmap_method="broadcast_all"
    )


def _compile_on_host(blocks, scheme: str) -> MeshSettings:
    """Singular value decomposition, then the phases of both unitaries, in float64.

    A block that holds a NaN or an infinity has the scale NaN, and one of nothing but zeros the scale 0.
    """
    given = np.asarray(blocks)
    finite = np.asarray(np.isfinite(given).all(axis=(-2, -1)))
    matrix = np.where(finite[..., None, None], given, 0).astype(np.float64)
    u, s, vh = np.linalg.svd(np.swapaxes(matrix, -2, -1))  # column vectors of light: the transposed block
    scale = np.where(s[..., 0] < SMALLEST_SCALE, 0.0, s[..., 0])
    gains = np.where(scale[..., None] > 0, s / np.where(scale > 0, scale, 1.0)[..., None], 0.0)
    settings = MeshSettings(decompose(vh, scheme), decompose(u, scheme), gains, np.where(finite, scale, np.nan))
    return jax.tree.map(lambda values: np.asarray(values, given.dtype), settings)


class FabricatedTile(eqx.Module):
    """The deviates of one physical tile: both meshes, the attenuators between them, and what is known wrong of both."""

    before: Fabrication
    after: Fabrication
    attenuators: Float[Array, "*b s"]
    misread: tuple[SplitterErrors, SplitterErrors] | None


def _fabricated(tile: Mesh, cores: int, misread: bool) -> FabricatedTile:
    """The tiles of a die, by core."""
    keys = jax.random.split(jax.random.fold_in(jax.random.key(tile.die.seed), 1), 3)
    known = None
    if misread:
        other = jax.random.split(keys[2])
        modes = (tile.rows, tile.columns)
        drawn = [draw_fabrication(key, n, tile.scheme, (cores,)) for key, n in zip(other, modes, strict=True)]
        known = (drawn[0].splitters, drawn[1].splitters)
    return FabricatedTile(
        draw_fabrication(keys[0], tile.rows, tile.scheme, (cores,)),
        draw_fabrication(keys[1], tile.columns, tile.scheme, (cores,)),
        jax.random.normal(keys[2], (cores, min(tile.rows, tile.columns))),
        known,
    )


def _made(tile: Mesh, wanted: MeshSettings, cores: int, misread: bool) -> Float[Array, "*b t j r c"]:
    """The blocks, over their scales, that the meshes of their cores really make."""
    lead = wanted.scale.shape
    flat = jax.tree.map(lambda values: values.reshape(-1, *values.shape[len(lead) :]), wanted)
    blocks = lead[-2] * lead[-1]
    core = np.tile(np.arange(blocks) % cores, flat.scale.shape[0] // blocks)
    fabricated = jax.tree.map(lambda values: values[core], _fabricated(tile, cores, misread))
    made = jax.vmap(functools.partial(_through_the_mesh, tile))(flat, fabricated)
    return made.reshape(*lead, tile.rows, tile.columns)


def _through_the_mesh(tile: Mesh, wanted: MeshSettings, fabricated: FabricatedTile) -> Float[Array, "r c"]:
    """Transfer matrix of one block, inputs by outputs, as the in-phase fields that homodyne detection reads.

    The loss of all its cells is taken out: it is counted in `Mesh.input_power_w`.
    """
    misread = fabricated.misread or (None, None)
    before = _unitary(tile, wanted.before, fabricated.before, misread[0])
    after = _unitary(tile, wanted.after, fabricated.after, misread[1])
    angles = tile.phase_shifter.set_phases(2 * jnp.arcsin(jnp.minimum(wanted.gains, 1.0)), fabricated.attenuators)
    gains = jnp.sin(angles / 2).astype(before.dtype)
    return jnp.matmul(after[:, : gains.size] * gains, before[: gains.size], precision="highest").real.T


def _unitary(
    tile: Mesh, phases: MeshPhases, fabricated: Fabrication, misread: SplitterErrors | None
) -> Complex[Array, "n n"]:
    modes = phases.psi.shape[-1]
    errors = fabricated.splitter_errors(tile.splitter_sigma_rad)
    if tile.self_configured:
        known = errors
        if misread is not None:
            known = jax.tree.map(lambda error, wrong: error + tile.splitter_error_rad * wrong, errors, misread)
        phases = self_configure(phases, known, tile.scheme)
    phases = turn_shifters(phases, tile.phase_shifter, fabricated.shifters)
    matrix = mesh_matrix_fast(cell_blocks(phases, errors, tile.scheme, tile.cell_loss_db), jnp.asarray(phases.psi))
    lost = tile.cell_loss_db * mesh_layout(modes, tile.scheme).depth
    return matrix * jnp.sqrt(ratio_from_db(lost)).astype(matrix.dtype)
