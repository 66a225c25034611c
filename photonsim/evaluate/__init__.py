"""A model on a chip, measured: accuracy on a text, an error budget, and the bill."""

from photonsim.evaluate.budget import Effect as Effect
from photonsim.evaluate.budget import error_budget as error_budget
from photonsim.evaluate.perplexity import TokenScores as TokenScores
from photonsim.evaluate.precision import full_scale_enob as full_scale_enob
from photonsim.evaluate.run import Result as Result
from photonsim.evaluate.run import run as run
from photonsim.evaluate.sweep import Point as Point
from photonsim.evaluate.sweep import pareto_front as pareto_front
from photonsim.evaluate.sweep import sweep as sweep
