"""Rules: which matrix product goes where. They are tried in order, and the first that matches decides.

    rules = [
        Rule("*.self_attn:product*", "digital"),
        Rule("*", precise_chip, layers=(0, -1)),
        Rule("*", {"adc.bits": 8}, kind="weight", shape="k>=1024"),
    ]

The same as text, on a command line: a pattern, conditions after spaces, and after the last `=` the action.

    '*.self_attn:product*=digital'   '* layer=0,-1=ideal'   '* kind=weight k>=1024=chip(adc.bits=8)'

Whatever no rule of the user's decides falls to `DEFAULT_RULES`: all on the chip but the routers of mixtures of experts.
Noise there flips which experts are chosen: with an 8-bit converter, 9 to 13 % error of the logits instead of 2 to 4 %.
Sets of rules with a name are in `photonsim.swap.policies`.
"""

import difflib
import fnmatch
import operator
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from photonsim.chip import Chip, load_chip, override
from photonsim.chip.description import parse_assignment
from photonsim.errors import PhotonsimError
from photonsim.swap.naming import layer_index, layer_stack, without_layers
from photonsim.swap.site import FOLDED, KINDS, WEIGHT, AbstractMatmulUnit, Site

DIGITAL, CHIP = "digital", "chip"
ROUTER = "a router: noise would flip its choice"
SIZES = ("batch", "m", "k", "n", "macs")
COMPARISONS = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}
CONDITION = re.compile(rf"({'|'.join(SIZES)})({'|'.join(COMPARISONS)})(\d+)")

Action = str | AbstractMatmulUnit | Mapping[str, Any] | Callable[[Any], AbstractMatmulUnit]
Layers = Mapping[str, int]  # how many layers each stack of a model has, see `layer_counts`
NO_LAYERS: Layers = {}


@dataclass(frozen=True)
class Rule:
    """All that it says must hold of a site: `pattern`, and where they are given `kind`, `layers` and `shape`.

    - `pattern`: a glob on the site's name, or after `re:` a regular expression for the whole name. A weight product
      answers to its parameters' names as well: fused ones to each, a repeated one without its `#1`.
    - `action`: `"digital"`, `"chip"` (the one given to `simulate`), settings of it to change (`{"adc.bits": 8}`),
      a chip of its own, or a function that makes one of the given chip.
    - `kind`: `"weight"` or `"activation"`.
    - `layers`: indices of layers; negative ones count from the last layer of their stack.
    - `shape`: conditions on `batch`, `m`, `k`, `n` (the programmed operand is k × n) and `macs`: `"k>=64 n<4096"`.
    - `reason`: what the coverage says of products that this rule keeps digital; without it, the rule itself.
    - `optional`: whether a model in which the rule decides nothing is as it should be.
    """

    pattern: str
    action: Action
    kind: str | None = None
    layers: int | Collection[int] | None = None
    shape: str = ""
    reason: str | None = None
    optional: bool = False

    def __post_init__(self):
        if isinstance(self.action, str) and self.action not in (DIGITAL, CHIP):
            raise PhotonsimError(
                f"{self.pattern}={self.action}: the action of a rule is `digital` or `chip`, a chip, or a table of "
                "settings to change."
            )
        if self.kind is not None and self.kind not in KINDS:
            raise PhotonsimError(f"Rule {self.pattern}: kind {self.kind!r} is neither `weight` nor `activation`.")
        _sizes(self.shape)
        if self.pattern.startswith("re:"):
            try:
                re.compile(self.pattern[3:])
            except re.error as error:
                raise PhotonsimError(f"{self.pattern}: not a regular expression ({error}).") from None

    def matches(self, site: Site, layers: Layers = NO_LAYERS) -> bool:
        """Whether the rule speaks of a site; `layers` is needed only for layers counted from the last."""
        if self.kind not in (None, site.kind) or not self._matches_layer(site.name, layers):
            return False
        if not all(compare(getattr(site, size), number) for size, compare, number in _sizes(self.shape)):
            return False
        names = {site.name, *site.paths} if site.kind == WEIGHT else {site.name}
        if site.kind == WEIGHT:
            names.add(site.name.partition("#")[0])
        return any(self._matches_name(name) for name in names)

    def unit(self, chip: Any) -> AbstractMatmulUnit | None:
        """What the rule puts its sites on, where `chip` is the given one; `None` is digital."""
        if isinstance(self.action, str):
            return None if self.action == DIGITAL else chip
        if hasattr(self.action, "program"):
            return self.action  # pyright: ignore[reportReturnType]
        if isinstance(self.action, Mapping):
            return _overridden(chip, self.action, self)
        return self.action(chip)  # pyright: ignore[reportCallIssue]

    def _matches_layer(self, name: str, layers: Layers) -> bool:
        if self.layers is None:
            return True
        wanted = (self.layers,) if isinstance(self.layers, int) else self.layers
        index = layer_index(name)
        count = layers.get(layer_stack(name) or "", 0)
        return index is not None and (index in wanted or (count > 0 and index - count in wanted))

    def _matches_name(self, name: str) -> bool:
        if self.pattern.startswith("re:"):
            return re.fullmatch(self.pattern[3:], name) is not None
        return fnmatch.fnmatchcase(name, self.pattern)

    def __str__(self):
        layers = (self.layers,) if isinstance(self.layers, int) else self.layers
        conditions = [
            self.pattern,
            f"kind={self.kind}" if self.kind else "",
            f"layer={','.join(map(str, layers))}" if layers is not None else "",
            self.shape,
        ]
        return f"{' '.join(filter(None, conditions))}={_action_in_words(self.action)}"


