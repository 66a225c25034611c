"""Between numbers and light: what b bits are, and the converters that have them."""

from photonsim.converters.adc import Adc as Adc
from photonsim.converters.dac import Dac as Dac
from photonsim.converters.energy import combined_enob as combined_enob
from photonsim.converters.energy import jitter_enob as jitter_enob
from photonsim.converters.energy import jitter_snr_db as jitter_snr_db
from photonsim.converters.energy import lightening_transformer_adc_power_w as lightening_transformer_adc_power_w
from photonsim.converters.energy import lightening_transformer_dac_power_w as lightening_transformer_dac_power_w
from photonsim.converters.energy import rekhi_floor_j as rekhi_floor_j
from photonsim.converters.energy import schreier_energy_j as schreier_energy_j
from photonsim.converters.energy import survey_adc_area_m2 as survey_adc_area_m2
from photonsim.converters.energy import survey_adc_energy_j as survey_adc_energy_j
from photonsim.converters.energy import walden_energy_j as walden_energy_j
from photonsim.converters.energy import walden_enob as walden_enob
from photonsim.converters.nonlinearity import Nonlinearity as Nonlinearity
from photonsim.converters.quantizer import bits_in_words as bits_in_words
from photonsim.converters.quantizer import full_scale_code as full_scale_code
from photonsim.converters.quantizer import quantize as quantize
from photonsim.converters.quantizer import straight_through as straight_through
from photonsim.converters.ranges import absolute_max_range as absolute_max_range
from photonsim.converters.ranges import gaussian_clip_error as gaussian_clip_error
from photonsim.converters.ranges import gaussian_clip_sigmas as gaussian_clip_sigmas
from photonsim.converters.ranges import percentile_range as percentile_range
from photonsim.converters.ranges import sigma_range as sigma_range
