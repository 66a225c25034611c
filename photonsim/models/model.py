"""A model as it is loaded: shapes, parameters, tokenizer, and the digest that says which weights they were."""

import dataclasses
import hashlib
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array
from tokenizers import Tokenizer

from photonsim.errors import PhotonsimError
from photonsim.models.families import Config, Place, family_of
from photonsim.models.layers import Params

NamedTensor = tuple[str, Callable[[], np.ndarray]]  # a tensor of a checkpoint: its name, and how to read it


class TextModel:
    """What a model answers to wherever its weights are."""

    name: str
    config: Any  # of the class of its family
    tokenizer: Any  # a `Tokenizer`, or `None` where images go in

    def apply(self, params: Params, inputs: Array) -> Array:
        """Next-token logits of a decoder, hidden states of an encoder, as its family returns them.

        The parameters are an argument, so that they can be traced: usually `model.params`.
        """
        return family_of(self.config).forward(params, inputs, self.config)

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, with no token of our own added at its beginning or end."""
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of some token ids."""
        return self._tokenizer.decode(list(ids), skip_special_tokens=False)

    @property
    def longest(self) -> int:
        """Tokens that the model can be given at once. Raises `PhotonsimError` for one that predicts no next token."""
        if family_of(self.config).cached is None:
            raise PhotonsimError(
                f"{self.name} is an encoder: it predicts no next token, so a text has no perplexity. "
                "photonsim.simulate(model.apply, chip) puts it on a chip."
            )
        return self.config.max_position_embeddings

    @property
    def _tokenizer(self) -> Tokenizer:
        if self.tokenizer is None:
            raise PhotonsimError(f"{self.name} has no tokenizer: it takes images, not text.")
        return self.tokenizer


@dataclasses.dataclass(frozen=True, eq=False)
class Model(TextModel):
    """A model ready to run. `digest_sha256` is that of the weight file, or of the shards one after another."""

    name: str
    config: Any
    params: dict[str, jax.Array]
    tokenizer: Any
    digest_sha256: str


def collect_params(
    tensors: Iterable[NamedTensor], config: Config, source: Path, wanted: Collection[str] | None = None
) -> dict[str, jax.Array]:
    """The float32 parameters that `config` asks for, or the `wanted` ones of them, read one tensor at a time.

    Every array is copied, so that none looks into a file. Raises `PhotonsimError`, naming tensor and source, for a
    tensor that is unknown, of the wrong shape, or not finite, and for those that are missing.
    """
    family = family_of(config)
    expected = family.shapes(config)
    needed = expected if wanted is None else wanted
    params: dict[str, jax.Array] = {}
    experts: dict[str, dict[int, np.ndarray]] = {}
    for name, read in tensors:
        place = family.place(name, config)
        if place is None or (place.parameter in expected and place.parameter not in needed):
            continue
        tensor = read()
        _check_tensor(name, tensor, place, expected, source)
        if place.expert is None:
            params[place.parameter] = jnp.array(tensor, dtype=jnp.float32, copy=True)
            continue
        gathered = experts.setdefault(place.parameter, {})
        gathered[place.expert] = np.array(tensor, dtype=np.float32)
        if len(gathered) == expected[place.parameter][0]:
            stacked = [expert for _, expert in sorted(experts.pop(place.parameter).items())]
            params[place.parameter] = jnp.array(np.stack(stacked))
    missing = [name for name in needed if name not in params]
    if missing:
        shown = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        raise PhotonsimError(f"{source} lacks the weights {shown}: download or export the model again.")
    return params


def _check_tensor(
    name: str, tensor: np.ndarray, place: Place, expected: dict[str, tuple[int, ...]], source: Path
) -> None:
    if place.parameter not in expected or (place.expert or 0) >= expected[place.parameter][0]:
        raise PhotonsimError(f"{source} holds the tensor {name}, which a model of its configuration does not have.")
    shape = expected[place.parameter][0 if place.expert is None else 1 :]
    if tensor.shape != shape:
        raise PhotonsimError(f"{source}: {name} has shape {tensor.shape}, but the model's configuration says {shape}.")
    if not np.isfinite(tensor).all():
        raise PhotonsimError(f"{source}: {name} holds NaN or infinite weights, so every result would be NaN.")


def sha256_of(paths: Iterable[Path]) -> str:
    """SHA-256 of files, one after another, as hexadecimal digits."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
