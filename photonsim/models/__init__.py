"""Small JAX transformers and loaders of real checkpoints."""

from photonsim.models.gguf import load_gguf
from photonsim.models.llama import LlamaConfig, llama, parameter_shapes
from photonsim.models.model import Model, TextModel
from photonsim.models.registry import available, load
from photonsim.models.safetensors import load_folder
from photonsim.models.streaming import Checkpoint, open_checkpoint
from photonsim.models.text import read_text, sample_text

__all__ = [
    "Checkpoint",
    "LlamaConfig",
    "Model",
    "TextModel",
    "available",
    "llama",
    "load",
    "load_folder",
    "load_gguf",
    "open_checkpoint",
    "parameter_shapes",
    "read_text",
    "sample_text",
]
