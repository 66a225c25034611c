"""A site: one matrix product of a model, with a name, a shape, and the operand a chip would be programmed with."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from photonsim.swap.naming import layer_index
from photonsim.swap.provenance import Address

WEIGHT = "weight"  # activations times a weight
ACTIVATION = "activation"  # activations times activations, such as QKᵀ and AV
FOLDED = "folded"  # weights and constants alone: the product belongs to the weights, not to the run
KINDS = (WEIGHT, ACTIVATION)


class AbstractMatmulUnit(Protocol):
    """What the swap asks of a chip. Every method also takes one leading batch axis, `matmul` then an array of keys."""

    def program(self, w: Float[Array, "*b k n"]) -> Any:
        """Write a matrix into the unit's tiles."""
        ...

    def compact(self, programmed: Any) -> Any:
        """The same tiles, stored narrowly for reuse."""
        ...

    def matmul(
        self, x: Float[Array, "*b m k"], programmed: Any, key: PRNGKeyArray, engine: str = "auto", row_offset: Any = 0
    ) -> Float[Array, "*b m n"]:
        """`x @ w` as the unit answers it."""
        ...


@dataclass(frozen=True)
class Site:
    """One matrix product: `batch` products `(m, k) @ (k, n)`, executed `trips` times.

    - `name`: unique and stable, see `photonsim.swap.naming`; `kind`: `weight`, `activation` or `folded`.
    - `m`, `k`, `n`: shape with the programmed operand on the right. A ragged product (mixture of experts) has one
      product per expert, `m` being the mean number of rows rounded up; `ragged_rows` is their exact sum.
    - `trips`: product of the lengths of the scans around it. `dynamic`: inside a `while` or `cond`, whose course is
      known only at run time; counted as one trip, or as taken.
    - `paths`: parameters the programmed operand is made of. `tile_operand`: which operand that is.
    - `known`: whether that operand follows from the parameters alone, and can be programmed once; `loops`: the scans
      over whose trips it then varies.
    - `obstacle`: why no chip can take the product, or `None`.
    - `name_stack`: JAX's own name for the place; `address`: that of its equation.
    """

    name: str
    kind: str
    primitive: str
    batch: int
    m: int
    k: int
    n: int
    trips: int
    dynamic: bool
    paths: tuple[str, ...]
    tile_operand: int
    known: bool
    loops: tuple[Address, ...]
    obstacle: str | None
    name_stack: str
    dtypes: tuple[str, ...]
    address: Address
    ragged_rows: int | None = None

    @property
    def macs(self) -> int:
        """Multiply-accumulates, all trips together."""
        rows = self.batch * self.m if self.ragged_rows is None else self.ragged_rows
        return rows * self.k * self.n * self.trips

    @property
    def layer(self) -> int | None:
        """Index of the layer, where the name has one."""
        return layer_index(self.name)


def site_keys(key: PRNGKeyArray, names: Sequence[str]) -> dict[str, PRNGKeyArray]:
    """Noise keys of sites: `key` folded with both halves of a 64-bit hash of each site's name.

    All are derived together: each on its own would be two more loops for XLA to compile.
    """
    if not names:
        return {}
    hashes = np.array([name_words(name) for name in names], np.uint32)
    keys = jax.vmap(lambda first, second: jax.random.fold_in(jax.random.fold_in(key, first), second))(*hashes.T)
    return {name: keys[number] for number, name in enumerate(names)}


def name_words(name: str) -> tuple[int, int]:
    """A 64-bit hash of a site's name as two words."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest[:4], "big"), int.from_bytes(digest[4:], "big")


def later_key(key: PRNGKeyArray, row: Any) -> PRNGKeyArray:
    """The key of a product that begins at `row` of a longer input: `key` with that added to its first word."""
    if isinstance(row, int) and row == 0:
        return key
    words = jax.random.key_data(key) + jnp.stack([jnp.asarray(row, jnp.uint32), jnp.uint32(0)])
    return jax.random.wrap_key_data(words, impl=jax.random.key_impl(key))


def batch_keys(key: PRNGKeyArray, batch: int) -> PRNGKeyArray:
    """Keys of the elements of a batched product: element b has the key's second word plus b.

    Neighbouring keys are safe, since a tile's key is 20 rounds of Threefry away from them (`photonsim.tiles.noise`),
    and an addition spares XLA a loop to compile for each product.
    """
    words = jax.random.key_data(key)
    elements = jnp.stack([jnp.zeros(batch, jnp.uint32), jnp.arange(batch, dtype=jnp.uint32)], axis=-1)
    return jax.random.wrap_key_data(words + elements, impl=jax.random.key_impl(key))
