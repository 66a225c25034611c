"""The Mach–Zehnder interferometer as the cell of a mesh: two splitters and two phase shifters make any 2 × 2 unitary.

    a₀ ──[φ]──╲ ╱──[θ]──╲ ╱── b₀        M(θ, φ) = C(π/4 + β) diag(e^{iθ}, 1) C(π/4 + α) diag(e^{iφ}, 1)
               ═          ═
    a₁ ───────╱ ╲───────╱ ╲── b₁        C: the coupler; α, β: how far its two splitters are from equal

With equal splitters, `M = i e^{iθ/2} [[e^{iφ} sin θ/2, cos θ/2], [e^{iφ} cos θ/2, −sin θ/2]]`: θ divides the light,
from all crossed (0) to none (π), and φ sets the relative phase in which it arrives. Unequal splitters narrow that to

    sin |α + β| ≤ |M₀₀|,    sin |α − β| ≤ |M₀₁|:

everything in between is still reached exactly, by other phases. That is what self-configuration uses.
"""

import math

from photonsim.devices.directional_coupler import SPLITTER_ANGLE_RAD, coupler_matrix, phasor


def cell_matrix(theta_rad, phi_rad, alpha_rad, beta_rad):
    """M(θ, φ) of the module's header, (..., 2, 2), NumPy or JAX as the phases are."""
    inner = _shifted(coupler_matrix(SPLITTER_ANGLE_RAD + alpha_rad), phi_rad)
    return _shifted(coupler_matrix(SPLITTER_ANGLE_RAD + beta_rad), theta_rad) @ inner


def fit_cell(target, alpha_rad, beta_rad):
    """Phases θ, φ of a cell and d of its two outputs with `diag(e^{id}) M(θ, φ)` as close to a unitary as it gets.

    `target` (..., 2, 2); θ, φ (...); d (..., 2). Exact where the splitters reach; else the nearest division of light.
    From |M₀₀|² = cos²(a + b) + sin 2a sin 2b sin²(θ/2) for couplers of angles a and b.
    """
    xp = target.__array_namespace__()
    a, b = SPLITTER_ANGLE_RAD + alpha_rad, SPLITTER_ANGLE_RAD + beta_rad
    through = xp.abs(target[..., 0, 0]) ** 2 - xp.cos(a + b) ** 2
    crossed = xp.abs(target[..., 0, 1]) ** 2 - xp.sin(a - b) ** 2
    theta = 2 * xp.arctan2(xp.sqrt(xp.maximum(through, 0.0)), xp.sqrt(xp.maximum(crossed, 0.0)))
    cell = cell_matrix(theta, xp.zeros_like(theta), alpha_rad, beta_rad)
    turn = target * xp.conj(cell)  # its phases: how far each element is still to be turned
    # both rows tell φ, each weighed by its light, so that a cell that crosses all or nothing leaves no phase undefined
    phi = xp.angle((turn[..., 0] * xp.conj(turn[..., 1])).sum(-1))
    return theta, phi, xp.angle(turn[..., 0] * phasor(-phi)[..., None] + turn[..., 1])


def phase_noise_mean(sigma_rad):
    """`E cos φ = exp(−σ²/2)` of a normal phase: the share of an interference that phase noise leaves."""
    return _exp(-(sigma_rad**2) / 2)


def phase_noise_standard_deviation(sigma_rad):
    """`sd cos φ = (1 − exp(−σ²)) / √2` of a normal phase."""
    return (1 - _exp(-(sigma_rad**2))) / math.sqrt(2)


def _exp(value):
    if isinstance(value, int | float):
        return math.exp(value)
    return value.__array_namespace__().exp(value)


def _shifted(matrix, phase_rad):
    """`matrix · diag(e^{iφ}, 1)`: a phase on the upper waveguide first."""
    xp = matrix.__array_namespace__()
    turn = phasor(phase_rad)
    return matrix * xp.stack([turn, xp.ones_like(turn)], -1)[..., None, :]
