"""A model on a chip, measured: accuracy on a text, an error budget, and the bill."""

from photonsim.evaluate.budget import Effect as Effect
from photonsim.evaluate.budget import error_budget as error_budget
from photonsim.evaluate.coverage import config_coverage as config_coverage
from photonsim.evaluate.generation import Generation as Generation
from photonsim.evaluate.generation import Photonic as Photonic
from photonsim.evaluate.generation import generate as generate
from photonsim.evaluate.perplexity import TokenScores as TokenScores
from photonsim.evaluate.precision import full_scale_enob as full_scale_enob
from photonsim.evaluate.routing import Route as Route
from photonsim.evaluate.routing import Routed as Routed
from photonsim.evaluate.routing import layer_rules as layer_rules
from photonsim.evaluate.routing import route as route
from photonsim.evaluate.run import Result as Result
from photonsim.evaluate.run import run as run
from photonsim.evaluate.samples import Samples as Samples
from photonsim.evaluate.samples import at_equal_energy as at_equal_energy
from photonsim.evaluate.samples import sample_answers as sample_answers
from photonsim.evaluate.samples import score_samples as score_samples
from photonsim.evaluate.sweep import Point as Point
from photonsim.evaluate.sweep import pareto_front as pareto_front
from photonsim.evaluate.sweep import sweep as sweep
