"""Decoders of every size: those whose shapes are published, and above them GPT-3 scaled up by a stated rule.

Kaplan et al. (arXiv 2001.08361) find that a model's loss depends on its size and hardly on its shape, so a rule is a
choice: ours holds GPT-3's proportion of width to depth, `d / L = 128`, its heads of 128 and its vocabulary.
"""

import math

from photonsim.cost.architecture import Architecture
from photonsim.cost.catalogue import entries, load_architecture
from photonsim.cost.config import architecture
from photonsim.errors import PhotonsimError, check_number, nearest

DECODERS = (  # dense decoders of every size whose shapes are published
    "gpt2",
    "gpt2-medium",
    "gpt2-large",
    "gpt2-xl",
    "llama-3.1-8b",
    "llama-3.1-70b",
    "gpt3-175b",
    "llama-3.1-405b",
    "mt-nlg-530b",
)
ASPECT = 128.0  # width over depth of GPT-3: 12,288 / 96
LARGEST = 1e18  # a thousand quadrillion
HEAD_DIM, VOCABULARY, CONTEXT = 128, 50257, 2048  # GPT-3's too


def read_size(text: str) -> float:
    """A number of parameters, from a number or from the name of a built-in model."""
    if text in entries():
        return float(load_architecture(text).parameters)
    try:
        size = float(text)
    except ValueError:
        raise PhotonsimError(
            f"Size {text!r} is neither a number of parameters nor a model. {nearest(text, entries())}"
        ) from None
    _check_size("size", size)
    return size


def decoder_family(smallest: float, largest: float, aspect: float = ASPECT) -> tuple[Architecture, ...]:
    """Published dense decoders between two sizes, then scaled ones at every power of ten above them, and at the end."""
    for name, size in (("smallest", smallest), ("largest", largest)):
        _check_size(name, size)
    if smallest > largest:
        raise PhotonsimError(f"The smallest model, {smallest:g} parameters, is larger than the largest, {largest:g}.")
    published = sorted((load_architecture(name) for name in DECODERS), key=lambda model: model.parameters)
    top = published[-1].parameters
    real = [model for model in published if smallest <= model.parameters <= largest]
    above = max(smallest, top)
    decades = [10.0**n for n in range(math.ceil(math.log10(above)), math.ceil(math.log10(largest)) + 1)]
    sizes = sorted({size for size in (*decades, largest) if above <= size <= largest and size > top})
    scaled = [scaled_decoder(size, aspect) for size in sizes]
    if not real and not scaled:
        scaled = [scaled_decoder(size, aspect) for size in sorted({smallest, largest})]
    return (*real, *scaled)


def scaled_decoder(parameters: float, aspect: float = ASPECT) -> Architecture:
    """GPT-3 at another size: `12 L d²` weights in the layers with `d / L = aspect`, heads of 128, its vocabulary.

    The width is rounded to whole heads, the depth to the number of parameters.
    """
    check_number("aspect", aspect, above=0.0)
    _check_size("parameters", parameters)
    heads = max(round((aspect * parameters / 12) ** (1 / 3) / HEAD_DIM), 1)
    width = heads * HEAD_DIM
    depth = max(round((parameters - (VOCABULARY + CONTEXT) * width) / (12 * width**2)), 1)
    config = {"model_type": "gpt2", "vocab_size": VOCABULARY, "n_embd": width, "n_layer": depth, "n_head": heads}
    about = {
        "title": f"scaled to {parameters:.3g}",
        "source": f"no such model: GPT-3's heads and vocabulary, width over depth {aspect:g}",
        "assumed": True,
    }
    model = architecture(config | {"n_positions": CONTEXT}, f"{parameters:.3g}".replace("e+", "e"), **about)
    if abs(model.parameters / parameters - 1) > 0.5:
        raise PhotonsimError(
            f"No decoder of {parameters:g} parameters has whole heads of {HEAD_DIM}, GPT-3's vocabulary and {aspect:g} "
            "times the width of its depth: take more parameters, or another aspect."
        )
    return model


def _check_size(name: str, size: float) -> None:
    check_number(name, size, above=0.0)
    if size > LARGEST:
        raise PhotonsimError(f"{name} = {size:g}: models here have up to {LARGEST:g} parameters.")
