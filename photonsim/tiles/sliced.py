"""Bit slicing: a product of many bits in passes of few, on a tile that has no more.

    x = Σ_i 2^(s i) x_i,   w = Σ_j 2^(r j) w_j          x @ w = Σ_ij 2^(s i + r j)  x_i @ w_j

The codes of a block are cut into digits (`converters/slices.py`), of one bit less than the inner tile's converters,
which hold the sign with each. Weights of one place are a matrix of their own: its blocks are written one below the
other like those of a longer matrix. Inputs of one place are a pass of all vectors through all of them. Each pass has
its own light, noise, and conversions; the digital side shifts and adds. All passes are rows of one product, so that the
kernel lays the weights out once, and reads them from memory once where there are few vectors.

Digits are whole numbers that the inner tile must not scale to their own largest, or one code of its output converter
would no longer be one unit of the sum. So their scales are held: of weights, when they are written; of inputs, by one
more row, at full scale, before cells that pass nothing. With a converter that resolves every sum,

    range_policy = "calibrated",  full_scale_products = L_adc / (L_x L_w),  bits ≥ exact_sum_bits(…)

the product is exact. With fewer bits, every pass loses what its converter loses, and the highest places lose most.
"""

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
from jax import numpy as jnp
from jaxtyping import Array, Float

from photonsim.converters import full_scale_code, straight_through
from photonsim.converters.slices import digit_count, split_digits
from photonsim.errors import PhotonsimError, check_bits
from photonsim.events import PARTIAL_SUM_BITS, EventCounts
from photonsim.tiles.base import AbstractTile, Converters, Devices, Disturbance, Reload, StoredBits
from photonsim.tiles.encodings import Differential
from photonsim.tiles.incoherent import AbstractIncoherentTile
from photonsim.tiles.partial_sums import Programmed, block_scales, encode, split_blocks

JUST_INSIDE = 1 - 2.0**-18  # of full scale: rounds to the same code, and clipping does not stop the gradient


