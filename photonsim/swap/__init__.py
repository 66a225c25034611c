"""Put the chip under a model: matrix products found, named, and replaced by rules."""

from photonsim.swap.coverage import Coverage, Group, Placement
from photonsim.swap.rules import DEFAULT_RULES, Rule, check_rules, parse_rule
from photonsim.swap.simulation import Products, Simulation, simulate
from photonsim.swap.site import AbstractMatmulUnit, Site

__all__ = [
    "DEFAULT_RULES",
    "AbstractMatmulUnit",
    "Coverage",
    "Group",
    "Placement",
    "Products",
    "Rule",
    "Simulation",
    "Site",
    "check_rules",
    "parse_rule",
    "simulate",
]
