"""A model as it is loaded: shapes, parameters, tokenizer, and the digest that says which weights they were."""

import dataclasses
import hashlib
from collections.abc import Iterable
from pathlib import Path

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float, Int
from tokenizers import Tokenizer

from photonsim.errors import PhotonsimError
from photonsim.models.llama import LlamaConfig, Params, llama, parameter_shapes


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """A decoder ready to run. `digest_sha256` is that of the weight file, or of the shards one after another."""

    name: str
    config: LlamaConfig
    params: dict[str, jax.Array]
    tokenizer: Tokenizer
    digest_sha256: str

    def apply(self, params: Params, tokens: Int[Array, "batch length"]) -> Float[Array, "batch length vocab"]:
        """Next-token logits. The parameters are an argument, so that they can be traced: usually `model.params`."""
        return llama(params, tokens, self.config)

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, with no token of our own added at its beginning or end."""
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of some token ids."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=False)


def collect_params(
    tensors: Iterable[tuple[str, np.ndarray]], config: LlamaConfig, source: Path
) -> dict[str, jax.Array]:
    """Named tensors, one at a time, into the complete float32 parameters that `config` asks for.

    Every array is copied, so that none looks into a file. Raises `PhotonsimError`, naming tensor and source, for a
    tensor that is unknown, of the wrong shape, or not finite, and for those that are missing.
    """
    expected = parameter_shapes(config)
    params: dict[str, jax.Array] = {}
    for name, tensor in tensors:
        if name not in expected:
            raise PhotonsimError(
                f"{source} holds the tensor {name}, which a plain Llama decoder does not have: biases, rotary scaling "
                "and mixtures of experts are not supported."
            )
        if tensor.shape != expected[name]:
            raise PhotonsimError(
                f"{source}: {name} has shape {tensor.shape}, but the model's configuration says {expected[name]}."
            )
        if not np.isfinite(tensor).all():
            raise PhotonsimError(f"{source}: {name} holds NaN or infinite weights, so every result would be NaN.")
        params[name] = jnp.array(tensor, dtype=jnp.float32, copy=True)
    missing = [name for name in expected if name not in params]
    if missing:
        shown = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        raise PhotonsimError(f"{source} lacks the weights {shown}: download or export the model again.")
    return params


def sha256_of(paths: Iterable[Path]) -> str:
    """SHA-256 of files, one after another, as hexadecimal digits."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
