"""Rules: which matrix product goes where. They are tried in order, and the first that matches decides.

    rules = [Rule("*.self_attn:product*", "digital"), Rule("re:.*layers\\.(0|1)\\..*", precise_chip)]

Whatever no rule of the user's decides falls to `DEFAULT_RULES`: all on the chip but the routers of mixtures of experts.
Noise there flips which experts are chosen: with an 8-bit converter, 9 to 13 % error of the logits instead of 2 to 4 %.
"""

import difflib
import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from photonsim.errors import PhotonsimError
from photonsim.swap.naming import without_layers
from photonsim.swap.site import FOLDED, KINDS, WEIGHT, AbstractMatmulUnit, Site

ACTIONS = ("digital", "chip")


@dataclass(frozen=True)
class Rule:
    """`pattern` is a glob on a site's name, or after `re:` a regular expression for the whole name. A weight product
    answers to its parameters' names as well: fused ones to each, a repeated one without its `#1`.

    `action` is `"digital"`, `"chip"` (the one given to `simulate`), or a chip of its own. `kind` restricts the rule to
    `"weight"` or `"activation"` products.
    """

    pattern: str
    action: Literal["digital", "chip"] | AbstractMatmulUnit
    kind: str | None = None

    def __post_init__(self):
        if isinstance(self.action, str) and self.action not in ACTIONS:
            raise PhotonsimError(f"{self.pattern}={self.action}: the action of a rule is `digital` or `chip`.")
        if self.kind is not None and self.kind not in KINDS:
            raise PhotonsimError(f"Rule {self.pattern}: kind {self.kind!r} is neither `weight` nor `activation`.")
        if self.pattern.startswith("re:"):
            try:
                re.compile(self.pattern[3:])
            except re.error as error:
                raise PhotonsimError(f"{self.pattern}: not a regular expression ({error}).") from None

    def matches(self, site: Site) -> bool:
        """Whether the rule speaks of a site."""
        if self.kind not in (None, site.kind):
            return False
        names = {site.name, *site.paths} if site.kind == WEIGHT else {site.name}
        if site.kind == WEIGHT:
            names.add(site.name.partition("#")[0])
        return any(self._matches_name(name) for name in names)

    def _matches_name(self, name: str) -> bool:
        if self.pattern.startswith("re:"):
            return re.fullmatch(self.pattern[3:], name) is not None
        return fnmatch.fnmatchcase(name, self.pattern)

    def __str__(self):
        action = (
            self.action if isinstance(self.action, str) else getattr(self.action, "name", type(self.action).__name__)
        )
        return f"{self.pattern}={action}"


DEFAULT_RULES = (
    Rule("*router*", "digital"),
    Rule("*mlp.gate.weight", "digital"),
    Rule("*block_sparse_moe.gate.weight", "digital"),
    Rule("*", "chip"),
)


def parse_rule(text: str) -> Rule:
    """A rule from `PATTERN=digital` or `PATTERN=chip`."""
    pattern, equals, action = text.rpartition("=")
    if not equals or not pattern.strip() or action.strip() not in ACTIONS:
        raise PhotonsimError(f"Rule {text!r}: write PATTERN=digital or PATTERN=chip, such as '*.mlp.*=digital'.")
    return Rule(pattern.strip(), "digital" if action.strip() == "digital" else "chip")


def deciding_rule(rules: Sequence[Rule], site: Site) -> Rule:
    """The first rule that matches a site; `DEFAULT_RULES` come last and match everything."""
    return next(rule for rule in (*rules, *DEFAULT_RULES) if rule.matches(site))


def decidable(sites: Sequence[Site]) -> list[Site]:
    """The sites that rules decide: no folded ones, and no outer products, which add nothing up."""
    return [site for site in sites if site.kind != FOLDED and site.k != 1]


def unused_rules(rules: Sequence[Rule], sites: Sequence[Site]) -> tuple[Rule, ...]:
    """Those of `rules` that decide no site."""
    used = [deciding_rule(rules, site) for site in decidable(sites)]
    return tuple(rule for rule in rules if not any(rule is other for other in used))


def check_rules(rules: Sequence[Rule], sites: Sequence[Site]) -> None:
    """Refuse a rule that decides no site, naming the sites it may have meant."""
    sites = decidable(sites)
    for rule in unused_rules(rules, sites):
        if any(rule.matches(site) for site in sites):
            raise PhotonsimError(f"Rule '{rule}' decides nothing: earlier rules match all it matches. Move it up.")
        names = sorted({without_layers(site.name) for site in sites})
        near = difflib.get_close_matches(rule.pattern, names, n=3, cutoff=0.3) or names[:3]
        raise PhotonsimError(
            f"Rule '{rule}' matches no matrix product of the model. The nearest are {', '.join(near)}."
        )
