"""Small JAX transformers and loaders of real checkpoints."""

from photonsim.models.gguf import load_gguf
from photonsim.models.llama import LlamaConfig, llama, parameter_shapes
from photonsim.models.model import Model
from photonsim.models.registry import available, load
from photonsim.models.safetensors import load_folder
from photonsim.models.text import read_text, sample_text

__all__ = [
    "LlamaConfig",
    "Model",
    "available",
    "llama",
    "load",
    "load_folder",
    "load_gguf",
    "parameter_shapes",
    "read_text",
    "sample_text",
]
