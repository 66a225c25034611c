"""Devices: phases, interferometer meshes, phase-change cells."""

import functools
import math

import jax
import numpy as np
from jax import numpy as jnp

from photonsim.devices.mach_zehnder_interferometer import (
    cell_matrix,
    phase_noise_mean,
    phase_noise_standard_deviation,
)
from photonsim.devices.mesh import (
    SplitterErrors,
    cell_blocks,
    decompose,
    draw_splitter_errors,
    mesh_layout,
    mesh_matrix,
    propagate,
    self_configure,
)
from photonsim.devices.pcm import PcmCell
from photonsim.evaluate.reproduce.row import Row

MODES = range(2, 17)
CELLS = 40_000
MESHES = 20


def haar(modes: int, count: int) -> np.ndarray:
    """Unitaries drawn evenly, (count, modes, modes): QR of complex normal matrices, R's phases taken out."""
    generator = np.random.default_rng(modes)
    shape = (count, modes, modes)
    q, r = np.linalg.qr(generator.normal(size=shape) + 1j * generator.normal(size=shape))
    diagonal = np.einsum("bii->bi", r)
    return q * (diagonal / abs(diagonal))[:, None, :]


def reconstruction(scheme: str) -> float:
    """`1 − ‖ΔU‖_F / √N` of the worst of Haar unitaries of 2 to 16 modes, multiplied up cell by cell in float64."""
    return min(1 - _distance(_multiplied_up(unitary, scheme), unitary) for n in MODES for unitary in haar(n, 1))


def _multiplied_up(unitary: np.ndarray, scheme: str) -> np.ndarray:
    phases, layout = decompose(unitary, scheme), mesh_layout(len(unitary), scheme)
    made = np.eye(len(unitary), dtype=complex)
    for layer, upper in layout.cells:
        place = layer, upper // 2
        cell = cell_matrix(phases.theta[place], phases.phi[place], np.float64(0), np.float64(0))
        made[upper : upper + 2] = cell @ made[upper : upper + 2]
    return np.exp(1j * phases.psi)[:, None] * made


def _distance(made: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.linalg.norm(made - wanted) / math.sqrt(len(wanted)))


def self_configured(modes: int = 8, sigma_rad: float = 0.02) -> float:
    """`1 − ‖ΔU‖_F / √N`, the median of meshes whose splitter angles are wrong, after self-configuration."""
    distances = []
    with jax.enable_x64(True):
        for unitary, key in zip(haar(modes, MESHES), jax.random.split(jax.random.key(1), MESHES), strict=True):
            errors = draw_splitter_errors(key, modes, "clements", sigma_rad)
            phases = self_configure(jax.tree.map(jnp.asarray, decompose(unitary)), errors, "clements")
            made = mesh_matrix(cell_blocks(phases, errors, "clements"), phases.psi)
            distances.append(_distance(np.asarray(made), unitary))
    return 1 - float(np.median(distances))


def power_kept(modes: int = 16) -> float:
    """Power behind a lossless mesh over power before it, of random light."""
    phases = jax.tree.map(lambda v: jnp.asarray(v, jnp.float32), decompose(haar(modes, 1)[0]))
    perfect = SplitterErrors(jnp.zeros_like(phases.theta), jnp.zeros_like(phases.theta))
    generator = np.random.default_rng(0)
    light = jnp.asarray(generator.normal(size=(8, modes)) + 1j * generator.normal(size=(8, modes)), jnp.complex64)
    out = propagate(cell_blocks(phases, perfect, "clements"), phases.psi, light)
    return float(np.sum(np.abs(np.asarray(out)) ** 2) / np.sum(np.abs(np.asarray(light)) ** 2))


@functools.cache
def programming_spread_us(g: float) -> float:
    """Standard deviation of written cells, µS."""
    cell = PcmCell()
    return cell.conductance_max_us * float(np.std(np.asarray(cell.program(jnp.full(CELLS, g), jax.random.key(0)))))


def drift_exponent(g: float) -> float:
    """Mean exponent of drifting cells, from their conductances after a day."""
    day_s = 86_400.0
    kept = PcmCell().drift(jnp.full(CELLS, g), day_s, jax.random.key(1)) / g
    return float(-jnp.log(kept).mean() / math.log(day_s / 20))


def read_spread(g: float, time_s: float) -> float:
    """Standard deviation of readings over the conductance they read."""
    conductance = jnp.full(CELLS, g)
    return float(np.std(np.asarray(PcmCell().read(conductance, conductance, time_s, jax.random.key(2)))) / g)


