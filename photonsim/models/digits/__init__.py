"""Handwritten digits and a classifier of them: the smallest network that is worth putting on a chip."""

from photonsim.models.digits.classifier import classify as classify
from photonsim.models.digits.classifier import initial_params as initial_params
from photonsim.models.digits.images import Digits as Digits
from photonsim.models.digits.images import load_digits as load_digits