def _sizes(shape: str) -> list[tuple[str, Callable[[int, int], bool], int]]:
    """The conditions of a text such as `k>=64 n<4096`."""
    found = []
    for word in shape.split():
        condition = CONDITION.fullmatch(word)
        if condition is None:
            raise PhotonsimError(
                f"{word!r} is no condition of a rule: write kind=weight, layer=0,-1 or layer=0-3, or a size such as "
                f"k>=64 (sizes: {', '.join(SIZES)})."
            )
        found.append((condition[1], COMPARISONS[condition[2]], int(condition[3])))
    return found


def _overridden(chip: Any, settings: Mapping[str, Any], rule: Rule) -> AbstractMatmulUnit:
    if not isinstance(chip, Chip):
        raise PhotonsimError(f"Rule '{rule}' changes settings of a chip, but {type(chip).__name__} is not a Chip.")
    changed = ", ".join(f"{name}={value}" for name, value in settings.items())
    return replace(override(chip, settings), name=f"{chip.name} ({changed})")


def _action_in_words(action: Action) -> str:
    if isinstance(action, str):
        return action
    if isinstance(action, Mapping):
        return f"chip({', '.join(f'{name}={value}' for name, value in action.items())})"
    return getattr(action, "name", type(action).__name__)


# Where the checkpoints of mixtures of experts keep what chooses the experts.
ROUTER_RULES = tuple(
    Rule(pattern, DIGITAL, reason=ROUTER, optional=True)
    for pattern in ("*router*", r"re:(.*\.)?(mlp|moe|ffn|feed_forward|block_sparse_moe)\.gate(\.weight)?")
)
DEFAULT_RULES = (*ROUTER_RULES, Rule("*", CHIP, optional=True))


def parse_rule(text: str) -> Rule:
    """A rule from `PATTERN [CONDITION…]=ACTION`; the action is `digital`, `chip`, `chip(NAME=VALUE, …)` or a chip."""
    split = re.fullmatch(r"(?P<where>.*\S.*)=\s*(?P<action>chip\(.*\)|[^=()]+)", text, re.DOTALL)
    if split is None or not split["action"].strip():
        raise PhotonsimError(
            f"Rule {text!r}: write PATTERN=digital or PATTERN=chip, such as '*.mlp.*=digital', or one of the actions "
            "chip(adc.bits=8) and the name of a chip."
        )
    pattern, *conditions = split["where"].split()
    return Rule(pattern, _parse_action(split["action"].strip()), **_parse_conditions(conditions))


