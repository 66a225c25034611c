"""Tiles into which both operands stream: no weight is written, every weight is converted again for each use.

A weight-stationary tile pays for a matrix once and for its input rows each time. Here, `rows` vectors meet `columns`
weights in every symbol period, and the weights travel as light as well: products of two activations cost no more than
any other, and a weight is used only `rows` times per conversion. Cores that work at different rows can share a weight's
modulator, whose light is broadcast to all of them: then it is used `rows` times in each.
"""

from photonsim.events import PARTIAL_SUM_BITS, EventCounts


def live_events(
    product: tuple[int, int, int, int],
    rows: int,
    columns: int,
    per_cycle: int,
    per_readout: int,
    bits: tuple[float, float],
    broadcast: int = 1,
) -> EventCounts:
    """Counts of `batch` products (m, k) × (k, n), `product = (batch, m, k, n)`.

    Each symbol period takes `per_cycle` of the k terms for up to `rows` × `columns` outputs, and each output is read
    after at most `per_readout` of them. A `tile_write` is a stretch between two readings, which may go to any core; its
    weights are free, but each of the `weight_writes` is a conversion, which serves `broadcast` cores, each with a group
    of rows. `bits`: of an input and of a weight.
    """
    batch, m, k, n = product
    across, groups = -(-n // columns), -(-m // rows)
    encodings = -(-groups // broadcast)
    readings = -(-k // per_readout)
    full, rest = divmod(k, per_readout)
    cycles = full * -(-per_readout // per_cycle) + -(-rest // per_cycle)
    input_bits, weight_bits = bits
    operand_bits = m * k * across * input_bits + encodings * k * n * weight_bits
    return EventCounts(
        macs=float(batch * m * k * n),
        tile_cycles=float(batch * groups * across * cycles),
        input_conversions=float(batch * m * k * across),
        weight_writes=float(batch * encodings * k * n),
        tile_writes=float(batch * groups * across * readings),
        output_conversions=float(batch * m * n * readings),
        accumulations=float(batch * m * n * readings),
        scale_operations=float(batch * (m * k + encodings * k * n)),
        sram_read_bits=float(batch * (operand_bits + m * n * (readings - 1) * PARTIAL_SUM_BITS)),
        sram_write_bits=float(batch * (m * k * input_bits + m * n * readings * PARTIAL_SUM_BITS)),
    )
