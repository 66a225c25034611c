"""Policies: sets of rules that have a name, for what people commonly try.

    simulate(model, chip, policy("no-head"))                            # or --policy no-head
    simulate(model, chip, [Rule("*.0.*", "digital"), *policy("weights-only")])     # rules of one's own come first

Each but `everything` keeps the routers of mixtures of experts digital, as no policy at all does.
"""

from dataclasses import dataclass

from photonsim.errors import PhotonsimError, nearest
from photonsim.swap.outliers import SplitOutliers
from photonsim.swap.rules import CHIP, DIGITAL, ROUTER_RULES, Rule
from photonsim.swap.site import ACTIVATION, WEIGHT

# What turns the residual stream into logits, as checkpoints call it; the embedding where the head is tied to it.
HEAD = (
    r"re:(.*\.)?(lm_head|head|embed_out|output_projection|proj_out|classifier|score|predictions\.decoder|decoder"
    r"|embed_tokens|wte|word_embeddings|token_embeddings|shared)(\.weight)?"
)
OUTSIDE = r"re:(?!(.*\.)?\d+([.:#]|$)).*"  # names without a number among their parts
HEAD_KEPT = "the head, kept digital by policy"
EDGE_KEPT = "in the first or last layer or outside the layers, kept digital by policy"


@dataclass(frozen=True)
class Policy:
    """A set of rules and what it is for, in a line."""

    title: str
    rules: tuple[Rule, ...]


POLICIES = {
    "everything": Policy("every product on the chip, routers too", (Rule("*", CHIP),)),
    "weights-only": Policy(
        "products of two activations (QKᵀ, AV) digital: nothing is written to the chip during a run",
        (*ROUTER_RULES, Rule("*", DIGITAL, kind=ACTIVATION, reason="two activations, digital by policy")),
    ),
    "no-head": Policy(
        "the head digital: the product whose errors nothing behind it can repair",
        (*ROUTER_RULES, Rule(HEAD, DIGITAL, kind=WEIGHT, reason=HEAD_KEPT)),
    ),
    "first-last-digital": Policy(
        "the first and the last layer and all outside the layers (head, patches) digital, as in low-bit quantisation",
        (
            *ROUTER_RULES,
            Rule("*", DIGITAL, layers=(0, -1), reason=EDGE_KEPT),
            Rule(OUTSIDE, DIGITAL, reason=EDGE_KEPT, optional=True),
        ),
    ),
    "outliers-digital": Policy(
        "columns of the activations above 6 digital, the rest on the chip: the split of LLM.int8()",
        (*ROUTER_RULES, Rule("*", SplitOutliers(), kind=WEIGHT)),
    ),
}


def policy(name: str) -> tuple[Rule, ...]:
    """The rules of a policy, by its name."""
    if name not in POLICIES:
        raise PhotonsimError(f"The policy {name!r} is unknown. {nearest(name, POLICIES)}")
    return POLICIES[name].rules
