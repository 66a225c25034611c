"""How signs travel through a crossbar, whose intensities are positive. Four ways, each with a price of its own.

    differential   a value is light on a plus or on a minus rail; the rails' photocurrents are subtracted
    offset         weights are raised by half a scale, `(1 + w)/2`, so that no cell is negative. A reference column of
                   open cells reads the sum of the inputs, and the digital side takes it off: `2 v − ref`
    two-pass       the positive inputs in one symbol, the negative in the next; two readings, subtracted digitally
    coherent       a field's phase is its sign. Fields add up and are read by homodyne against a local oscillator

All answer `x @ w`. They differ in what one reading carries. With light counted in full-scale products and n electrons
for each, the shot noise of an output, as the variance of `Σ x w`:

    differential   Σ |x| |w| / n                       one reading
    offset         (2 Σ |x| (1 + w) + Σ |x|) / n       a reading, doubled, and the reference's
    two-pass       Σ |x| |w| / n                       shared by two readings; all else that a reading adds comes twice
    coherent       R / (4 (1 − a) n)                   whatever the signal: R rows; a, the oscillator's share of light

The products of a full-scale reading lie within ±R in all four; the raised weights of the offset encoding push it
towards `Σ x / 2`, and a converter's range must hold that too. A fluctuation that the columns of a tile share (the
laser's, the supply's) is on the reference as well, and what it does to the raised half cancels.
"""

import functools

import equinox as eqx
import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, UInt32

from photonsim.errors import PhotonsimError, check_fraction
from photonsim.tiles.engine import multiply
from photonsim.tiles.noise import gaussian_deviates, tile_keys
from photonsim.tiles.partial_sums import (
    Programmed,
    Readout,
    Shared,
    analog_readings,
    block_scales,
    convert,
    encode,
    split_blocks,
)

REFERENCE = 0x52454600  # folded into the key of a tile: the reference column's own noise
FLOOR = 1e-30  # under the root of a variance: the gradient of the root of zero is infinite


class AbstractEncoding(eqx.Module):
    """How the signs of inputs and weights become light, and light becomes signs again."""

    @property
    def passes(self) -> int:
        """Symbols, conversions and readings that one input vector takes."""
        return 1

    @property
    def rails(self) -> int:
        """Modulators through which light leaks on to one cell in one symbol."""
        return 2

    @property
    def references(self) -> int:
        """Columns of a tile that are read beside those of the matrix."""
        return 0

    @property
    def raised(self) -> bool:
        """Whether cells hold `(1 + w)/2` in place of w."""
        return False

    @property
    def oscillator_share(self):
        """Share of the light that goes to local oscillators; 0 where intensities are detected."""
        return 0.0

    @property
    def current_share(self):
        """Photocurrent of a full-scale product over that of all the light spent on it."""
        return 1.0

    def multiply(self, x, programmed, readout: Readout, shared: Shared, key_data, row_offset, engine: str):
        """`x @ w` by an engine; operands as in `engine.multiply`."""
        return multiply(x, programmed, readout, shared, key_data, row_offset, engine)


class Differential(AbstractEncoding):
    """Inputs and weights on a plus and a minus rail each; one balanced reading."""


class TwoPass(AbstractEncoding):
    """Positive inputs in one symbol and negative ones in the next; weights on balanced rails.

    Each pass has a block scale of its own. Rows 2m and 2m + 1 of the noise stream are the passes of row m.
    """

    @property
    def passes(self) -> int:
        """Two."""
        return 2

    @property
    def rails(self) -> int:
        """One modulator per input, used twice."""
        return 1

    def multiply(self, x, programmed, readout: Readout, shared: Shared, key_data, row_offset, engine: str):
        """See `AbstractEncoding.multiply`."""
        signs = jnp.stack([jnp.maximum(x, 0), jnp.maximum(-x, 0)], axis=-2)  # (..., m, 2, k)
        both = signs.reshape(*x.shape[:-2], 2 * x.shape[-2], x.shape[-1])
        read = multiply(both, programmed, readout, shared, key_data, 2 * row_offset, engine)
        return read[..., 0::2, :] - read[..., 1::2, :]


class Coherent(AbstractEncoding):
    """Fields with a sign, fanned out, weighed, combined by a passive tree, and read by balanced homodyne detection.

    A combiner of R fields leaves each a share 1/R of its power, so at full scale (input and weight both 1) one input
    sends `P_s = (1 − a) P T / (R² C)` to an output, whose oscillator has `P_lo = a P T / C`:

        photocurrent 2 R √(P_s P_lo) = 2 √(a (1 − a)) · R P T / (R C)

    with a = 1/2 that of intensity detection with the same laser. The shot noise is the oscillator's. Left out: the shot
    noise of the signal beside it, phase errors, and the squares that an imbalanced pair lets through.

    - `local_oscillator_share`: a.
    """

    local_oscillator_share: float = 0.5

    def __check_init__(self):
        check_fraction("encoding.local_oscillator_share", self.local_oscillator_share)
        if self.local_oscillator_share == 1.0:
            raise PhotonsimError("encoding.local_oscillator_share = 1 leaves no light for the inputs: give less.")

    @property
    def rails(self) -> int:
        """One field per input."""
        return 1

    @property
    def oscillator_share(self):
        """See `AbstractEncoding.oscillator_share`."""
        return self.local_oscillator_share

    @property
    def current_share(self):
        """`2 √(a (1 − a))`."""
        return 2.0 * (self.local_oscillator_share * (1.0 - self.local_oscillator_share)) ** 0.5


