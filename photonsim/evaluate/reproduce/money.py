"""Published costs of training and serving: operations, accelerator hours, dollars."""

from photonsim.chip import load_chip
from photonsim.cost import baselines
from photonsim.cost.baselines import Board
from photonsim.cost.catalogue import load_architecture
from photonsim.cost.money import rented_usd, train_digitally, training_operations
from photonsim.cost.prices import default_prices
from photonsim.evaluate.reproduce.row import Row

PRINTED = "half a unit of the last printed digit"
EXACT = "a product of the published factors"
DEEPSEEK = "DeepSeek-V3 technical report, arXiv 2412.19437, Table 1"
DEEPSEEK_DAY = "DeepSeek-V3/R1 Inference System Overview, 1 March 2025, as the press quotes it"
LLAMA = "Grattafiori et al., The Llama 3 Herd of Models, arXiv 2407.21783"
CARD = "model card of Llama 3.1, meta-llama/llama-models"
GPT3 = "Brown et al., arXiv 2005.14165, Table D.1"
BOARD = "h100-int8"  # an H800 has the arithmetic of an H100


def training_hours(model: str, tokens: float) -> float:
    """Million accelerator hours at the utilisation that we assume of anybody."""
    board = baselines()[BOARD]
    assert isinstance(board, Board)
    chip = load_chip("ideal")  # the building: it has no part in the hours
    run = train_digitally(board, chip, load_architecture(model), tokens, default_prices())
    return run.accelerator_hours / 1e6


def rent(accelerator_hours: float) -> float:
    """At our default price of the board for an hour, which is DeepSeek's."""
    return rented_usd(accelerator_hours, default_prices().accelerators[BOARD].rent_usd_per_hour)


def _row(name, what, unit, ours, published, tolerance, reason, source, known="") -> Row:
    return Row(f"money/{name}", what, unit, ours, published, tolerance, reason, source, known_difference=known)


ROWS: tuple[Row, ...] = (
    _row(
        "deepseek-v3-usd", "DeepSeek-V3, 2.788 M hours", "M$", lambda: rent(2.788e6) / 1e6, 5.576, 1e-9, EXACT, DEEPSEEK
    ),
    _row(
        "deepseek-day-usd",
        "a day of DeepSeek's service, 226.75 nodes of 8",
        "$",
        lambda: rent(226.75 * 8 * 24),
        87072.0,
        1e-9,
        EXACT,
        DEEPSEEK_DAY,
    ),
    _row(
        "deepseek-v3-hours",
        "DeepSeek-V3, pre-training on 14.8 T tokens",
        "M hours",
        lambda: training_hours("deepseek-v3", 14.8e12),
        2.664,
        0.0005 / 2.664,
        PRINTED,
        DEEPSEEK,
        "Ours assumes 40 % of the 16-bit peak of anybody; the published hours are 35 % of it, and 17 % of the 8-bit "
        "peak, of which the training made use.",
    ),
    _row(
        "llama-405b-operations",
        "Llama 3.1 405B on 15.6 T tokens, 6 N D",
        "10²⁵",
        lambda: training_operations(load_architecture("llama-3.1-405b"), 15.6e12) / 1e25,
        3.8,
        0.05 / 3.8,
        PRINTED,
        LLAMA,
    ),
    _row(
        "llama-405b-hours",
        "the same, H100 hours",
        "M hours",
        lambda: training_hours("llama-3.1-405b", 15.6e12),
        30.84,
        0.005 / 30.84,
        PRINTED,
        CARD,
        "The paper's 38 to 43 % are those of undisturbed training; the card's hours hold restarts and the long-context "
        "stages, and come to 35 %.",
    ),
    _row(
        "gpt3-operations",
        "GPT-3 175B on 300 B tokens, 6 N D",
        "10²³",
        lambda: training_operations(load_architecture("gpt3-175b"), 300e9) / 1e23,
        3.14,
        0.005 / 3.14,
        PRINTED,
        GPT3,
    ),
)
