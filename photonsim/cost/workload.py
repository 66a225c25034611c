"""What one forward pass of a model asks of the hardware: matrix products, vector work and DRAM traffic.

All of it follows from the shapes alone, so a model can be priced whose weights nobody has. Photonic chip and digital
baseline are given the same `Workload`: the same products, the same vector operations, the same bits to and from DRAM.

**Phases.** A pass runs `tokens` new tokens of each of `sequences` independent texts against `past` tokens already in
the KV cache. Prefill is `past = 0` with many tokens at once; decode is one new token against a long past. A pass reads
every weight from DRAM *once*, whatever the number of tokens: prefill spreads that over `sequences * tokens` tokens,
decode over `sequences` only, which is why decode at batch 1 is bound by memory on every machine.

**Operations of the vector unit.** One operation is one addition, multiplication, comparison or table look-up on one
element. The functions cost, in such operations (our counting rules; an implementation may need fewer or more):

    exp          8   range reduction 2, polynomial of degree 5 by Horner's rule 5, exponent insertion 1
    1/x, 1/√x    8   first guess 2, two Newton steps of 3
    softmax      per score: scale, mask, maximum, subtraction, exp, sum, multiplication = 14; per row one 1/x
    RMSNorm      per element: square, sum, two multiplications = 4; per row 2 and one 1/√x
    rotary       per element of q and k: 3 (a pair takes four multiplications and two additions; cos and sin are tabled)
    SwiGLU       per element: silu(g) = g / (1 + exp(-g)) takes 1 + 8 + 1 + 8 + 1, the product with up 1 = 20
    residual     per element: 1, twice a layer
    read-out     per logit: maximum, subtraction, exp, sum = 11; per row one logarithm, counted as an exp

**DRAM.** Weights once per pass. Keys and values are written once and read once per layer and pass. The residual stream
leaves the chip and returns once per layer; everything else of a layer stays in SRAM, attention scores included
(as in FlashAttention, Dao et al. 2022). Logits are consumed where they are made. An embedding row is read per token.
"""

from collections.abc import Mapping
from typing import Protocol

import equinox as eqx

from photonsim.errors import PhotonsimError, check_choice, check_count

WEIGHT = "weight"  # activations times stored weights
ACTIVATION = "activation"  # activations times activations, such as QKᵀ and AV
KINDS = (WEIGHT, ACTIVATION)

EXP_OPERATIONS = 8
RECIPROCAL_OPERATIONS = 8
SOFTMAX_OPERATIONS = 6 + EXP_OPERATIONS  # per score
RMSNORM_OPERATIONS = 4  # per element
RMSNORM_ROW_OPERATIONS = 2 + RECIPROCAL_OPERATIONS
ROTARY_OPERATIONS = 3  # per element
SWIGLU_OPERATIONS = 4 + EXP_OPERATIONS + RECIPROCAL_OPERATIONS  # per element
READOUT_OPERATIONS = 3 + EXP_OPERATIONS  # per logit


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


class Product(eqx.Module):
    """A `MatrixProduct` known from its shapes. `on_chip=False` leaves it to the digital unit."""

    name: str = eqx.field(static=True)
    kind: str = eqx.field(static=True)
    batch: int = eqx.field(static=True)
    m: int = eqx.field(static=True)
    k: int = eqx.field(static=True)
    n: int = eqx.field(static=True)
    trips: int = eqx.field(static=True, default=1)
    on_chip: bool = eqx.field(static=True, default=True)

    def __check_init__(self):
        check_choice(f"{self.name}: kind", self.kind, KINDS)
        for size in ("batch", "m", "k", "n", "trips"):
            check_count(f"{self.name}: {size}", getattr(self, size))


def macs(product: MatrixProduct) -> int:
    """Multiply-accumulates of a product, all its trips together."""
    return product.trips * product.batch * product.m * product.k * product.n


