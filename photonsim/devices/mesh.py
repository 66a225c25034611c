"""A mesh of Mach–Zehnder interferometers: any unitary matrix, as light passing from cell to cell.

A cell mixes two neighbouring waveguides of N. Nulling the elements of a unitary U one after another with cells, as QR
does with Givens rotations, writes it as a product of N(N−1)/2 of them and one layer of output phases:

    U = diag(e^{iψ}) M_K ⋯ M₂ M₁          M₁ meets the light first

- `"clements"` (Clements et al., Optica 3:1460, 2016) nulls from both sides: a rectangle, N deep, equal for all paths;
- `"reck"` (Reck et al., PRL 73:58, 1994) nulls from one side: a triangle 2N − 3 cells deep, unequal.

The cells of a layer do not touch, so a layer is one block-diagonal matrix of 2 × 2 blocks: light passes it in O(N)
operations and the mesh in O(N²), without U ever being formed. Cells begin at even waveguides in even layers, at odd
ones in odd layers: arrays are (layers, N // 2 rounded up, …), and a place without a cell is two straight waveguides.

Finding the phases is the work of a compiler, once per matrix: NumPy in float64. What light makes of them, errors
included, is JAX and can be mapped over and differentiated.
"""

import functools
from typing import NamedTuple

import equinox as eqx
import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Complex, Float, PRNGKeyArray

from photonsim.devices.directional_coupler import phasor
from photonsim.devices.mach_zehnder_interferometer import cell_matrix, fit_cell
from photonsim.devices.phase_shifter import PhaseShifter
from photonsim.errors import PhotonsimError, check_choice, check_count
from photonsim.units import ratio_from_db

SCHEMES = ("clements", "reck")
UNITARY_TOLERANCE = 1e-6  # of the largest element of U U† − 1


class MeshLayout(NamedTuple):
    """Where the cells of a mesh of N `modes` sit: (layer, upper waveguide) of each, in the order of light."""

    modes: int
    depth: int
    cells: tuple[tuple[int, int], ...]

    @property
    def pairs(self) -> int:
        """Places in a layer."""
        return (self.modes + 1) // 2

    @property
    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """Layer of each cell and its place within it."""
        layers, upper = np.array(self.cells, int).reshape(-1, 2).T
        return layers, upper // 2

    @property
    def occupied(self) -> np.ndarray:
        """Whether a place holds a cell, (layers, pairs)."""
        mask = np.zeros((self.depth, self.pairs), bool)
        mask[self.places] = True
        return mask


class MeshPhases(eqx.Module):
    """The settings of a mesh: θ and φ of every place, ψ of every output; rad. Any leading batch axes."""

    theta: Float[Array, "*b l p"] | Float[np.ndarray, "*b l p"]
    phi: Float[Array, "*b l p"] | Float[np.ndarray, "*b l p"]
    psi: Float[Array, "*b n"] | Float[np.ndarray, "*b n"]


class SplitterErrors(eqx.Module):
    """How far the first and second splitter of every place are from equal; rad."""

    alpha: Float[Array, "*b l p"]
    beta: Float[Array, "*b l p"]


class _Nulling(NamedTuple):
    """One step of a decomposition: a cell on waveguides `upper` and `upper + 1` nulls U[row, column] from one side."""

    from_left: bool
    row: int
    column: int
    upper: int


def _nulling_steps(modes: int, scheme: str) -> list[_Nulling]:
    if scheme == "reck":
        return [_Nulling(False, r, c, c) for r in range(modes - 1, 0, -1) for c in range(r)]
    steps = []
    for i in range(modes - 1):
        for j in range(i + 1):
            if i % 2 == 0:
                steps.append(_Nulling(False, modes - 1 - j, i - j, i - j))
            else:
                row = modes - 1 - i + j
                steps.append(_Nulling(True, row, j, row - 1))
    return steps


@functools.cache
def mesh_layout(modes: int, scheme: str = "clements") -> MeshLayout:
    """The layout of a mesh: every cell in the first layer that the cells before it leave free."""
    check_count("modes", modes)
    check_choice("scheme", scheme, SCHEMES)
    steps = _nulling_steps(modes, scheme)
    order = [s.upper for s in steps if not s.from_left] + [s.upper for s in reversed(steps) if s.from_left]
    free = [0] * modes
    cells = []
    for upper in order:
        layer = max(free[upper], free[upper + 1])
        layer += (layer - upper) % 2  # cells begin at even waveguides in even layers
        free[upper] = free[upper + 1] = layer + 1
        cells.append((layer, upper))
    return MeshLayout(modes, max((layer + 1 for layer, _ in cells), default=0), tuple(cells))


