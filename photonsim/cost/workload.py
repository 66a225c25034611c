"""What one forward pass of a model asks of the hardware: matrix products, vector work and DRAM traffic.

All of it follows from the shapes alone, so a model can be priced whose weights nobody has. Photonic chip and digital
baseline are given the same `Workload`: the same products, the same vector operations, the same bits to and from DRAM.

**Phases.** A pass runs `tokens` new tokens of each of `sequences` independent texts against `past` tokens already in
the KV cache. Prefill is `past = 0` with many tokens at once; decode is one new token against a long past. A pass reads
every weight that it uses from DRAM *once*, whatever the number of tokens: prefill spreads that over
`sequences * tokens` tokens, decode over `sequences` only, which is why decode at batch 1 is bound by memory on every
machine.

**What stays on the chip.** On-chip SRAM keeps what fits into it as a whole, in this order: the residual stream, the
weights, the KV cache (`kept_in_sram`). What it keeps costs no DRAM traffic. Weights are kept from pass to pass only of
a model that is known as a whole; a product alone pays for its weights.
"""

import dataclasses
import math
from typing import Protocol

from photonsim.errors import PhotonsimError, check_choice, check_count

WEIGHT = "weight"  # activations times stored weights
ACTIVATION = "activation"  # activations times activations, such as QKᵀ and AV
KINDS = (WEIGHT, ACTIVATION)


class MatrixProduct(Protocol):
    """What the cost model needs to know of a product: any object with these attributes can be priced.

    `batch` independent products `(m, k) @ (k, n)`, executed `trips` times; of kind `weight`,
    each has weights of its own.
    """

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def batch(self) -> int: ...
    @property
    def m(self) -> int: ...
    @property
    def k(self) -> int: ...
    @property
    def n(self) -> int: ...
    @property
    def trips(self) -> int: ...
    @property
    def on_chip(self) -> bool: ...


@dataclasses.dataclass(frozen=True)
class Product:
    """A `MatrixProduct` known from its shapes. `on_chip=False` leaves it to the digital unit."""

    name: str
    kind: str
    batch: int
    m: int
    k: int
    n: int
    trips: int = 1
    on_chip: bool = True

    def __post_init__(self):
        check_choice(f"{self.name}: kind", self.kind, KINDS)
        for size in ("batch", "m", "k", "n", "trips"):
            check_count(f"{self.name}: {size}", getattr(self, size))


def macs(product: MatrixProduct) -> int:
    """Multiply-accumulates of a product, all its trips together."""
    return product.trips * product.batch * product.m * product.k * product.n


@dataclasses.dataclass(frozen=True)
class Storage:
    """Bits of a number in memory: the same for the photonic chip and for every baseline beside it.

    The defaults are *assumed*: weights as an INT8 model keeps them, activations and KV cache in 16 bits.
    """

    weight_bits: int = 8
    activation_bits: int = 16
    kv_bits: int = 16

    def __post_init__(self):
        for name in ("weight_bits", "activation_bits", "kv_bits"):
            check_count(f"storage.{name}", getattr(self, name))

    def weights_in(self, product: MatrixProduct) -> int:
        """Bits of weights that one pass reads for a product; none where both operands are activations."""
        if product.kind != WEIGHT:
            return 0
        return product.trips * product.batch * product.k * product.n * self.weight_bits


@dataclasses.dataclass(frozen=True)
class VectorWork:
    """Work of the vector unit in one pass, in operations as the module's header counts them."""

    name: str
    operations: int


@dataclasses.dataclass(frozen=True)
class Traffic:
    """Bits to and from DRAM in one pass, beside the weights; `held_bits` are what must be kept to avoid them."""

    name: str
    read_bits: int
    write_bits: int
    held_bits: int


