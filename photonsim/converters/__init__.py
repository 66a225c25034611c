"""Between numbers and light: what b bits are, and the converters that have them."""

from photonsim.converters.adc import Adc as Adc
from photonsim.converters.adc import walden_energy_j as walden_energy_j
from photonsim.converters.dac import Dac as Dac
from photonsim.converters.quantizer import bits_in_words as bits_in_words
from photonsim.converters.quantizer import full_scale_code as full_scale_code
from photonsim.converters.quantizer import quantize as quantize
from photonsim.converters.quantizer import straight_through as straight_through
