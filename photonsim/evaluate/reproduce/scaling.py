"""The scaling of optical Transformers (Anderson et al.): the law of light, and the advantage of the whole bill."""

import math

from photonsim.chip import load_chip
from photonsim.cost.catalogue import load_architecture
from photonsim.cost.decoder_family import scaled_decoder
from photonsim.cost.scaling import AS_DESCRIBED, FREE_WRITES, FUTURE, advantages, light_exponent, scaling_study
from photonsim.evaluate.reproduce.row import Row

SOURCE = "Anderson et al., TMLR 2024, arXiv 2302.10360, abstract"
TOKENS = 1024
ABOUT = "a factor of two either way: the paper says 'about'"
ASSUMED = "The converters' energies, photons and cells of this preset are assumed: the paper's tables were not at hand."
SHAPE = (
    "What is paid per input or output falls as 1/width, so the advantage at a size is set by its width: ours has "
    "GPT-3's proportions, 220,160 wide. What width the paper gave a quadrillion parameters was not at hand; photonsim "
    "scale prints the one that reaches 8,000."
)
WRITES = "Half of our bill writes keys and values into cells at an assumed 1 nJ; without it, see claim-100-free-writes."


def exponent_of_light() -> float:
    """Slope of the light of a multiply-accumulate over width, from 10¹¹ to 10¹⁵ parameters in GPT-3's shape."""
    family = [scaled_decoder(10.0**n) for n in range(11, 16)]
    return light_exponent(scaling_study(load_chip("optical-transformer-2023"), family, TOKENS))


def reached(model: str | float, assumption: str) -> float:
    """Advantage over 300 fJ of the whole bill of a built-in model, or of one scaled to so many parameters."""
    shape = load_architecture(model) if isinstance(model, str) else scaled_decoder(model)
    return advantages(load_chip("optical-transformer-2023"), shape, TOKENS)[assumption]


def _claim(name: str, what: str, model: str | float, assumption: str, published: float, known: str = "") -> Row:
    return Row(
        f"scaling/{name}",
        f"{what}, × below 300 fJ/MAC",
        "×",
        lambda: reached(model, assumption),
        published,
        0.5,
        ABOUT,
        SOURCE,
        ASSUMED,
        known,
    )


ROWS: tuple[Row, ...] = (
    Row(
        "scaling/light-exponent",
        "exponent of light per multiply-accumulate against width, of whole models",
        "1",
        exponent_of_light,
        -1.0,
        0.6 * math.log(1.01801) / 2 / (math.log(220160 / 10240) / 4),
        "attention and the padded head move light × width by 1.80 %; that moves the slope of five even steps u by no "
        "more than 0.6 · ln(1.018) / 2u",
        SOURCE,
    ),
    _claim("claim-100", "530B parameters", "mt-nlg-530b", AS_DESCRIBED, 100.0, WRITES),
    _claim("claim-100-free-writes", "the same, cells written for nothing", "mt-nlg-530b", FREE_WRITES, 100.0),
    _claim("claim-8000", "10¹⁵ parameters, cells written for nothing", 1e15, FREE_WRITES, 8000.0, SHAPE),
    _claim("claim-100000", "10¹⁵ parameters, future electronics", 1e15, FUTURE, 1e5, SHAPE),
)