@dataclasses.dataclass(frozen=True)
class Workload:
    """One forward pass. `tokens` are the new ones of all sequences: what a price per token is divided by.

    - `parameters`: of the whole model, whether this pass uses them or not; 0 where only the products are known.
    - `weights_kept`: whether the weights are on the chip already and none come from DRAM.
    - `depth`, `stream_bits`: layers, and the activations that pass from one to the next.
    - `host_bits`: inputs and answers, to and from the host.
    - `network_bits`, `link_bits`, `network_hops`: what chips that share the model send each other in all, the part
      of it that one link carries, and how often one waits for another (`photonsim.cost.cluster`).
    """

    phase: str
    tokens: int
    products: tuple[MatrixProduct, ...]
    vector: tuple[VectorWork, ...]
    traffic: tuple[Traffic, ...]
    storage: Storage
    parameters: int = 0
    weights_kept: bool = False
    depth: int = 0
    stream_bits: int = 0
    host_bits: int = 0
    network_bits: float = 0.0
    link_bits: float = 0.0
    network_hops: int = 0

    def __post_init__(self):
        check_count("workload.tokens", self.tokens)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all products, on the chip or not."""
        return sum(macs(product) for product in self.products)

    @property
    def vector_operations(self) -> int:
        """Operations of the vector unit."""
        return sum(work.operations for work in self.vector)

    def weights_from_dram(self, product: MatrixProduct) -> int:
        """Bits of weights that a product reads from DRAM."""
        return 0 if self.weights_kept else self.storage.weights_in(product)

    @property
    def weight_bits(self) -> int:
        """Bits of weights read from DRAM."""
        return sum(self.weights_from_dram(product) for product in self.products)

    @property
    def dram_read_bits(self) -> int:
        """Bits read from DRAM: weights, KV cache, activations."""
        return self.weight_bits + sum(stream.read_bits for stream in self.traffic)

    @property
    def dram_write_bits(self) -> int:
        """Bits written to DRAM."""
        return sum(stream.write_bits for stream in self.traffic)

    @property
    def model_bits(self) -> int:
        """Bits of all weights, those of experts that no token meets included."""
        return max(
            self.parameters * self.storage.weight_bits,
            sum(self.storage.weights_in(product) for product in self.products),
        )

    @property
    def resident_bits(self) -> int:
        """Bits that memory holds during the pass: the weights, the KV cache, the residual stream."""
        return self.model_bits + sum(stream.held_bits for stream in self.traffic)


def kept_in_sram(workload: Workload, capacity_bits: float) -> Workload:
    """The workload without the DRAM traffic that on-chip SRAM saves; see the module's header for the order."""
    if not isinstance(capacity_bits, int | float):
        return workload  # a traced capacity decides nothing
    kept, weights_kept, room = [], workload.weights_kept, capacity_bits
    caches = [stream for stream in workload.traffic if stream.name == "KV cache"]
    for stream in [stream for stream in workload.traffic if stream not in caches]:
        if 0 < stream.held_bits <= room:
            room -= stream.held_bits
        else:
            kept.append(stream)
    if workload.parameters and not weights_kept and workload.model_bits <= room:
        weights_kept, room = True, room - workload.model_bits
    kept += [cache for cache in caches if cache.held_bits > room]
    return dataclasses.replace(workload, traffic=tuple(kept), weights_kept=weights_kept)


def check_capacity(name: str, workload: Workload, capacity_bits: float) -> None:
    """Refuse a pass that does not fit the memory of the hardware `name`; a traced capacity is let through."""
    needed = workload.resident_bits
    if isinstance(capacity_bits, int | float) and needed > capacity_bits:
        raise PhotonsimError(
            f"The pass needs {needed / 8e9:.4g} GB of DRAM and {name} has only "
            f"{capacity_bits / 8e9:.4g} GB, {(needed - capacity_bits) / 8e9:.4g} GB too little: "
            f"take {math.ceil(needed / capacity_bits)} times as many chips, store the model in fewer bits, or shorten "
            "the context or the batch."
        )


@dataclasses.dataclass(frozen=True)
class ForwardPass:
    """`tokens` new tokens in each of `sequences` texts, after `past` tokens that are already in the KV cache.

    `source`: tokens that the encoder of each reads, in a model that has one and leaves their number open.
    """

    sequences: int
    tokens: int
    past: int = 0
    source: int = 0

    def __post_init__(self):
        check_count("sequences", self.sequences)
        check_count("tokens", self.tokens)
        for name in ("past", "source"):
            if getattr(self, name):
                check_count(name, getattr(self, name))

    @property
    def phase(self) -> str:
        """`prefill` where no token came before, else `decode`."""
        return "decode" if self.past else "prefill"

    @property
    def rows(self) -> int:
        """New tokens of all sequences together."""
        return self.sequences * self.tokens

    @property
    def length(self) -> int:
        """Tokens that attention looks at: the past and the new ones. The causal half of the square is not skipped."""
        return self.past + self.tokens