def decompose(unitary: Complex[np.ndarray, "*b n n"], scheme: str = "clements") -> MeshPhases:
    """Phases of the mesh that makes a unitary matrix (or each of a batch); float64 NumPy arrays.

    Refuses a matrix that no lossless mesh makes. Error of the result: rounding, about 1e-14 √N.
    """
    u = np.array(unitary, np.complex128)
    modes = u.shape[-1]
    layout = mesh_layout(modes, scheme)
    _check_unitary(u)
    settings, left = [], []
    none = np.zeros(u.shape[:-2])
    for step in _nulling_steps(modes, scheme):
        pair = slice(step.upper, step.upper + 2)
        if step.from_left:
            cell = _null_from_left(u[..., step.row - 1, step.column], u[..., step.row, step.column], none)
            u[..., pair, :] = cell @ u[..., pair, :]
            left.append((pair, cell))
        else:
            theta, phi, cell = _null_from_right(u[..., step.row, step.column], u[..., step.row, step.column + 1], none)
            u[..., :, pair] = u[..., :, pair] @ _dagger(cell)
            settings.append((theta, phi))
    diagonal = np.diagonal(u, axis1=-2, axis2=-1).copy()
    for pair, cell in reversed(left):  # M† D = D' M': the output phases move to the end of the mesh
        theta, phi, turn = fit_cell(_dagger(cell) * diagonal[..., None, pair], none, none)
        diagonal[..., pair] = phasor(turn)
        settings.append((theta, phi))
    return _place(layout, settings, np.angle(diagonal))


def _null_from_right(u0, u1, none):
    """Phases and matrix of the cell M with `(u₀, u₁) M† = (0, …)`."""
    theta, phi = 2 * np.arctan2(np.abs(u1), np.abs(u0)), np.angle(-u0 * np.conj(u1))
    return theta, phi, cell_matrix(theta, phi, none, none)


def _null_from_left(u0, u1, none):
    """The cell M with `M (u₀, u₁)ᵀ = (…, 0)ᵀ`."""
    return cell_matrix(2 * np.arctan2(np.abs(u0), np.abs(u1)), np.angle(u1 * np.conj(u0)), none, none)


def _dagger(matrix):
    return np.conj(np.swapaxes(matrix, -1, -2))


def _place(layout: MeshLayout, settings: list, psi: np.ndarray) -> MeshPhases:
    """Phases in the order of light, as the (layers, pairs) arrays of a mesh; places without a cell hold zeros."""
    arrays = np.zeros((2, *psi.shape[:-1], layout.depth, layout.pairs))
    if settings:
        layers, pairs = layout.places
        arrays[..., layers, pairs] = np.moveaxis(np.array(settings), (0, 1), (-1, 0))
    return MeshPhases(arrays[0], arrays[1], psi)


def _check_unitary(u: np.ndarray) -> None:
    gain = float(np.linalg.norm(u, 2, axis=(-2, -1)).max())
    check_passive(gain)
    error = np.abs(u @ _dagger(u) - np.eye(u.shape[-1])).max()
    if not error <= UNITARY_TOLERANCE:
        raise PhotonsimError(
            f"The matrix is not unitary (U U† differs from 1 by {error:.2g}), and a lossless mesh makes nothing else. "
            "Split it first: u, s, vh = numpy.linalg.svd(matrix)."
        )


def check_passive(gain: float) -> None:
    """Refuse more light out than in; `gain` is a largest singular value."""
    if gain > 1 + UNITARY_TOLERANCE:
        raise PhotonsimError(
            f"gain {gain:.3g} in a passive mesh: interferometers divide light and do not amplify it. "
            "Scale the matrix by its largest singular value and multiply the result by it."
        )


@functools.partial(jax.jit, static_argnames="scheme")
def cell_blocks(phases: MeshPhases, errors: SplitterErrors, scheme: str, loss_db=0.0) -> Complex[Array, "*b l p 2 2"]:
    """The 2 × 2 matrices of all places of a mesh; those without a cell are identities.

    `loss_db` is the loss of one cell. In a Clements mesh, waveguides at the rim hold cells that do nothing, so that all
    paths lose alike; in a Reck mesh, a path loses what its own cells do.
    """
    layout = mesh_layout(phases.psi.shape[-1], scheme)
    cells = cell_matrix(phases.theta, phases.phi, errors.alpha, errors.beta)
    straight = jnp.eye(2, dtype=cells.dtype)
    passed = jnp.sqrt(1 / ratio_from_db(loss_db)).astype(cells.dtype)
    empty = straight if scheme == "reck" else straight * passed
    return jnp.where(layout.occupied[..., None, None], cells * passed, empty)


