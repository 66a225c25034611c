"""Door 2: an unmodified Hugging Face model, or any other PyTorch model, on a photonic chip.

    import photonsim.hf
    sim = photonsim.hf.simulate(model, photonsim.load_chip("lightmatter-envise-2025"))
    sim.generate(**tokenizer("The capital of France is", return_tensors="pt"))

No module is replaced and no architecture known: the matrix products are taken where they reach PyTorch's dispatcher.
PyTorch is imported here and nowhere else in photonsim, and only when it is used.
"""

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from photonsim.errors import PhotonsimError
from photonsim.swap import AbstractMatmulUnit, Rule
from photonsim.swap.simulation import Seed

if TYPE_CHECKING:
    from photonsim.hf.simulation import ModelOnChip

__all__ = ["load_model", "simulate", "trace"]


def simulate(
    model: Any,
    chip: AbstractMatmulUnit,
    rules: Sequence[Rule] | None = None,
    seed: Seed = 0,
    strict: bool = False,
    engine: str = "auto",
) -> "ModelOnChip":
    """Put the matrix products of a PyTorch model on a chip. What comes back has the model's own methods.

    - `model`: a `torch.nn.Module`, or what `load_model` takes.
    - `chip`: a `photonsim.Chip`, or anything with its `program`, `compact` and `matmul`.
    - `rules`: see `photonsim.swap.rules`; before the default ones.
    - `seed`: whole number or JAX key of the noise.
    - `strict`: refuse a product that stays digital though no rule says so, and a rule that decides nothing.
    - `engine`: `"auto"`, `"numba"`, `"jax"` or `"pallas"`. With `"auto"` PyTorch itself answers for a chip that nothing
      disturbs.
    """
    _require("torch")
    import torch

    from photonsim.hf.simulation import ModelOnChip

    if not isinstance(model, torch.nn.Module):
        model = load_model(model)
    return ModelOnChip(model, chip, () if rules is None else tuple(rules), seed, strict, engine)


def load_model(source: str | Path) -> Any:
    """A Hugging Face model from its folder, a `.gguf` or `.onnx` file, or by a name known to `photonsim.load_model`."""
    _require("torch", "transformers")
    from photonsim.hf.loading import load

    return load(source)


def trace(model: Any) -> tuple[Callable[..., Any], dict[str, Any]]:
    """A PyTorch model's forward as a JAX function `f(weights, *args, **kwargs)`, and its weights: for Door 1."""
    _require("torch")
    from photonsim.hf.traced import trace

    return trace(model)


def _require(*packages: str) -> None:
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise PhotonsimError(f"photonsim.hf needs {' and '.join(missing)}: pip install 'photonsim[hf]'.")