class OffsetProgrammed(eqx.Module):
    """A matrix whose weights are raised: `cells`, the `reference` column of each tile, and the weights' `scales`.

    The reference has one column for each of the J tiles that stand side by side.
    """

    cells: Programmed
    reference: Programmed
    scales: Float[Array, "*b t n"]

    def compact(self, weight_bits: int | None) -> "OffsetProgrammed":
        """See `Programmed.compact`: raised levels take a bit more."""
        bits = None if weight_bits is None or weight_bits >= 16 else weight_bits + 1
        return OffsetProgrammed(self.cells.compact(bits), self.reference, self.scales)


class Offset(AbstractEncoding):
    """Weights raised by half a scale; inputs on a plus and a minus rail; one reference reading per tile and symbol."""

    @property
    def references(self) -> int:
        """The reference column."""
        return 1

    @property
    def raised(self) -> bool:
        """They are."""
        return True

    def multiply(self, x, programmed, readout: Readout, shared: Shared, key_data, row_offset, engine: str):
        """See `AbstractEncoding.multiply`: the cells' product, less the reference under each column's own scales."""
        product = multiply(x, programmed.cells, readout, shared, key_data, row_offset, engine)
        return product - _reference_product(x, programmed, readout, shared, key_data, row_offset)


@functools.partial(jax.jit, static_argnums=2)
def _reference_product(x, programmed: OffsetProgrammed, readout: Readout, shared: Shared, key_data, row_offset):
    """`Σ_t ref[m, t, j] s_x[m, t] s_w[t, n]` over an optional leading batch axis."""

    def one(operands):
        x, programmed, key_data = operands
        read = reference_readings(x, programmed.reference, readout, shared, key_data, row_offset)  # (m, t, j)
        blocks, width = programmed.scales.shape
        across = read.shape[-1]
        scales = jnp.pad(programmed.scales, ((0, 0), (0, across * readout.columns - width)))
        scales = scales.reshape(blocks, across, readout.columns)
        product = jnp.einsum("mtj,tjc->mjc", read, scales, precision=jax.lax.Precision.HIGHEST)
        return product.reshape(x.shape[0], -1)[:, :width]

    operands = (x, programmed, key_data)
    return one(operands) if x.ndim == 2 else jax.lax.map(one, operands)


def reference_readings(
    x: Float[Array, "m k"],
    reference: Programmed,
    readout: Readout,
    shared: Shared,
    key_data: UInt32[Array, "2"],
    row_offset: UInt32[Array, ""] | int,
) -> Float[Array, "m t j"]:
    """What the reference columns of all tiles read, in units of one input at full scale.

    A tile's common mode and light are those of its other columns; shot, amplifier and converter noise are its own.
    """
    inputs = split_blocks(x, reference.levels.shape[-2], axis=-1)  # (m, t, r)
    scales = block_scales(inputs, axis=-1)  # (m, t, 1)
    codes = encode(inputs, scales, readout.input_bits)
    still = Readout(readout.input_bits, None, 1, False, False, readout.common_mode, readout.intensity_noise)

    def read(tile_key, q, tile):
        value = analog_readings(q, tile, still, shared, tile_key, row_offset)
        if readout.noise or readout.shot_noise:
            variance = tile.noise_variance
            if readout.shot_noise:
                light = jnp.matmul(jnp.abs(q), tile.levels, precision=jax.lax.Precision.HIGHEST)
                variance = variance + light * tile.shot_variance
            key = jax.random.fold_in(jax.random.wrap_key_data(tile_key, impl="threefry2x32"), REFERENCE)
            rows, columns = value.shape
            deviates = gaussian_deviates(jax.random.key_data(key), rows, columns, row_offset)
            value = value + jnp.sqrt(jnp.maximum(variance, FLOOR)) * deviates
        return convert(value, tile, readout, shared) * tile.scale

    keys = tile_keys(key_data, inputs.shape[1])
    read_all = jax.vmap(read, in_axes=(0, 1, 0), out_axes=1)(keys, codes, reference)  # (m, t, j)
    return read_all * scales


ENCODINGS: dict[str, type[AbstractEncoding]] = {
    "coherent": Coherent,
    "differential": Differential,
    "offset": Offset,
    "two-pass": TwoPass,
}
