"""From an architecture and the size of a pass to a `Workload`.

**Operations of the vector unit.** One operation is one addition, multiplication, comparison or table look-up on one
element. The functions cost, in such operations (our counting rules; an implementation may need fewer or more):

    exp          8   range reduction 2, polynomial of degree 5 by Horner's rule 5, exponent insertion 1
    1/x, 1/√x    8   first guess 2, two Newton steps of 3
    softmax      per score: scale, mask, maximum, subtraction, exp, sum, multiplication = 14; per row one 1/x
    RMSNorm      per element: square, sum, two multiplications = 4; per row 2 and one 1/√x
    LayerNorm    per element: sum, subtraction, square, sum, two multiplications, addition = 7; per row 3 and one 1/√x
    rotary       per element of q and k: 3 (a pair takes four multiplications and two additions; cos and sin are tabled)
    activation   per element: silu(g) = g / (1 + exp(-g)) takes 1 + 8 + 1 + 8 + 1 = 19; gelu by tanh 5 more; relu 1;
                 the product of a gate 1
    residual     per element: 1, for each half of a layer
    routing      per score as softmax, and one comparison for each expert chosen; per element of an expert's result 2
    read-out     per logit: maximum, subtraction, exp, sum = 11; per row one logarithm, counted as an exp

**DRAM.** Weights once per pass; of a mixture of experts those of the experts that some token is sent to. Keys and
values are written once and read once per layer and pass. The residual stream leaves the chip and returns once per
layer; everything else of a layer stays in SRAM, attention scores included (as in FlashAttention, Dao et al. 2022).
Logits are consumed where they are made. An embedding row is read per token.

**Attention.** Queries that share a key are one product: `batch` = sequences × key heads, `m` = tokens × queries of a
key. The causal half of the square is not skipped. Where a layer looks back at `window` tokens only, every query meets
that many keys: blocks of `window` queries, each with as many keys.
"""

from collections.abc import Iterable

from photonsim.cost.architecture import (
    GELU,
    RELU,
    RMS_NORM,
    Architecture,
    Attention,
    Experts,
    FeedForward,
    LatentAttention,
    Layers,
    Linear,
    Stack,
)
from photonsim.cost.workload import (
    ACTIVATION,
    WEIGHT,
    ForwardPass,
    MatrixProduct,
    Product,
    Storage,
    Traffic,
    VectorWork,
    Workload,
)

EXP_OPERATIONS = 8
RECIPROCAL_OPERATIONS = 8
SOFTMAX_OPERATIONS = 6 + EXP_OPERATIONS  # per score
RMSNORM_OPERATIONS = 4  # per element
RMSNORM_ROW_OPERATIONS = 2 + RECIPROCAL_OPERATIONS
LAYERNORM_OPERATIONS = 7  # per element
LAYERNORM_ROW_OPERATIONS = 3 + RECIPROCAL_OPERATIONS
ROTARY_OPERATIONS = 3  # per element
SILU_OPERATIONS = 3 + EXP_OPERATIONS + RECIPROCAL_OPERATIONS  # per element
GELU_OPERATIONS = 5 + SILU_OPERATIONS  # per element
COMBINE_OPERATIONS = 2  # per element of an expert's result
READOUT_OPERATIONS = 3 + EXP_OPERATIONS  # per logit
TOKEN_BITS = 32


def forward(
    model: Architecture,
    run: ForwardPass,
    storage: Storage | None = None,
    products: Iterable[MatrixProduct] | None = None,
) -> Workload:
    """One pass of a model; `products` replaces the list made from the shapes, for instance by one measured in a run."""
    storage = Storage() if storage is None else storage
    reading = _reading(model, run)
    made = stack_products(model.main, run, reading)
    vector, traffic = vector_work(model, run, reading), stack_traffic(model, run, reading, storage)
    if model.encoder is not None and run.phase == "prefill":
        made = (*stack_products(model.encoder, _as_encoder(run, reading), 0), *made)
    chosen = made if products is None else tuple(products)
    return Workload(
        run.phase,
        run.rows,
        chosen,
        vector,
        traffic,
        storage,
        model.parameters,
        depth=model.main.depth,
        stream_bits=run.rows * model.main.hidden * storage.activation_bits,
        host_bits=_host_bits(model, run, storage),
    )


def _host_bits(model: Architecture, run: ForwardPass, storage: Storage) -> int:
    """A token's number in and its answer's out, 32 bits each; of sound and images the input itself."""
    sensed = 0 if run.past else run.sequences * model.input_numbers * storage.activation_bits
    return sensed + 2 * TOKEN_BITS * run.rows * bool(model.vocab)


def _reading(model: Architecture, run: ForwardPass) -> int:
    """Tokens that the encoder reads for each sequence."""
    return (model.encoder_tokens or run.source or run.tokens) if model.encoder else 0


def _as_encoder(run: ForwardPass, reading: int) -> ForwardPass:
    return ForwardPass(run.sequences, reading)


# Matrix products


