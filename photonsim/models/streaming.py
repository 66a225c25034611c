"""Checkpoints larger than memory: the weights stay on disk, and each is read when its layer's turn comes.

What is held is one layer, as float32, beside the activations of all windows. Every layer is read once for both runs,
the digital one and the chip's, so a text costs one pass over the files however long it is.
"""

import dataclasses
from pathlib import Path

import jax
from jax import numpy as jnp
from tokenizers import Tokenizer

from photonsim.errors import PhotonsimError
from photonsim.models.families import family_of
from photonsim.models.llama import LlamaConfig, Stage, stages
from photonsim.models.model import TextModel, collect_params, sha256_of
from photonsim.models.safetensors import (
    read_description,
    read_tensors,
    read_tokenizer,
    weight_files,
)


@dataclasses.dataclass(frozen=True, eq=False)
class Checkpoint(TextModel):
    """A Hugging Face folder of the Llama family whose weights stay on disk; `params` are their shapes."""

    name: str
    config: LlamaConfig
    tokenizer: Tokenizer
    files: tuple[Path, ...]

    @property
    def params(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shape and type of every parameter, as it is once read."""
        shapes = family_of(self.config).shapes(self.config)
        return {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in shapes.items()}

    @property
    def digest_sha256(self) -> str:
        """SHA-256 of the weight files, one after another."""
        return sha256_of(self.files)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The parts of the model, in order."""
        return stages(self.config)

    def read(self, stage: Stage) -> dict[str, jax.Array]:
        """The parameters of a stage, from disk. Raises `PhotonsimError` for weights that are missing or damaged."""
        wanted = {name for name in self.params if name.startswith(stage.prefixes)}
        return collect_params(read_tensors(self.files), self.config, self.files[0].parent, wanted)


def open_checkpoint(folder: str | Path) -> Checkpoint:
    """A folder as `load_folder` takes it, of the Llama family, with no weight read yet."""
    folder = Path(folder)
    if not folder.is_dir():
        raise PhotonsimError(f"{folder} is not a folder: only a folder of safetensors files is read layer by layer.")
    config = read_description(folder)
    if not isinstance(config, LlamaConfig):
        raise PhotonsimError(f"{folder} is not of the Llama family, the one that is read layer by layer.")
    return Checkpoint(folder.resolve().name, config, read_tokenizer(folder), tuple(weight_files(folder)))