PHASES = "E cos φ = exp(−σ²/2), sd (1 − exp(−σ²))/√2"
IBM = "IBM aihwkit, inference/noise/pcm.py"
BANDYOPADHYAY = "Bandyopadhyay et al., Optica 8:1247 (2021)"
MONTE_CARLO = f"4 standard errors of {CELLS:,} cells"
PRINTED = "half a unit of the last printed digit"


def _row(name, what, unit, ours, published, tolerance, reason, source, note="") -> Row:
    return Row(f"devices/{name}", what, unit, ours, published, tolerance, reason, source, note)


def _phase(degrees: float, mean: float, spread: float) -> list[Row]:
    sigma = math.radians(degrees)
    what = f"cos φ, phase noise of {degrees:g}°"
    return [
        _row(
            f"phase-mean-{degrees:g}",
            f"mean of {what}",
            "1",
            lambda: phase_noise_mean(sigma),
            mean,
            6e-7,
            PRINTED,
            PHASES,
        ),
        _row(
            f"phase-sd-{degrees:g}",
            f"standard deviation of {what}",
            "1",
            lambda: phase_noise_standard_deviation(sigma),
            spread,
            6e-4,
            PRINTED,
            PHASES,
        ),
    ]


def _mesh(scheme: str, depth: int, source: str) -> list[Row]:
    layout = mesh_layout(16, scheme)
    return [
        _row(
            f"{scheme}-cells",
            f"cells of 16 modes, {scheme}",
            "1",
            lambda: len(layout.cells),
            120,
            0.0,
            "a count",
            source,
        ),
        _row(
            f"{scheme}-depth", f"layers of 16 modes, {scheme}", "1", lambda: layout.depth, depth, 0.0, "a count", source
        ),
        _row(
            f"{scheme}-haar",
            f"1 − ‖ΔU‖/√N, worst of N = 2 … 16, {scheme}",
            "1",
            lambda: reconstruction(scheme),
            1.0,
            1e-6,
            "the bound asked for; rounding leaves 1e-14",
            source,
        ),
    ]


ROWS: tuple[Row, ...] = (
    *_phase(2, 0.999391, 0.000861),
    *_phase(7, 0.992565, 0.010476),
    *_mesh("clements", 16, "Clements et al., Optica 3:1460 (2016): N(N−1)/2 cells, depth N"),
    *_mesh("reck", 29, "Reck et al., PRL 73:58 (1994): N(N−1)/2 cells, depth 2N − 3"),
    _row(
        "self-configuration",
        "1 − ‖ΔU‖/√N, splitters off by 0.02, N = 8",
        "1",
        self_configured,
        1.0,
        1e-3,
        "the bound asked for",
        BANDYOPADHYAY,
        "The median of 20 meshes: a cell asked for what its splitters cannot reach stays wrong in a few of them.",
    ),
    _row(
        "power",
        "power kept by a lossless mesh, N = 16",
        "1",
        power_kept,
        1.0,
        1e-5,
        "16 layers in float32",
        "unitarity",
    ),
    *(
        _row(
            f"pcm-programming-{g:g}",
            f"spread of cells written to {g:g} of 25 µS",
            "µS",
            lambda g=g: programming_spread_us(g),
            spread_us,
            4 / math.sqrt(2 * CELLS),
            MONTE_CARLO,
            IBM,
        )
        for g, spread_us in ((0.5, 0.952705), (1.0, 1.05538))
    ),
    *(
        _row(
            f"pcm-drift-{g:g}",
            f"drift exponent at {g:g}",
            "1",
            lambda g=g: drift_exponent(g),
            mean,
            4 * spread / mean / math.sqrt(CELLS),
            MONTE_CARLO,
            IBM,
        )
        for g, mean, spread in ((0.1, 0.0600901, 0.0228823), (0.5, 0.049, 0.008))
    ),
    *(
        _row(
            f"pcm-read-{g:g}",
            f"read noise after an hour at {g:g}, relative",
            "1",
            lambda g=g: read_spread(g, 3600.0),
            q * math.sqrt(math.log((3600 + 250e-9) / 500e-9)),
            4 / math.sqrt(2 * CELLS),
            MONTE_CARLO,
            IBM,
        )
        for g, q in ((0.25, 0.0088 / 0.25**0.65), (1.0, 0.0088))
    ),
)