class Sliced(AbstractTile):
    """A product of `input_bits` by `weight_bits` on an `inner` tile of fewer.

    - `inner`: a crossbar, a weight bank or a PCM crossbar with differential inputs; its converters' bits, less the
      sign, are those of a digit.
    - `input_bits`, `weight_bits`: of the operands, sign included.
    """

    inner: AbstractTile
    input_bits: int = eqx.field(static=True)
    weight_bits: int = eqx.field(static=True)

    if TYPE_CHECKING:  # sizes and clock are the inner tile's: properties, which type checkers take for arguments

        def __init__(self, inner: AbstractTile, input_bits: int, weight_bits: int): ...

    def __check_init__(self):
        check_bits("tile.input_bits", self.input_bits)
        check_bits("tile.weight_bits", self.weight_bits)
        inner = _block_tile(self.inner)
        if not isinstance(inner.encoding, Differential) or inner.readout.input_bits != inner.input_dac.bits:
            raise PhotonsimError(
                "tile.inner must read signed inputs at once and as they are coded: take encoding = "
                '"differential", predistortion = "exact", input_dnl_rms = 0 and no input_bend.'
            )
        if inner.noisy_cells:
            raise PhotonsimError(
                'tile.inner.read_noise = "each-reading" would count the row that holds the scale of a block as a cell: '
                'take "each-writing".'
            )
        for name, bits in zip(("input_dac", "cell"), (inner.input_dac.bits, inner.cell.bits), strict=True):
            if bits is None or bits < 2:
                raise PhotonsimError(f"tile.inner.{name}.bits = {bits!r}: digits have a sign and at least one bit.")

    @property
    def rows(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Of the inner tile."""
        return self.inner.rows

    @property
    def columns(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Of the inner tile."""
        return self.inner.columns

    @property
    def clock_hz(self):  # pyright: ignore[reportIncompatibleVariableOverride]
        """Of the inner tile."""
        return self.inner.clock_hz

    @property
    def digit_bits(self) -> tuple[int, int]:
        """Bits of a digit of an input and of a weight, without the sign."""
        input_bits, weight_bits, _ = self.inner.converter_bits
        assert input_bits is not None
        assert weight_bits is not None
        return input_bits - 1, weight_bits - 1

    @property
    def digits(self) -> tuple[int, int]:
        """Digits of an input, each a pass, and of a weight, each a matrix."""
        input_slice, weight_slice = self.digit_bits
        return digit_count(self.input_bits, input_slice), digit_count(self.weight_bits, weight_slice)

    @property
    def passes(self) -> int:
        """Passes of the inner tile for one product."""
        input_digits, weight_digits = self.digits
        return input_digits * weight_digits

    @property
    def macs_per_cycle(self) -> float:
        """See `AbstractTile.macs_per_cycle`: of the inner tile, shared by the passes."""
        return self.inner.macs_per_cycle / self.passes

    @property
    def terms_per_readout(self) -> int:
        """See `AbstractTile.terms_per_readout`."""
        return self.inner.terms_per_readout

    @property
    def converters(self) -> Converters:
        """See `AbstractTile.converters`."""
        return self.inner.converters

    @property
    def converter_bits(self) -> tuple[int | None, int | None, int | None]:
        """See `AbstractTile.converter_bits`: of the operands, and of the inner tile's output."""
        return self.input_bits, self.weight_bits, self.inner.converter_bits[2]

    @property
    def devices(self) -> Devices:
        """See `AbstractTile.devices`: those of the inner tile."""
        return self.inner.devices

    @property
    def reload(self) -> Reload:
        """See `AbstractTile.reload`: that of the inner tile."""
        return self.inner.reload

    def disturbances(self) -> tuple[Disturbance, ...]:
        """See `AbstractTile.disturbances`: those of the inner tile but its operands' bits, which are the digits'."""
        operands = ("inner.input_dac.bits", "inner.cell.bits")
        inner = (
            dataclasses.replace(each, off={f"inner.{path}": value for path, value in each.off.items()})
            for each in self.inner.disturbances()
        )
        return tuple(each for each in inner if not set(operands) & set(each.off))

    # Numbers

    def program(self, w: Float[Array, "*b k n"], cores: int = 1) -> Programmed:
        """Write the matrices of all digits of (k, n) weights, one below the other, and a dark row under each block."""
        inner = _block_tile(self.inner)
        digits, scales = _weight_digits(w, inner.rows, self.weight_bits, self.digit_bits[1])
        ones = jnp.ones((*digits.shape[:-2], 1, digits.shape[-1]), digits.dtype)
        stacked = digits.reshape(*digits.shape[:-3], -1, digits.shape[-1])
        programmed = inner.program(stacked, cores, ones)
        assert isinstance(programmed, Programmed)
        per_digit = _full_codes(*self.digit_bits) / (
            full_scale_code(self.input_bits) * full_scale_code(self.weight_bits)
        )
        return dataclasses.replace(
            programmed,
            levels=_with_dark_row(programmed.levels, inner.rows),
            scale=programmed.scale * scales * per_digit,
        )

    def compact(self, programmed: Programmed) -> Programmed:
        """See `AbstractTile.compact`."""
        return self.inner.compact(programmed)

    def matmul(self, x, programmed, key_data, engine="auto", row_offset=0) -> Any:
        """See `AbstractTile.matmul`: the digits of an input are rows of one product, a pass of the inner tile each.

        Rows `d m` to `d m + d - 1` of the noise stream are the passes of row m with its d digits.
        """
        input_digits, weight_digits = self.digits
        digits = _input_digits(x, self.rows, self.input_bits, self.digit_bits[0], weight_digits)
        read = self.inner.matmul(digits, programmed, key_data, engine, input_digits * row_offset)
        return jnp.sum(read.reshape(*x.shape[:-1], input_digits, read.shape[-1]), axis=-2)

    # The bill

    def events(self, batch: int, m: int, k: int, n: int, stored_bits: StoredBits | None = None) -> EventCounts:
        """Counts of all passes: each matrix of digits is written once and streams every digit of the inputs.

        The digital side reads and adds each pass to the ones before. SRAM holds digits, whatever the operands' format.
        """
        input_digits, weight_digits = self.digits
        events = self.inner.events(batch, input_digits * m, k, n) * weight_digits
        return dataclasses.replace(
            events,
            macs=float(batch * m * k * n),
            scale_operations=float(batch * m * k),
            sram_read_bits=events.sram_read_bits + batch * (self.passes - 1) * m * n * PARTIAL_SUM_BITS,
        )


def _block_tile(inner: AbstractTile) -> AbstractIncoherentTile:
    """A tile of blocks of integers under scales that can be chosen."""
    if not isinstance(inner, AbstractIncoherentTile):
        raise PhotonsimError(
            f"tile.inner is a {type(inner).__name__}, whose weights are not codes under a scale: "
            'take kind = "crossbar", "weight-bank" or "pcm-crossbar".'
        )
    return inner


def _full_codes(input_slice: int, weight_slice: int) -> int:
    """Product of the largest digits, which are the inner converters' largest codes."""
    return (2**input_slice - 1) * (2**weight_slice - 1)


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _weight_digits(w: Float[Array, "*b k n"], rows: int, bits: int, slice_bits: int):
    """Digits over their largest, (…, places · t, r, n), and the scale of each of these blocks, (…, places · t, n)."""
    blocks = split_blocks(w, rows, axis=-2)  # (..., t, r, n)
    scales = block_scales(blocks, axis=-2)
    codes = encode(blocks, scales, bits)
    places = digit_count(bits, slice_bits)
    digits = jnp.concatenate([_digit(codes, bits, slice_bits, place) for place in range(places)], axis=-3)
    scaled = jnp.concatenate([scales[..., 0, :] * 2.0 ** (slice_bits * place) for place in range(places)], axis=-2)
    return digits, scaled


@functools.partial(jax.jit, static_argnums=(1, 2, 3, 4))
def _input_digits(x: Float[Array, "*b m k"], rows: int, bits: int, slice_bits: int, copies: int):
    """All digits of each row as rows of inputs: in each block one more, at full scale; `copies` times over."""
    blocks = split_blocks(x, rows, axis=-1)  # (..., m, t, r)
    scales = block_scales(blocks, axis=-1)
    codes = encode(blocks, scales, bits)
    places = range(digit_count(bits, slice_bits))
    full_scales = jnp.stack([scales * 2.0 ** (slice_bits * place) for place in places], axis=-3)  # (..., m, d, t, 1)
    digits = jnp.stack([_digit(codes, bits, slice_bits, place) for place in places], axis=-3) * full_scales
    held = jnp.concatenate([digits, full_scales], axis=-1).reshape(*x.shape[:-2], x.shape[-2] * len(places), -1)
    return jnp.concatenate([held] * copies, axis=-1)


def _digit(codes: Float[Array, "..."], bits: int, slice_bits: int, place: int) -> Float[Array, "..."]:
    """One digit of whole-numbered codes over the largest, 2^s − 1; a code's gradient is divided among its digits."""
    digit = split_digits(jax.lax.stop_gradient(codes).astype(jnp.int32), bits, slice_bits)[place]
    share = codes / (digit_count(bits, slice_bits) * 2.0 ** (slice_bits * place))
    return straight_through(share, digit.astype(codes.dtype)) * (JUST_INSIDE / (2**slice_bits - 1))


def _with_dark_row(levels: Float[Array, "*b t s n"], rows: int) -> Float[Array, "*b t s1 n"]:
    """A row of zeros under each group of rows: one group, or two where both diodes of a cell have their own."""
    groups = levels.reshape(*levels.shape[:-2], levels.shape[-2] // rows, rows, levels.shape[-1])
    padded = jnp.pad(groups, [(0, 0)] * (groups.ndim - 2) + [(0, 1), (0, 0)])
    return padded.reshape(*levels.shape[:-2], -1, levels.shape[-1])
