"""What thinking costs: an answer against the tokens that a reasoning model writes before it.

Every thinking token is a decode step, and every step looks back at all tokens before it, so the bill of an answer grows
faster than its length:

    E(T) = E_prefill + n · e + n² / 2 · e_cache,   n = thinking + answer − 1

`e` is the step right after the prompt, `e_cache` what one more token in the KV cache adds to each later step: reading
its keys and values, and multiplying by them. `growth_share` is the part that would not be there if the context did not
grow.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from photonsim.chip import Chip
from photonsim.cost.architecture import Architecture
from photonsim.cost.baselines import Board
from photonsim.cost.money import Offer, chips_needed, digital_offer, photonic_offer
from photonsim.cost.prices import Prices
from photonsim.cost.serving import Request, last_step, request_j
from photonsim.cost.workload import Storage
from photonsim.errors import PhotonsimError, check_count

KV_CACHE = "KV cache"


class Answer(NamedTuple):
    """One answer after so many thinking tokens, `offer` with its joules, seconds and dollars.

    - `growth_share`: share of the joules that is there only because the context grew past the prompt.
    - `cache_bits`: the KV cache of one answer at its end.
    """

    thinking: int
    offer: Offer
    growth_share: float
    cache_bits: float

    @property
    def joules(self) -> float:
        """Of the package, for one answer."""
        return float(self.offer.service.j_per_request)

    @property
    def seconds(self) -> float:
        """Until the last token."""
        return float(self.offer.service.s_per_request)

    @property
    def usd(self) -> float:
        """Hardware and electricity of one answer."""
        return float(self.offer.request_usd)


class Question(NamedTuple):
    """`prompt` tokens in, `answer` tokens out after the thinking, `batch` of them at once."""

    prompt: int = 512
    answer: int = 256
    batch: int = 1

    def request(self, thinking: int) -> Request:
        """The question as a request, thinking and answer being what is written."""
        if isinstance(thinking, bool) or not isinstance(thinking, int) or thinking < 0:
            raise PhotonsimError(f"thinking = {thinking!r} must be a whole number of at least 0.")
        check_count("answer", self.answer)
        return Request(self.prompt, thinking + self.answer, self.batch)


def answers(
    chip: Chip,
    model: Architecture,
    question: Question,
    thinking: Sequence[int],
    prices: Prices,
    storage: Storage | None = None,
    chips: int | None = None,
) -> tuple[Answer, ...]:
    """The question with each number of thinking tokens, on as many photonic chips as the longest needs."""
    _check_decodes(model)
    requests = {each: question.request(each) for each in thinking}
    longest = question.request(max(requests))
    count = chips_needed(chip, model, longest, storage) if chips is None else chips

    def offer(request: Request) -> Offer:
        return photonic_offer(chip, model, request, prices, storage, count)

    return _answers(offer, requests, question, model, storage)


def digital_answers(
    board: Board,
    chip: Chip,
    model: Architecture,
    question: Question,
    thinking: Sequence[int],
    prices: Prices,
    storage: Storage | None = None,
) -> tuple[Answer, ...]:
    """The same on boards, for each number of thinking tokens as many as it needs."""
    _check_decodes(model)
    requests = {each: question.request(each) for each in thinking}

    def offer(request: Request) -> Offer:
        return digital_offer(board, chip, model, request, prices, storage)

    return _answers(offer, requests, question, model, storage)


def _check_decodes(model: Architecture) -> None:
    if not model.generates:
        raise PhotonsimError(f"{model.name} answers in one pass: it writes no tokens to think with.")


def _answers(
    offer: Callable[[Request], Offer],
    requests: dict[int, Request],
    question: Question,
    model: Architecture,
    storage: Storage | None,
) -> tuple[Answer, ...]:
    start = offer(Request(question.prompt, 1, question.batch)).service.decode  # the step right after the prompt
    found = []
    for thinking, request in requests.items():
        each = offer(request)
        without = request_j(request, each.service.prefill.bill.total_j, start.bill.total_j if start else 0.0)
        growth = 1 - float(without) / float(each.service.j_per_request)
        held = sum(stream.held_bits for stream in last_step(model, request, storage).traffic if stream.name == KV_CACHE)
        found.append(Answer(thinking, each, max(growth, 0.0), held / request.batch))
    return tuple(found)
