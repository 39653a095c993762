"""Update modifiers: what happens to the direction before it is applied."""

from danlu.optim.modify.add_penalty import AddPenalty
from danlu.optim.modify.cautious import Cautious
from danlu.optim.modify.confidence import Confidence
from danlu.optim.modify.fan_scale import FanScale
from danlu.optim.modify.friction import Friction, RationalFriction
from danlu.optim.modify.noise_scale import NoiseScale
from danlu.optim.modify.normalize import Normalize, NormalizeAll
from danlu.optim.modify.parameter_scale import ParameterScale
from danlu.optim.modify.polyak_cap import PolyakCap
from danlu.optim.modify.rectify import Rectify
from danlu.optim.modify.rms_clip import RmsClip, StableClip
from danlu.optim.modify.smooth import Smooth
from danlu.optim.modify.spectral_bound import SpectralBound
from danlu.optim.modify.trust_ratio import TrustRatio

__all__ = [
    "AddPenalty",
    "Cautious",
    "Confidence",
    "FanScale",
    "Friction",
    "NoiseScale",
    "Normalize",
    "NormalizeAll",
    "ParameterScale",
    "PolyakCap",
    "RationalFriction",
    "Rectify",
    "RmsClip",
    "Smooth",
    "SpectralBound",
    "StableClip",
    "TrustRatio",
]
