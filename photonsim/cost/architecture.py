"""What a transformer is made of, as far as its price is concerned: sizes, and nothing about what it says.

    stem ─→ [ attention (→ cross attention) → feed-forward ] × count, for each kind of layer ─→ head

One description holds dense decoders, mixtures of experts, encoders, encoder-decoders, vision and diffusion
transformers. It is read from a Hugging Face `config.json` by `photonsim.cost.config`, and becomes matrix products,
vector work and traffic in `photonsim.cost.forward`.

Biases and the scales of norms are left out of the parameter counts: under 0.2 % of any model that ships with photonsim.
"""

import equinox as eqx

from photonsim.errors import PhotonsimError, check_choice, check_count

RMS_NORM, LAYER_NORM = "RMSNorm", "LayerNorm"
SILU, GELU, RELU = "SiLU", "GELU", "ReLU"


class Linear(eqx.Module):
    """A weight matrix (k, n) outside the layers, `count` of them.

    - `per_sequence`: rows that each sequence sends through it; 0 for one row per token.
    - `shared`: its weights are another's (a head tied to the embedding table), and count once.
    """

    name: str = eqx.field(static=True)
    k: int = eqx.field(static=True)
    n: int = eqx.field(static=True)
    per_sequence: int = eqx.field(static=True, default=0)
    count: int = eqx.field(static=True, default=1)
    shared: bool = eqx.field(static=True, default=False)

    @property
    def parameters(self) -> int:
        """Weights of its own."""
        return 0 if self.shared else self.count * self.k * self.n


class Attention(eqx.Module):
    """Grouped-query attention: `heads` queries share `kv_heads` keys and values.

    - `head_dim`: length of a query, key or value.
    - `window`: tokens that a query looks back at; 0 for all.
    - `rotary`, `qk_norm`: whether queries and keys are rotated, and normalised head by head.
    """

    heads: int = eqx.field(static=True)
    kv_heads: int = eqx.field(static=True)
    head_dim: int = eqx.field(static=True)
    window: int = eqx.field(static=True, default=0)
    rotary: bool = eqx.field(static=True, default=True)
    qk_norm: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        for name in ("heads", "kv_heads", "head_dim"):
            check_count(f"attention.{name}", getattr(self, name))
        if self.heads % self.kv_heads:
            raise PhotonsimError(
                f"attention: {self.heads} heads cannot share {self.kv_heads} keys evenly; take a divisor of the heads."
            )

    def weights(self, hidden: int) -> dict[str, tuple[int, int]]:
        """Names and shapes (in, out) of the projections."""
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return {
            "q_proj": (hidden, queries),
            "k_proj": (hidden, keys),
            "v_proj": (hidden, keys),
            "o_proj": (queries, hidden),
        }

    @property
    def cached(self) -> int:
        """Numbers that the KV cache keeps of a token."""
        return 2 * self.kv_heads * self.head_dim

    @property
    def rotated(self) -> int:
        """Elements of a token that the rotary embedding turns."""
        return (self.heads + self.kv_heads) * self.head_dim if self.rotary else 0


class LatentAttention(eqx.Module):
    """Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434): keys and values of all heads from one short latent.

    - `q_rank`: length of the latent of the queries; 0 where they are projected directly.
    - `kv_rank`, `rope_dim`: the latent and the rotated key that all heads share: all that the cache keeps.
    - `nope_dim`, `value_dim`: what a head adds to its key, and its value.

    A prefill expands the latents to keys and values. A decode step would have to expand those of the whole past, so
    the expanding matrices are absorbed into query and output instead, as the paper does.
    """

    heads: int = eqx.field(static=True)
    q_rank: int = eqx.field(static=True)
    kv_rank: int = eqx.field(static=True)
    nope_dim: int = eqx.field(static=True)
    rope_dim: int = eqx.field(static=True)
    value_dim: int = eqx.field(static=True)

    def __check_init__(self):
        for name in ("heads", "kv_rank", "nope_dim", "rope_dim", "value_dim"):
            check_count(f"attention.{name}", getattr(self, name))

    @property
    def window(self) -> int:
        """Tokens that a query looks back at: all."""
        return 0

    @property
    def qk_norm(self) -> bool:
        """Whether queries and keys are normalised head by head: the latents are, which is little work."""
        return False

    @property
    def query_dim(self) -> int:
        """Length of a query."""
        return self.nope_dim + self.rope_dim

    def weights(self, hidden: int) -> dict[str, tuple[int, int]]:
        """Names and shapes (in, out) of the projections."""
        queries = self.heads * self.query_dim
        direct = {"q_proj": (hidden, queries)}
        through = {"q_a_proj": (hidden, self.q_rank), "q_b_proj": (self.q_rank, queries)}
        return {
            **(through if self.q_rank else direct),
            "kv_a_proj": (hidden, self.cached),
            "kv_b_proj": (self.kv_rank, self.heads * (self.nope_dim + self.value_dim)),
            "o_proj": (self.heads * self.value_dim, hidden),
        }

    @property
    def cached(self) -> int:
        """Numbers that the cache keeps of a token."""
        return self.kv_rank + self.rope_dim

    @property
    def rotated(self) -> int:
        """Elements of a token that the rotary embedding turns."""
        return (self.heads + 1) * self.rope_dim


