"""What a matrix product is to its model, by where its two operands come from: its kind and name, and which of the two
is written into the tiles."""

from dataclasses import dataclass

from photonsim.swap.naming import activation_name, constant_name, folded_name, weight_name
from photonsim.swap.provenance import Origin, Provenance, join
from photonsim.swap.site import ACTIVATION, FOLDED, WEIGHT


@dataclass(frozen=True)
class Role:
    """`kind` and `name` (not yet unique) of a product, the operand for the tiles, and where its result comes from."""

    kind: str
    name: str
    tile_operand: int
    result: Provenance


def role(left: Provenance, right: Provenance, either: bool) -> Role:
    """The role of `left @ right`. `either`: whether any operand may sit in the tiles, not only the right one."""
    if left.known and right.known:
        return Role(FOLDED, folded_name(left.paths | right.paths), 1, join(left, right))
    number = _tile_operand(left, right) if either else 1
    tile, other = (left, right) if number == 0 else (right, left)
    upstream = left.upstream | right.upstream
    if tile.origin == Origin.CONSTANT:
        return Role(WEIGHT, constant_name(upstream), number, join(left, right))
    both_picked = left.origin == right.origin == Origin.PICKED
    if tile.origin < Origin.DATA and other.origin > Origin.WEIGHT and not both_picked:
        name = weight_name(tile.paths)
        return Role(WEIGHT, name, number, Provenance(Origin.DATA, upstream=frozenset([name])))
    result = Provenance(Origin.DATA, upstream=upstream, mixed=True)
    return Role(ACTIVATION, activation_name(upstream), number, result)


def _tile_operand(left: Provenance, right: Provenance) -> int:
    """Which operand is written into the tiles: the one that will be used again.

    That is the weight; of two activations, the one that is not itself a product of activations (V, not the attention
    probabilities), else the right-hand one (Kᵀ).
    """
    if left.origin != right.origin and min(left.origin, right.origin) < Origin.DATA:
        return 0 if left.origin < right.origin else 1
    return 0 if right.mixed and not left.mixed else 1
