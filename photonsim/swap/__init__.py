"""Put the chip under a model: matrix products found, named, and replaced by rules."""

from photonsim.swap.coverage import Coverage, Group, Placement, Share
from photonsim.swap.outliers import OutliersDigital, SplitOutliers, measured_coverage, outlier_columns, share_out
from photonsim.swap.policies import POLICIES, policy
from photonsim.swap.rules import DEFAULT_RULES, Rule, check_rules, layer_counts, parse_rule
from photonsim.swap.simulation import Products, Simulation, Stream, simulate
from photonsim.swap.site import AbstractMatmulUnit, Site

__all__ = [
    "DEFAULT_RULES",
    "POLICIES",
    "AbstractMatmulUnit",
    "Coverage",
    "Group",
    "OutliersDigital",
    "Placement",
    "Products",
    "Rule",
    "Share",
    "Simulation",
    "Site",
    "SplitOutliers",
    "Stream",
    "check_rules",
    "layer_counts",
    "measured_coverage",
    "outlier_columns",
    "parse_rule",
    "policy",
    "share_out",
    "simulate",
]
