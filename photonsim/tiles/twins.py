"""Each compiled kernel beside its twin, the JAX function that defines it: the table that drives tests and benchmarks.

A kernel may differ from its twin by a number of float32 roundings, 2^-24, of a magnitude, and the table says which and
where the number comes from. Zero means every bit. That holds while the integer sums of a tile are below 2^24, where
every order of summation gives the same float32.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import numpy as jnp
from photonsim_kernels import crossbar, mesh_product, residue_product, ring_banks
from photonsim_kernels import noise as kernel_noise
from photonsim_kernels.generators import tile_key

from photonsim.converters import Adc, Dac
from photonsim.converters.residues import ResidueNumbers
from photonsim.devices import Laser, Modulator, Receiver, WeightCell
from photonsim.devices.directional_coupler import phasor
from photonsim.devices.mach_zehnder_interferometer import cell_matrix
from photonsim.devices.mesh import propagate
from photonsim.devices.microring import Microring, bank_drop
from photonsim.tiles import noise
from photonsim.tiles.base import AbstractTile
from photonsim.tiles.crossbar import Crossbar
from photonsim.tiles.fast import analog_matmul_fast
from photonsim.tiles.homodyne import Homodyne
from photonsim.tiles.partial_sums import Programmed, Readout, Shared, analog_matmul
from photonsim.tiles.patches import Window, gather_patches, patch_rows_host
from photonsim.tiles.remainders import Reading, ResidueProgrammed, sums_of_groups
from photonsim.tiles.sliced import Sliced

# Detector noise, shot noise, a disturbance that the columns of a tile share, one of the light that they share, and the
# noise of each weight at each reading (or, the same to the kernel, the shot noise of two live operands).
MODES = {
    "quantised": (False, False, False, False, False),
    "gaussian": (True, False, False, False, False),
    "shot": (True, True, False, False, False),
    "common": (True, True, True, False, False),
    "intensity": (False, False, False, True, False),
    "weight-noise": (True, False, False, False, True),
    "all": (True, True, True, True, True),
}
SHARED = np.array([0.7, 0.02], np.float32)  # common mode in codes, fluctuation of the light


class Twin(NamedTuple):
    """A kernel and its definition, called with the same `arguments()`, and how far their answers may differ.

    By `roundings` of `magnitude(arguments)`, which broadcasts with the answer.
    """

    kernel: Callable
    definition: Callable
    arguments: Callable[[], tuple[Any, ...]]
    roundings: int
    why: str
    magnitude: Callable[[tuple[Any, ...]], np.ndarray] | None = None


def draw_operands(m: int, k: int, n: int, tile: int, mode: str, bits: int | None = 8) -> list[np.ndarray]:
    """A random product in one of `MODES`, 8-bit weights, as `crossbar_matmul` takes it; the ADC's range is filled."""
    random = np.random.default_rng(0)
    blocks = -(-k // tile)
    levels = random.integers(-127, 128, (blocks, tile, n)).astype(np.int8)
    levels.reshape(-1, n)[k:] = 0
    columns = [random.uniform(0.5, 1.5, (blocks, n)).astype(np.float32) for _ in range(6)]
    columns[0] *= 127 / (127 * 127 * np.sqrt(tile))
    columns[3] /= 127 * 127 * tile
    columns[5] /= 127 * 127 * tile
    x = random.standard_normal((m, k)).astype(np.float32)
    values = crossbar.settings(bits, bits, tile, *MODES[mode])
    return [x, levels, *columns, np.array([1, 2], np.uint32), SHARED, values]


_compiled_definition = jax.jit(analog_matmul, static_argnums=2)
_gpu_kernel_interpreted = jax.jit(functools.partial(analog_matmul_fast, engine="pallas"), static_argnums=2)


def define(*operands: np.ndarray) -> jax.Array:
    """`analog_matmul`, compiled, of the operands of `crossbar_matmul`."""
    return _compiled_definition(*as_defined(*operands))


def interpret_gpu_kernel(*operands: np.ndarray) -> jax.Array:
    """The kernel for GPUs (on a CPU: interpreted by JAX), of the operands of `crossbar_matmul`."""
    return _gpu_kernel_interpreted(*as_defined(*operands))


def as_defined(*operands: np.ndarray) -> tuple[Any, ...]:
    """The operands of `crossbar_matmul` as those of `analog_matmul`."""
    x, levels, gain, offset, noise_variance, shot_variance, scale, square_variance, key, shared, values = operands
    input_bits, adc_bits, columns, *flags, row_offset = values.tolist()
    readout = Readout(input_bits or None, adc_bits or None, columns, *[bool(flag) for flag in flags])
    arrays = (levels, gain, offset, noise_variance, shot_variance, scale, square_variance)
    programmed = Programmed(*[jnp.asarray(array) for array in arrays])
    spreads = Shared(jnp.asarray(shared[0]), jnp.asarray(shared[1]))
    return jnp.asarray(x), programmed, readout, spreads, jnp.asarray(key), np.uint32(row_offset)


def magnitude_of_product(arguments: tuple[Any, ...]) -> np.ndarray:
    """Bound of the sum of the magnitudes of all terms of a product's answer, per element."""
    x, levels, gain, offset, _, _, scale = [np.abs(np.asarray(a, np.float64)) for a in arguments[:7]]
    blocks, rows, _ = levels.shape
    padded = np.pad(x, ((0, 0), (0, blocks * rows - x.shape[1]))).reshape(x.shape[0], blocks, rows)
    s_x = padded.max(axis=2) * (1 + 2.0**-8)
    light = np.einsum("mtr,trn,tn->mn", padded, levels, gain * scale)
    return light + np.einsum("mt,tn->mn", s_x, offset * scale)


def draw_mesh(modes: int, vectors: int) -> tuple[np.ndarray, ...]:
    """Blocks of a lossless mesh as deep as it is wide, with random phases; output phases; fields."""
    random = np.random.default_rng(0)
    theta, phi, alpha, beta = random.uniform(-3, 3, (4, modes, (modes + 1) // 2))
    fields = random.standard_normal((vectors, modes)) + 1j * random.standard_normal((vectors, modes))
    cells = cell_matrix(theta, phi, alpha, beta)
    return cells.astype(np.complex64), random.uniform(-3, 3, modes).astype(np.float32), fields.astype(np.complex64)


def _mesh_for_numpy(blocks: np.ndarray, psi: np.ndarray, fields: np.ndarray) -> np.ndarray:
    return mesh_product.propagate(blocks, phasor(psi), fields)


def _power(arguments: tuple[Any, ...]) -> np.ndarray:
    """The root of the power of each vector of light, which a lossless mesh keeps."""
    return np.linalg.norm(arguments[2], axis=-1, keepdims=True)


def _product(
    mode: str,
    bits: int | None = 8,
    roundings: int = 0,
    why: str = "integer sums below 2^24",
    kernel: Callable = crossbar.crossbar_matmul,
) -> Twin:
    arguments = functools.partial(draw_operands, 9, 70, 83, 32, mode, bits)
    return Twin(kernel, define, lambda: tuple(arguments()), roundings, why, magnitude_of_product)


def _tile_keys(key: np.ndarray, blocks: int) -> np.ndarray:
    return np.array([tile_key(*key, np.uint32(t)) for t in range(blocks)])


def draw_residues(m: int, k: int, n: int, group: int, reading: Reading) -> tuple[np.ndarray, ...]:
    """A random product of 5-bit codes in groups, and noise that misreads some remainders: operands of its kernel."""
    random = np.random.default_rng(0)
    groups = -(-k // group)
    codes, weights = [random.integers(-15, 16, shape) for shape in ((m, groups, group), (groups, group, n))]
    units, scales = [2.0 ** random.integers(-4, 5, shape) / 15 for shape in ((m, groups), (groups, n))]
    keys = random.integers(0, 2**32, (groups, 3, 3, 2), dtype=np.uint32)
    spreads = 0.06 * np.array([1, *reading.numbers.moduli])
    spreads[1:] *= reading.phase_noise
    settings = (reading.numbers.k, reading.adc_bits or 0, reading.noisy, reading.phase_noise, 7)
    arrays = [values.astype(np.float32) for values in (codes, units, weights, scales)]
    return (*arrays, keys, spreads.astype(np.float32), np.array(settings, np.int32))


_compiled_sums = jax.jit(sums_of_groups, static_argnums=0)


def define_residues(*operands: np.ndarray) -> jax.Array:
    """`sums_of_groups`, compiled, of the operands of `residue_product.residue_matmul`."""
    codes, units, weights, scales, keys, spreads, settings = [jnp.asarray(values) for values in operands]
    k, bits, noisy, phase_noise, row_offset = settings.tolist()
    reading = Reading(ResidueNumbers(k), bits or None, bool(noisy), bool(phase_noise))
    return _compiled_sums(reading, codes, units, ResidueProgrammed(weights, scales), keys, spreads, row_offset)


RING = Microring(1550e-9, 1e4)
SPACING_M = 1e-9
_compiled_banks = jax.jit(bank_drop)


def draw_banks(rings: int, banks: int) -> tuple[np.ndarray, ...]:
    """Detunings of up to half the spacing, m."""
    return (np.random.default_rng(0).uniform(0, SPACING_M / 2, (rings, banks)).astype(np.float32),)


def define_banks(detunings_m: np.ndarray) -> jax.Array:
    """`bank_drop`, compiled, of `RING`."""
    return _compiled_banks(RING, SPACING_M, detunings_m)


def _drop_banks(detunings_m: np.ndarray) -> np.ndarray:
    return ring_banks.bank_drop(detunings_m, np.array([SPACING_M, RING.fwhm_m]))


WINDOW = Window((5, 3), (3, 2), (2, 3), (1, 2), (1, 1), (1, 2))


def draw_patches(first: int, count: int) -> tuple[np.ndarray, int, int]:
    """Images of 3 channels and 9 × 7 pixels, and which of the rows of their patches."""
    return np.random.default_rng(0).standard_normal((2, 3, 9, 7)).astype(np.float32), first, count


READINGS = {
    "quiet": Reading(ResidueNumbers(5), None, False, False),
    "converters": Reading(ResidueNumbers(5), 5, False, False),
    "noise": Reading(ResidueNumbers(5), 5, True, False),
    "phase errors": Reading(ResidueNumbers(5), None, True, True),
}
_PARTS = {
    "clock_hz": 5e9,
    "insertion_loss_db": 3.0,
    "laser": Laser(power_w=1e-3, wall_plug_efficiency=0.2, wavelength_m=1550e-9),
    "input_dac": Dac(5, 1e-12),
    "modulator": Modulator(1e-14),
    "receiver": Receiver(responsivity_a_per_w=1.0, energy_j=1e-13),
    "adc": Adc(8, 2e-12),
}
_CELL = WeightCell(bits=5, write_energy_j=3e-12, tile_write_time_s=1e-8)
TILES = {
    "both operands live": Homodyne(rows=4, columns=8, integration_steps=32, weight_dac=Dac(5, 1e-12), **_PARTS),
    "bit-sliced": Sliced(Crossbar(rows=16, columns=8, cell=_CELL, **_PARTS), 8, 8),
}


def multiply_on_tile(tile: AbstractTile, engine: str, x: np.ndarray, w: np.ndarray) -> jax.Array:
    """`x @ w` on a tile, which is given both: the weights are quantised in the same call."""
    return tile.matmul(jnp.asarray(x), tile.program(jnp.asarray(w), 1), jnp.asarray(KEY), engine, 0)


def draw_matrices(m: int, k: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Two random matrices."""
    random = np.random.default_rng(0)
    return random.standard_normal((m, k)).astype(np.float32), random.standard_normal((k, n)).astype(np.float32)


KEY = np.array([3, 2**31 + 5], np.uint32)
TWINS = {
    "tile_key": Twin(_tile_keys, noise.tile_keys, lambda: (KEY, 9), 0, "integers"),
    "gaussian_deviates": Twin(
        kernel_noise.gaussian_deviates,
        jax.jit(noise.gaussian_deviates, static_argnums=(1, 2)),
        lambda: (KEY, 21, 133, 7),
        0,
        "one product in each addition, so one way to fuse it",
    ),
    **{
        f"shared_deviates, {name}": Twin(
            functools.partial(kernel_noise.shared_deviates, domain=domain),
            jax.jit(functools.partial(noise.shared_deviates, domain=domain), static_argnums=(1, 2, 3)),
            lambda: (KEY, 21, 133, 64, 7),
            0,
            "one product in each addition, so one way to fuse it",
        )
        for name, domain in (("common mode", noise.COMMON_MODE), ("intensity", noise.INTENSITY))
    },
    **{f"crossbar_matmul, {mode}": _product(mode) for mode in MODES},
    "crossbar_matmul, ideal converters": _product(
        "quantised",
        None,
        2 * (32 + 3 + 4),
        "two float32 sums of R = 32 terms and T = 3 tiles, in an order that XLA chooses",
    ),
    **{
        f"analog_matmul_on_gpu, {mode}": _product(mode, kernel=interpret_gpu_kernel)
        for mode in ("quantised", "gaussian", "shot", "all")
    },
    **{
        f"residue_matmul, {name}": Twin(
            residue_product.residue_matmul,
            define_residues,
            functools.partial(draw_residues, 9, 70, 83, 16, reading),
            0,
            "integer sums below 2^24, and one product in each addition after them",
        )
        for name, reading in READINGS.items()
    },
    **{
        f"crossbar_matmul, {name}": Twin(
            functools.partial(multiply_on_tile, tile, "numba"),
            functools.partial(multiply_on_tile, tile, "jax"),
            lambda: draw_matrices(9, 70, 43),
            0,
            "integer sums below 2^24",
        )
        for name, tile in TILES.items()
    },
    "patch_rows.patch_rows": Twin(
        functools.partial(patch_rows_host, WINDOW),
        lambda images, first, count: gather_patches(WINDOW, count, jnp.asarray(images), first),
        lambda: draw_patches(4, 29),
        0,
        "copies",
    ),
    "ring_banks.bank_drop": Twin(
        _drop_banks,
        define_banks,
        lambda: draw_banks(13, 70),
        10 * (13 + 1),
        "13 shares that err by 5 roundings, in either: two of the distance, which count 2.5 times, and of the share",
        lambda arguments: np.ones(()),
    ),
    "mesh_product.propagate": Twin(
        _mesh_for_numpy,
        propagate,
        lambda: draw_mesh(13, 21),
        2 * 8 * (13 + 1),
        "13 layers and the output phases, whose sums of four products err by 8 roundings of the light's root, twice",
        _power,
    ),
}
