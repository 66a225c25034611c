"""What happened on the chip, counted: the meeting point of physics and prices.

Counts follow from shapes and the chip's description alone, never from values, so they cost nothing to compute and hold
for a model whose weights nobody has. They add, and scale with a number of repetitions. `photonsim.cost` prices them.
"""

import equinox as eqx
import jax

PARTIAL_SUM_BITS = 32  # a partial sum in the digital accumulator


class EventCounts(eqx.Module):
    """Counts of one or many matrix products; floats, since a large model passes 2^53 of nothing but exceeds 2^31."""

    macs: float = 0.0  # multiply-accumulates asked for, padding excluded
    tile_cycles: float = 0.0  # symbol periods summed over tiles in use: laser and static power run this long
    input_conversions: float = 0.0  # DAC conversions of inputs, each driving the modulators of its rails for one symbol
    weight_writes: float = 0.0  # cells programmed, each one weight-DAC conversion
    tile_writes: float = 0.0  # whole tiles programmed: sets the reload time
    output_conversions: float = 0.0  # detector, amplifier and ADC samples (two rails read as one difference)
    accumulations: float = 0.0  # digital additions of partial sums, each with its rescaling
    scale_operations: float = 0.0  # digital work of block floating point: magnitude compares and multiplies
    sram_read_bits: float = 0.0
    sram_write_bits: float = 0.0
    dram_read_bits: float = 0.0
    dram_write_bits: float = 0.0
    digital_macs: float = 0.0  # multiply-accumulates that stayed on the digital unit
    register_bits: float = 0.0  # partial sums to and from the accumulators beside the converters
    network_bits: float = 0.0  # between chips that share a model
    vector_operations: float = 0.0  # softmax, norms, rotary embedding, activations, residual additions

    def __add__(self, other: "EventCounts") -> "EventCounts":
        return jax.tree.map(lambda a, b: a + b, self, other)

    def __mul__(self, repetitions: float) -> "EventCounts":
        return jax.tree.map(lambda a: a * repetitions, self)

    __rmul__ = __mul__