def stack_products(stack: Stack, run: ForwardPass, reading: int = 0) -> tuple[Product, ...]:
    """The products of a pass through a stack; those of equal layers together."""
    inside = [product for layers in stack.layers for product in _layers(layers, stack.hidden, run, reading)]
    return (*inside, *(_linear(linear, run) for linear in stack.linears))


def _linear(linear: Linear, run: ForwardPass) -> Product:
    rows = run.sequences * linear.per_sequence if linear.per_sequence else run.rows
    return Product(linear.name, WEIGHT, 1, rows, linear.k, linear.n, linear.count)


def _layers(layers: Layers, hidden: int, run: ForwardPass, reading: int) -> list[Product]:
    """The products of equal layers."""
    attention = layers.attention
    weights = attention.weights(hidden)
    if isinstance(attention, LatentAttention):
        if run.past:
            del weights["kv_b_proj"]
        pairs = _latent_pairs(attention, run, layers.count)
    else:
        pairs = _pairs(attention, run, run.length, layers.count, "attention")
    products = [Product(name, WEIGHT, 1, run.rows, k, n, layers.count) for name, (k, n) in weights.items()] + pairs
    if layers.cross:
        products += _cross(layers.cross, hidden, run, reading, layers.count)
    return products + _feed_forward_products(layers.feed_forward, hidden, run.rows, layers.count)