@jax.jit
def propagate(
    blocks: Complex[Array, "l p 2 2"], psi: Float[Array, " n"], fields: Complex[Array, "*b n"]
) -> Complex[Array, "*b n"]:
    """Amplitudes behind a mesh for amplitudes before it: layer after layer, O(N²) per vector."""
    modes = fields.shape[-1]
    width = 2 * blocks.shape[-3]
    padding = [(0, 0)] * (fields.ndim - 1) + [(0, width - modes)]

    def pass_layer(light, layer):
        parity, cells = layer
        light = jnp.roll(light, -parity, axis=-1)
        pairs = light.reshape(*light.shape[:-1], -1, 2)
        light = jnp.einsum("pij,...pj->...pi", cells, pairs, precision="highest").reshape(light.shape)
        return jnp.roll(light, parity, axis=-1), None

    layers = (jnp.arange(blocks.shape[0]) % 2, blocks)
    light, _ = jax.lax.scan(pass_layer, jnp.pad(fields, padding).astype(blocks.dtype), layers)
    return light[..., :modes] * phasor(psi)


@jax.jit
def mesh_matrix(blocks: Complex[Array, "*b l p 2 2"], psi: Float[Array, "*b n"]) -> Complex[Array, "*b n n"]:
    """The matrix U of a mesh, `fields ↦ U fields`, by sending light into each input."""
    if psi.ndim > 1:
        return jax.vmap(mesh_matrix)(blocks, psi)
    return propagate(blocks, psi, jnp.eye(psi.shape[-1], dtype=blocks.dtype)).T


class Fabrication(eqx.Module):
    """One fabricated mesh: a standard normal deviate for each of its splitters and of its phase shifters."""

    splitters: SplitterErrors
    shifters: MeshPhases

    def splitter_errors(self, sigma_rad) -> SplitterErrors:
        """Its splitters, with coupling angles of standard deviation `sigma_rad` around π/4."""
        return jax.tree.map(lambda deviate: sigma_rad * deviate, self.splitters)


def draw_fabrication(key: PRNGKeyArray, modes: int, scheme: str, copies: tuple[int, ...] = ()) -> Fabrication:
    """Fabricated meshes, from one key: each array has the leading axes `copies`."""
    layout = mesh_layout(modes, scheme)
    places = layout.depth * layout.pairs
    deviates = jax.random.normal(key, (*copies, 4 * places + modes))  # one draw: XLA takes long to compile each
    arrays = [
        deviates[..., i * places : (i + 1) * places].reshape(*copies, layout.depth, layout.pairs) for i in range(4)
    ]
    return Fabrication(SplitterErrors(*arrays[:2]), MeshPhases(arrays[2], arrays[3], deviates[..., 4 * places :]))


def draw_splitter_errors(key: PRNGKeyArray, modes: int, scheme: str, sigma_rad) -> SplitterErrors:
    """Splitters of one fabricated mesh: coupling angles normal around π/4."""
    return draw_fabrication(key, modes, scheme).splitter_errors(sigma_rad)


@functools.partial(jax.jit, static_argnames="scheme")
def self_configure(phases: MeshPhases, errors: SplitterErrors, scheme: str) -> MeshPhases:
    """Phases that make the mesh with its unequal splitters do what `phases` do in a perfect one.

    Layer by layer, in the order of light: each cell takes the phases with which it divides light as wanted, and hands
    the phases of its outputs on to the next (Bandyopadhyay, Hamerly and Englund, Optica 8:1247, 2021). Exact, unless a
    cell is asked for a division that its splitters do not reach; then the nearest. The splitters must be known, from
    measurement by the mesh itself. One mesh: map over batches.
    """
    modes, dtype = phases.psi.shape[-1], phases.theta.dtype
    layout = mesh_layout(modes, scheme)
    ideal = cell_matrix(phases.theta, phases.phi, jnp.zeros_like(phases.theta), jnp.zeros_like(phases.theta))
    width = 2 * layout.pairs

    def configure_layer(turn, layer):
        parity, cells, occupied, alpha, beta = layer
        pairs = jnp.roll(turn, -parity).reshape(-1, 2)
        theta, phi, out = fit_cell(cells * phasor(pairs)[:, None, :], alpha, beta)
        out = jnp.where(occupied[:, None], out, pairs)
        keep = lambda values: jnp.where(occupied, values, 0.0)  # noqa: E731
        return jnp.roll(out.reshape(width), parity), (keep(theta), keep(phi))

    layers = (jnp.arange(layout.depth) % 2, ideal, jnp.asarray(layout.occupied), errors.alpha, errors.beta)
    turn, (theta, phi) = jax.lax.scan(configure_layer, jnp.zeros(width, dtype), layers)
    return MeshPhases(theta, phi, phases.psi + turn[:modes])


@jax.jit
def turn_shifters(phases: MeshPhases, shifter: PhaseShifter, deviates: MeshPhases) -> MeshPhases:
    """The phases that real shifters take: rounded, wrong by a little, and warmed by the others of their layer."""
    phases = jax.tree.map(shifter.set_phases, phases, deviates)
    theta, phi = (shifter.heat_neighbours(jnp.asarray(each)) for each in (phases.theta, phases.phi))
    return MeshPhases(theta, phi, phases.psi)