class Storage(eqx.Module):
    """Bits of a number in memory: the same for the photonic chip and for every baseline beside it.

    The defaults are *assumed*: weights as an INT8 model keeps them, activations and KV cache in 16 bits.
    """

    weight_bits: int = eqx.field(static=True, default=8)
    activation_bits: int = eqx.field(static=True, default=16)
    kv_bits: int = eqx.field(static=True, default=16)

    def __check_init__(self):
        for name in ("weight_bits", "activation_bits", "kv_bits"):
            check_count(f"storage.{name}", getattr(self, name))

    def weights_in(self, product: MatrixProduct) -> int:
        """Bits of weights that one pass reads for a product; none where both operands are activations."""
        if product.kind != WEIGHT:
            return 0
        return product.trips * product.batch * product.k * product.n * self.weight_bits


class VectorWork(eqx.Module):
    """Work of the vector unit in one pass, in operations as the module's header counts them."""

    name: str = eqx.field(static=True)
    operations: int = eqx.field(static=True)


class Traffic(eqx.Module):
    """Bits to and from DRAM in one pass, beside the weights."""

    name: str = eqx.field(static=True)
    read_bits: int = eqx.field(static=True)
    write_bits: int = eqx.field(static=True)


class Workload(eqx.Module):
    """One forward pass. `tokens` are the new ones of all sequences: what a price per token is divided by."""

    phase: str = eqx.field(static=True)
    tokens: int = eqx.field(static=True)
    products: tuple[MatrixProduct, ...]
    vector: tuple[VectorWork, ...]
    traffic: tuple[Traffic, ...]
    storage: Storage

    def __check_init__(self):
        check_count("workload.tokens", self.tokens)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all products, on the chip or not."""
        return sum(macs(product) for product in self.products)

    @property
    def vector_operations(self) -> int:
        """Operations of the vector unit."""
        return sum(work.operations for work in self.vector)

    @property
    def weight_bits(self) -> int:
        """Bits of weights read from DRAM."""
        return sum(self.storage.weights_in(product) for product in self.products)

    @property
    def dram_read_bits(self) -> int:
        """Bits read from DRAM: weights, KV cache, activations."""
        return self.weight_bits + sum(stream.read_bits for stream in self.traffic)

    @property
    def dram_write_bits(self) -> int:
        """Bits written to DRAM."""
        return sum(stream.write_bits for stream in self.traffic)

    @property
    def resident_bits(self) -> int:
        """Bits that DRAM holds during the pass: the weights, and of every stream the larger of what goes in or out.

        Low by the rows of an untied embedding table that the pass does not touch.
        """
        return self.weight_bits + sum(max(stream.read_bits, stream.write_bits) for stream in self.traffic)


def check_capacity(name: str, workload: Workload, capacity_bits: float) -> None:
    """Refuse a pass that does not fit the DRAM of the hardware `name`; a traced capacity is let through."""
    if isinstance(capacity_bits, int | float) and workload.resident_bits > capacity_bits:
        raise PhotonsimError(
            f"The pass needs {workload.resident_bits / 8e9:.4g} GB of DRAM and {name} has only "
            f"{capacity_bits / 8e9:.4g} GB: store the model in fewer bits, shorten the context, or raise the capacity."
        )


class ForwardPass(eqx.Module):
    """`tokens` new tokens in each of `sequences` texts, after `past` tokens that are already in the KV cache."""

    sequences: int = eqx.field(static=True)
    tokens: int = eqx.field(static=True)
    past: int = eqx.field(static=True, default=0)

    def __check_init__(self):
        check_count("sequences", self.sequences)
        check_count("tokens", self.tokens)
        if self.past:
            check_count("past", self.past)

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


CONFIG_KEYS = {
    "vocab": "vocab_size",
    "hidden": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "intermediate": "intermediate_size",
}


class DecoderShape(eqx.Module):
    """Shape of a Llama-family decoder: RMSNorm, rotary embedding, grouped-query attention, SwiGLU, one head matrix."""

    vocab: int = eqx.field(static=True)
    hidden: int = eqx.field(static=True)
    layers: int = eqx.field(static=True)
    heads: int = eqx.field(static=True)
    kv_heads: int = eqx.field(static=True)
    head_dim: int = eqx.field(static=True)
    intermediate: int = eqx.field(static=True)

    def __check_init__(self):
        for name in ("vocab", "hidden", "layers", "heads", "kv_heads", "head_dim", "intermediate"):
            check_count(name, getattr(self, name))

    @classmethod
    def from_config(cls, config: Mapping) -> "DecoderShape":
        """From the `config.json` of a Hugging Face model of the family."""
        missing = [key for key in CONFIG_KEYS.values() if config.get(key) is None]
        if missing:
            raise PhotonsimError(
                f"The model's config lacks {', '.join(missing)}: add what a decoder cannot do without."
            )
        sizes = {name: config[key] for name, key in CONFIG_KEYS.items()}
        kv_heads = config.get("num_key_value_heads") or sizes["heads"]
        head_dim = config.get("head_dim") or sizes["hidden"] // sizes["heads"]
        return cls(**sizes, kv_heads=kv_heads, head_dim=head_dim)


def decoder_products(shape: DecoderShape, run: ForwardPass) -> tuple[Product, ...]:
    """The matrix products of a pass; those of all layers together, since they are alike."""
    attention, grouped = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    weights = {
        "q_proj": (shape.hidden, attention),
        "k_proj": (shape.hidden, grouped),
        "v_proj": (shape.hidden, grouped),
        "o_proj": (attention, shape.hidden),
        "gate_proj": (shape.hidden, shape.intermediate),
        "up_proj": (shape.hidden, shape.intermediate),
        "down_proj": (shape.intermediate, shape.hidden),
    }
    layers = [Product(name, WEIGHT, 1, run.rows, k, n, shape.layers) for name, (k, n) in weights.items()]
    maps = run.sequences * shape.heads
    scores = Product("attention QKᵀ", ACTIVATION, maps, run.tokens, shape.head_dim, run.length, shape.layers)
    mixing = Product("attention AV", ACTIVATION, maps, run.tokens, run.length, shape.head_dim, shape.layers)
    head = Product("lm_head", WEIGHT, 1, run.rows, shape.hidden, shape.vocab)
    return (*layers, scores, mixing, head)


def decoder_vector_work(shape: DecoderShape, run: ForwardPass) -> tuple[VectorWork, ...]:
    """What the vector unit does in a pass, by the rules of the header. Every new token's logits are read out."""
    rows, layers = run.rows, shape.layers
    softmax_rows = run.sequences * shape.heads * run.tokens
    rotated = rows * (shape.heads + shape.kv_heads) * shape.head_dim
    norm = RMSNORM_OPERATIONS * shape.hidden + RMSNORM_ROW_OPERATIONS
    softmax = softmax_rows * (SOFTMAX_OPERATIONS * run.length + RECIPROCAL_OPERATIONS)
    return (
        VectorWork("softmax", layers * softmax),
        VectorWork("RMSNorm", (2 * layers + 1) * rows * norm),
        VectorWork("rotary embedding", layers * rotated * ROTARY_OPERATIONS),
        VectorWork("SwiGLU", layers * rows * shape.intermediate * SWIGLU_OPERATIONS),
        VectorWork("residual", layers * 2 * rows * shape.hidden),
        VectorWork("read-out", rows * (shape.vocab * READOUT_OPERATIONS + EXP_OPERATIONS)),
    )


def decoder_traffic(shape: DecoderShape, run: ForwardPass, storage: Storage) -> tuple[Traffic, ...]:
    """DRAM traffic of a pass beside the weights of its products, by the rules of the module's header."""
    cached_per_token = shape.layers * 2 * shape.kv_heads * shape.head_dim * storage.kv_bits
    residual = shape.layers * run.rows * shape.hidden * storage.activation_bits
    return (
        Traffic("KV cache", run.sequences * run.length * cached_per_token, run.rows * cached_per_token),
        Traffic("residual stream", residual, residual),
        Traffic("embedding rows", run.rows * shape.hidden * storage.weight_bits, 0),
    )


def decoder_workload(
    shape: DecoderShape,
    run: ForwardPass,
    storage: Storage | None = None,
    products: tuple[MatrixProduct, ...] | None = None,
) -> Workload:
    """A pass of a decoder; `products` replaces the list made from the shape, for instance by one measured in a run."""
    storage = Storage() if storage is None else storage
    products = decoder_products(shape, run) if products is None else tuple(products)
    vector, traffic = decoder_vector_work(shape, run), decoder_traffic(shape, run, storage)
    return Workload(run.phase, run.rows, products, vector, traffic, storage)