def _pairs(attention: Attention, run: ForwardPass, length: int, count: int, name: str) -> list[Product]:
    """Scores and mixing of the values."""
    queries, dim = attention.heads // attention.kv_heads, attention.head_dim
    maps, rows = run.sequences * attention.kv_heads, run.tokens
    if attention.window and attention.window < length:
        length = attention.window
        blocks = -(-rows // length)
        maps, rows = maps * blocks, -(-rows // blocks)
    return [
        Product(f"{name} QKᵀ", ACTIVATION, maps, queries * rows, dim, length, count),
        Product(f"{name} AV", ACTIVATION, maps, queries * rows, length, dim, count),
    ]


def _latent_pairs(attention: LatentAttention, run: ForwardPass, count: int) -> list[Product]:
    """Scores and mixing: of expanded keys in a prefill, of the latents themselves where a past is cached."""
    heads, rows, length = attention.heads, run.rows, run.length
    if not run.past:
        maps = run.sequences * heads
        return [
            Product("attention QKᵀ", ACTIVATION, maps, run.tokens, attention.query_dim, length, count),
            Product("attention AV", ACTIVATION, maps, run.tokens, length, attention.value_dim, count),
        ]
    shared = run.tokens * heads
    return [
        Product("k_b_proj, absorbed", WEIGHT, heads, rows, attention.nope_dim, attention.kv_rank, count),
        Product("attention QCᵀ", ACTIVATION, run.sequences, shared, attention.cached, length, count),
        Product("attention AC", ACTIVATION, run.sequences, shared, length, attention.kv_rank, count),
        Product("v_b_proj, absorbed", WEIGHT, heads, rows, attention.kv_rank, attention.value_dim, count),
    ]


def _cross(attention: Attention, hidden: int, run: ForwardPass, reading: int, count: int) -> list[Product]:
    """Attention to the encoder's output, whose keys and values are made once, in the prefill."""
    weights = attention.weights(hidden)
    if run.past:
        del weights["k_proj"], weights["v_proj"]
    rows = {"k_proj": run.sequences * reading, "v_proj": run.sequences * reading}
    made = [
        Product(f"cross {name}", WEIGHT, 1, rows.get(name, run.rows), k, n, count) for name, (k, n) in weights.items()
    ]
    return made + _pairs(attention, run, reading, count, "cross attention")


def _feed_forward_products(part: FeedForward | Experts, hidden: int, rows: int, count: int) -> list[Product]:
    if isinstance(part, FeedForward):
        return [Product(name, WEIGHT, 1, rows, k, n, count) for name, (k, n) in part.weights(hidden).items()]
    products = [Product("router", WEIGHT, 1, rows, hidden, part.count, count)]
    if part.shared:
        shared = part.shared.weights(hidden).items()
        products += [Product(f"shared {name}", WEIGHT, 1, rows, k, n, count) for name, (k, n) in shared]
    for name, (k, n) in part.expert.weights(hidden).items():
        products += [
            Product(f"expert {name}", WEIGHT, experts, each, k, n, count) for experts, each in dealt(part, rows)
        ]
    return products


def experts_met(part: Experts, rows: int) -> int:
    """Experts that some of `rows` tokens is sent to, expected: `E (1 − (1 − k/E)^rows)`, rounded."""
    share = part.per_token / part.count
    return min(max(round(part.count * (1 - (1 - share) ** rows)), part.per_token), part.count)


def dealt(part: Experts, rows: int) -> list[tuple[int, int]]:
    """(experts, tokens of each): all `rows · per_token` visits, dealt out as evenly as whole numbers allow."""
    visits, met = rows * part.per_token, experts_met(part, rows)
    each, more = divmod(visits, met)
    return [(experts, tokens) for experts, tokens in ((met - more, each), (more, each + 1)) if experts and tokens]


# Vector work


def vector_work(model: Architecture, run: ForwardPass, reading: int) -> tuple[VectorWork, ...]:
    """What the vector unit does in a pass, by the rules of the header. Every new token's logits are read out."""
    operations: dict[str, int] = {}
    stacks = [(model.main, run)]
    if model.encoder is not None and run.phase == "prefill":
        stacks.append((model.encoder, _as_encoder(run, reading)))
    for stack, each in stacks:
        for name, count in _stack_operations(stack, each, reading):
            operations[name] = operations.get(name, 0) + count
    if model.vocab:
        operations["read-out"] = run.rows * (model.vocab * READOUT_OPERATIONS + EXP_OPERATIONS)
    return tuple(VectorWork(name, count) for name, count in operations.items() if count)


def _stack_operations(stack: Stack, run: ForwardPass, reading: int) -> Iterable[tuple[str, int]]:
    rows, norm = run.rows, _norm_operations(stack.norm, stack.hidden)
    yield stack.norm, rows * norm  # the last
    for layers in stack.layers:
        attention, count = layers.attention, layers.count
        seen = min(attention.window or run.length, run.length)
        yield "softmax", count * _softmax(run.sequences * attention.heads * run.tokens, seen)
        if layers.cross:
            yield "softmax", count * _softmax(run.sequences * layers.cross.heads * run.tokens, reading)
        yield stack.norm, count * layers.norms * rows * norm
        if isinstance(attention, Attention) and attention.qk_norm:
            heads = attention.heads + attention.kv_heads
            yield stack.norm, count * rows * heads * _norm_operations(stack.norm, attention.head_dim)
        yield "rotary embedding", count * rows * attention.rotated * ROTARY_OPERATIONS
        yield from _feed_forward_operations(layers.feed_forward, stack.hidden, rows, count)
        halves = 3 if layers.cross else 2
        yield "residual", count * halves * rows * stack.hidden


def _softmax(rows: int, scores: int) -> int:
    return rows * (SOFTMAX_OPERATIONS * scores + RECIPROCAL_OPERATIONS)


def _norm_operations(norm: str, width: int) -> int:
    if norm == RMS_NORM:
        return RMSNORM_OPERATIONS * width + RMSNORM_ROW_OPERATIONS
    return LAYERNORM_OPERATIONS * width + LAYERNORM_ROW_OPERATIONS


def _feed_forward_operations(
    part: FeedForward | Experts, hidden: int, rows: int, count: int
) -> Iterable[tuple[str, int]]:
    if isinstance(part, FeedForward):
        yield part.activation, count * rows * part.intermediate * _activation_operations(part)
        return
    yield from _feed_forward_operations(part.expert, hidden, rows * part.per_token, count)
    if part.shared:
        yield from _feed_forward_operations(part.shared, hidden, rows, count)
    scores = _softmax(rows, part.count) + rows * part.count * part.per_token
    yield "routing", count * (scores + rows * part.per_token * hidden * COMBINE_OPERATIONS)


def _activation_operations(part: FeedForward) -> int:
    per_element = {GELU: GELU_OPERATIONS, RELU: 1}.get(part.activation, SILU_OPERATIONS)
    return per_element + part.gated


# Traffic


def stack_traffic(model: Architecture, run: ForwardPass, reading: int, storage: Storage) -> tuple[Traffic, ...]:
    """DRAM traffic of a pass beside the weights of its products, by the rules of the module's header."""
    stack, rows = model.main, run.rows
    width_bits = stack.hidden * storage.activation_bits
    moved = stack.depth * rows * width_bits
    streams = [Traffic("residual stream", moved, moved, rows * width_bits)]
    if model.encoder is not None and not run.past:
        read_in = run.sequences * reading * model.encoder.hidden * storage.activation_bits
        moved = model.encoder.depth * read_in
        streams.append(Traffic("encoder's residual stream", moved, moved, read_in))
    if model.vocab:
        streams.append(Traffic("embedding rows", rows * stack.hidden * storage.weight_bits, 0, 0))
    if model.generates:
        streams.append(_cache(model, run, reading, storage))
    return tuple(streams)


def _cache(model: Architecture, run: ForwardPass, reading: int, storage: Storage) -> Traffic:
    """The KV cache: of every layer what its window sees is read, and the new tokens are written."""
    read = written = held = 0
    for layers in model.main.layers:
        bits = layers.count * layers.attention.cached * storage.kv_bits
        seen = run.sequences * min(layers.attention.window or run.length, run.length)
        read, written, held = read + seen * bits, written + run.rows * bits, held + seen * bits
        if layers.cross:
            crossed = layers.count * layers.cross.cached * storage.kv_bits * run.sequences * reading
            read, written, held = read + crossed, written + (0 if run.past else crossed), held + crossed
    return Traffic("KV cache", read, written, held)