class FeedForward(eqx.Module):
    """Two matrices with an activation between them, or three where one of them gates: `down(f(gate x) · up x)`."""

    intermediate: int = eqx.field(static=True)
    gated: bool = eqx.field(static=True, default=True)
    activation: str = eqx.field(static=True, default=SILU)

    def __check_init__(self):
        check_count("feed_forward.intermediate", self.intermediate)
        check_choice("feed_forward.activation", self.activation, (SILU, GELU, RELU))

    def weights(self, hidden: int) -> dict[str, tuple[int, int]]:
        """Names and shapes (in, out) of the matrices."""
        gate = {"gate_proj": (hidden, self.intermediate)} if self.gated else {}
        return {**gate, "up_proj": (hidden, self.intermediate), "down_proj": (self.intermediate, hidden)}


class Experts(eqx.Module):
    """A mixture of `count` feed-forwards: a router sends every token to `per_token` of them, and all to `shared`.

    A token goes to any expert with equal probability (*assumed*): real routers are trained to come close to it.
    """

    count: int = eqx.field(static=True)
    per_token: int = eqx.field(static=True)
    expert: FeedForward
    shared: FeedForward | None = None

    def __check_init__(self):
        check_count("experts.count", self.count)
        check_count("experts.per_token", self.per_token)
        if self.per_token > self.count:
            raise PhotonsimError(f"experts.per_token = {self.per_token}: there are only {self.count} experts.")


class Layers(eqx.Module):
    """`count` equal layers; `cross` looks at the encoder's output. `norms` counts those as wide as the model."""

    count: int = eqx.field(static=True)
    attention: Attention | LatentAttention
    feed_forward: FeedForward | Experts
    cross: Attention | None = None
    norms: int = eqx.field(static=True, default=2)

    def __check_init__(self):
        check_count("layers.count", self.count)

    def parameters(self, hidden: int, active: bool = False) -> int:
        """Weights of all the layers; `active`, those that one token meets."""
        attentions = [self.attention, *([self.cross] if self.cross else [])]
        each = sum(_size(attention.weights(hidden)) for attention in attentions)
        part = self.feed_forward
        if isinstance(part, FeedForward):
            return self.count * (each + _size(part.weights(hidden)))
        shared = _size(part.shared.weights(hidden)) if part.shared else 0
        experts = part.per_token if active else part.count
        return self.count * (each + shared + hidden * part.count + experts * _size(part.expert.weights(hidden)))


def _size(weights: dict[str, tuple[int, int]]) -> int:
    return sum(k * n for k, n in weights.values())


class Stack(eqx.Module):
    """Layers one after another at one width, between the matrices that lead in and out."""

    hidden: int = eqx.field(static=True)
    layers: tuple[Layers, ...]
    linears: tuple[Linear, ...] = ()
    norm: str = eqx.field(static=True, default=RMS_NORM)

    def __check_init__(self):
        check_count("hidden", self.hidden)
        check_choice("norm", self.norm, (RMS_NORM, LAYER_NORM))

    @property
    def depth(self) -> int:
        """Layers of all kinds."""
        return sum(layers.count for layers in self.layers)

    def parameters(self, active: bool = False) -> int:
        """Weights of all layers and of the matrices around them; `active`, those that one token meets."""
        layers = sum(each.parameters(self.hidden, active) for each in self.layers)
        return layers + sum(linear.parameters for linear in self.linears)


class Architecture(eqx.Module):
    """A model without its weights.

    - `main`: the stack that answers; `encoder`: one before it, which its cross attention looks at.
    - `vocab`: tokens it knows; 0 for a model of images.
    - `tables`: parameters that are looked up rather than multiplied: embeddings of tokens and of positions.
    - `generates`: whether it answers token by token, with a KV cache.
    - `fixed_tokens`: tokens of its every input, as of an image; 0 where the prompt decides.
    - `encoder_tokens`: tokens of the encoder's every input; 0 where the prompt is what the encoder reads.
    - `input_numbers`: numbers of an input that is no text: pixels, or a spectrogram.
    - `title`, `source`, `assumed`: what it is, who says so, and whether the maker has published it at all.
    """

    name: str = eqx.field(static=True)
    main: Stack
    encoder: Stack | None = None
    vocab: int = eqx.field(static=True, default=0)
    tables: int = eqx.field(static=True, default=0)
    generates: bool = eqx.field(static=True, default=True)
    fixed_tokens: int = eqx.field(static=True, default=0)
    encoder_tokens: int = eqx.field(static=True, default=0)
    input_numbers: int = eqx.field(static=True, default=0)
    title: str = eqx.field(static=True, default="")
    source: str = eqx.field(static=True, default="")
    assumed: bool = eqx.field(static=True, default=False)

    @property
    def parameters(self) -> int:
        """All weights, tables included; see the module's header for what is left out."""
        return self.tables + self.main.parameters() + (self.encoder.parameters() if self.encoder else 0)

    @property
    def active_parameters(self) -> int:
        """Weights that one token meets: of a mixture, the experts it is sent to. Tables included."""
        encoder = self.encoder.parameters(active=True) if self.encoder else 0
        return self.tables + self.main.parameters(active=True) + encoder