def _parse_action(text: str) -> Action:
    if text in (DIGITAL, CHIP):
        return text
    if text.startswith("chip("):
        return dict(parse_assignment(setting) for setting in text[len("chip(") : -1].split(","))
    try:
        return load_chip(text)
    except PhotonsimError as error:
        raise PhotonsimError(f"The action {text!r} of a rule is neither digital nor chip nor a chip: {error}") from None


def _parse_conditions(words: Iterable[str]) -> dict[str, Any]:
    conditions: dict[str, Any] = {"shape": ""}
    for word in words:
        name, _, value = word.partition("=")
        if name == "kind":
            conditions["kind"] = value
        elif name in ("layer", "layers"):
            conditions["layers"] = _parse_layers(value)
        else:
            conditions["shape"] = f"{conditions['shape']} {word}".strip()
    return conditions


def _parse_layers(text: str) -> tuple[int, ...]:
    """`0-2,-1` is (0, 1, 2, -1)."""
    layers: list[int] = []
    for part in text.split(","):
        span = re.fullmatch(r"(-?\d+)(?:-(\d+))?", part)
        if span is None:
            raise PhotonsimError(f"layer={text}: write indices and spans such as layer=0,5-7,-1.")
        layers += range(int(span[1]), int(span[2]) + 1) if span[2] else [int(span[1])]
    return tuple(layers)


def layer_counts(names: Iterable[str]) -> dict[str, int]:
    """How many layers each stack has, from the names of all parameters or sites: `{"model.layers": 30}`."""
    counts: dict[str, int] = {}
    for name in names:
        stack, index = layer_stack(name), layer_index(name)
        if stack is not None and index is not None:
            counts[stack] = max(counts.get(stack, 0), index + 1)
    return counts


def deciding_rule(rules: Sequence[Rule], site: Site, layers: Layers = NO_LAYERS) -> Rule:
    """The first rule that matches a site; `DEFAULT_RULES` come last and match everything."""
    return next(rule for rule in (*rules, *DEFAULT_RULES) if rule.matches(site, layers))


def with_units(rules: Sequence[Rule], chip: Any) -> tuple[Rule, ...]:
    """The same rules with what changes or makes a chip done, once for all their sites."""
    done = (rule if isinstance(rule.action, str) else replace(rule, action=rule.unit(chip)) for rule in rules)
    return tuple(done)


def decidable(sites: Sequence[Site]) -> list[Site]:
    """The sites that rules decide: no folded ones, and no outer products, which add nothing up."""
    return [site for site in sites if site.kind != FOLDED and site.k != 1]


def unused_rules(rules: Sequence[Rule], sites: Sequence[Site]) -> tuple[Rule, ...]:
    """Those of `rules` that decide no site, though they are not optional."""
    layers = layer_counts(site.name for site in sites)
    used = [deciding_rule(rules, site, layers) for site in decidable(sites)]
    return tuple(rule for rule in rules if not rule.optional and not any(rule is other for other in used))


def check_rules(rules: Sequence[Rule], sites: Sequence[Site]) -> None:
    """Refuse a rule that decides no site, naming the sites it may have meant."""
    layers = layer_counts(site.name for site in sites)
    sites = decidable(sites)
    for rule in unused_rules(rules, sites):
        if any(rule.matches(site, layers) for site in sites):
            raise PhotonsimError(f"Rule '{rule}' decides nothing: earlier rules match all it matches. Move it up.")
        names = sorted({without_layers(site.name) for site in sites})
        near = difflib.get_close_matches(rule.pattern, names, n=3, cutoff=0.3) or names[:3]
        raise PhotonsimError(
            f"Rule '{rule}' matches no matrix product of the model. The nearest are {', '.join(near)}."
        )
