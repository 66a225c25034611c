"""Tiles that hold their weights: a matrix is written once, and every vector of a product streams through it."""

from photonsim.events import PARTIAL_SUM_BITS, EventCounts


def written_events(
    product: tuple[int, int, int, int],
    tile: tuple[int, int],
    input_bits: float,
    writes: int,
    written_bits: float,
    passes: int = 1,
    vectors_at_once: int = 1,
    references: int = 0,
) -> EventCounts:
    """Counts of `batch` products (m, k) × (k, n), `product = (batch, m, k, n)`, on a tile of (rows, columns).

    Rows and columns of a tile that the matrix does not fill are dark and unread, but the tile's time is spent. A matrix
    takes `writes` cells, of `written_bits` together. Each pass of an encoding takes symbols, conversions and readings
    of its own; a reference column is one more to read in each tile, and one more digital subtraction from every
    partial sum.
    """
    (batch, m, k, n), (rows, columns) = product, tile
    down, across = -(-k // rows), -(-n // columns)
    symbols = passes * -(-m // vectors_at_once)
    sums, converted = passes * m * n * down, passes * m * k * across
    return EventCounts(
        macs=float(batch * m * k * n),
        tile_cycles=float(batch * symbols * down * across),
        input_conversions=float(batch * converted),
        weight_writes=float(batch * writes),
        tile_writes=float(batch * down * across),
        output_conversions=float(batch * (sums + references * passes * m * down * across)),
        accumulations=float(batch * sums * (1 + references)),
        scale_operations=float(batch * m * k),
        sram_read_bits=float(batch * (converted * input_bits + written_bits + (sums - m * n) * PARTIAL_SUM_BITS)),
        sram_write_bits=float(batch * (m * k * input_bits + sums * PARTIAL_SUM_BITS)),
    )
