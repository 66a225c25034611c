"""Vision transformers in plain JAX: ViT (Dosovitskiy et al., arXiv 2010.11929) and DINOv2 (Oquab et al., 2304.07193).

    x = [class; patches of the image, each times a matrix] + P
    x = x + s₁ · attention(norm(x));  x = x + s₂ · mlp(norm(x))        once per layer
    hidden states = norm(x)

The two differ in the names of their parameters and in DINOv2's learned scales s of either branch. Images are
(batch, channels, height, width), already normalised, as the model's own preprocessor leaves them.
"""

import dataclasses

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float

from photonsim.errors import PhotonsimError
from photonsim.models.config import check_fields
from photonsim.models.layers import Params, attend, layer_norm, linear, merge_heads, split_heads


@dataclasses.dataclass(frozen=True)
class VitConfig:
    """Shapes and constants of one model, under the names of its `config.json`; `dinov2`: whether it is a DINOv2."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    image_size: int
    patch_size: int
    num_channels: int = 3
    layer_norm_eps: float = 1e-12
    dinov2: bool = False

    def __post_init__(self):
        check_fields(self, divisible=("hidden_size", "num_attention_heads"))
        check_fields(self, divisible=("image_size", "patch_size"))

    @property
    def parts(self) -> dict[str, str]:
        """Names of a layer's parts in the checkpoint, by what they do."""
        both = {f"{name}": f"attention.attention.{name}" for name in ("query", "key", "value")}
        both["gather"] = "attention.output.dense"
        own = ("norm1", "norm2", "mlp.fc1", "mlp.fc2") if self.dinov2 else VIT_PARTS
        return both | dict(zip(("before", "after", "widen", "narrow"), own, strict=True))


VIT_PARTS = ("layernorm_before", "layernorm_after", "intermediate.dense", "output.dense")


def parameter_shapes(config: VitConfig) -> dict[str, tuple[int, ...]]:
    """Every parameter's name and shape; of the pooler and the mask token, which hidden states do not need, nothing."""
    hidden, wide, parts = config.hidden_size, config.intermediate_size, config.parts
    positions = (config.image_size // config.patch_size) ** 2 + 1
    projection = "embeddings.patch_embeddings.projection"
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.cls_token": (1, 1, hidden),
        "embeddings.position_embeddings": (1, positions, hidden),
        f"{projection}.weight": (hidden, config.num_channels, config.patch_size, config.patch_size),
        f"{projection}.bias": (hidden,),
    }
    matrices = {name: (hidden, hidden) for name in ("query", "key", "value", "gather")}
    matrices |= {"widen": (wide, hidden), "narrow": (hidden, wide)}
    for i in range(config.num_hidden_layers):
        layer = f"encoder.layer.{i}."
        for part, shape in matrices.items():
            shapes |= {f"{layer}{parts[part]}.weight": shape, f"{layer}{parts[part]}.bias": shape[:1]}
        for part in ("before", "after"):
            shapes |= {f"{layer}{parts[part]}.{kind}": (hidden,) for kind in ("weight", "bias")}
        if config.dinov2:
            shapes |= {f"{layer}layer_scale{branch}.lambda1": (hidden,) for branch in (1, 2)}
    return shapes | {"layernorm.weight": (hidden,), "layernorm.bias": (hidden,)}


@jax.default_matmul_precision("highest")
def vit(
    params: Params, images: Float[Array, "batch channels height width"], config: VitConfig
) -> Float[Array, "batch positions hidden"]:
    """Hidden states of the class token, first, and of every patch, row by row.

    A DINOv2 takes images of any size whose sides are multiples of the patch; its positions are interpolated. Raises
    `PhotonsimError` for images that the model cannot take.
    """
    _check_images(images, config)
    projection = "embeddings.patch_embeddings.projection"
    window = (config.patch_size, config.patch_size)
    patches = jax.lax.conv_general_dilated(images, params[f"{projection}.weight"], window, "VALID")
    patches = patches + params[f"{projection}.bias"][:, None, None]
    batch, hidden, *grid = patches.shape
    patches = patches.reshape(batch, hidden, -1).swapaxes(1, 2)
    first = jnp.broadcast_to(params["embeddings.cls_token"], (batch, 1, hidden))
    x = jnp.concatenate([first, patches], axis=1) + position_embeddings(params, config, grid[0], grid[1])
    for i in range(config.num_hidden_layers):
        x = _layer(params, f"encoder.layer.{i}.", x, config)
    return layer_norm(params, "layernorm", x, config.layer_norm_eps)


def _layer(
    params: Params, layer: str, x: Float[Array, "batch positions hidden"], config: VitConfig
) -> Float[Array, "batch positions hidden"]:
    parts, eps = config.parts, config.layer_norm_eps
    head_dim = config.hidden_size // config.num_attention_heads
    normed = layer_norm(params, layer + parts["before"], x, eps)
    q, k, v = (split_heads(linear(params, layer + parts[name], normed), head_dim) for name in ("query", "key", "value"))
    gathered = linear(params, layer + parts["gather"], merge_heads(attend(q, k, v)))
    x = x + params.get(f"{layer}layer_scale1.lambda1", 1.0) * gathered
    wide = linear(params, layer + parts["widen"], layer_norm(params, layer + parts["after"], x, eps))
    narrow = linear(params, layer + parts["narrow"], jax.nn.gelu(wide, approximate=False))
    return x + params.get(f"{layer}layer_scale2.lambda1", 1.0) * narrow


def position_embeddings(
    params: Params, config: VitConfig, rows: int, columns: int
) -> Float[Array, "1 positions hidden"]:
    """The learned positions, or, for a grid of patches of another size, those interpolated between them."""
    learned = params["embeddings.position_embeddings"]
    side = config.image_size // config.patch_size
    if (rows, columns) == (side, side):
        return learned
    grid = learned[:, 1:].reshape(side, side, -1)
    grid = jnp.einsum("ra,cb,abh->rch", cubic_weights(side, rows), cubic_weights(side, columns), grid)
    return jnp.concatenate([learned[:, :1], grid.reshape(1, rows * columns, -1)], axis=1)


def cubic_weights(old: int, new: int) -> Float[np.ndarray, "new old"]:
    """Cubic interpolation of `old` samples at `new` places, as a matrix: Keys' kernel with a = -0.75.

    Sample i stands at i + 1/2 of `old`, and the border repeats: PyTorch's bicubic, for which the checkpoints were made.
    """
    a = -0.75
    place = (np.arange(new) + 0.5) * old / new - 0.5
    below = np.floor(place).astype(int)
    weights = np.zeros((new, old))
    for tap in range(-1, 3):
        d = np.abs(place - below - tap)
        near = ((a + 2) * d - (a + 3)) * d * d + 1
        far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
        np.add.at(weights, (np.arange(new), np.clip(below + tap, 0, old - 1)), np.where(d <= 1, near, far))
    return weights.astype(np.float32)


def _check_images(images: Float[Array, "batch channels height width"], config: VitConfig) -> None:
    channels, side, patch = config.num_channels, config.image_size, config.patch_size
    if images.ndim == 4 and images.shape[1:] == (channels, side, side):
        return
    if not config.dinov2:
        raise PhotonsimError(
            f"images of shape {images.shape}: this model takes (batch, {channels}, {side}, {side}), its image_size."
        )
    if images.ndim != 4 or images.shape[1] != channels or any(s % patch or not s for s in images.shape[2:]):
        raise PhotonsimError(
            f"images of shape {images.shape}: this model takes (batch, {channels}, height, width) with sides that are "
            f"multiples of its patches, {patch} pixels."
        )
