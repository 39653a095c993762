"""Data whose order and randomness are functions of (seed, epoch), not of what was drawn before."""

from danlu.data import image, text
from danlu.data.arrays import arrays
from danlu.data.augmentation import AUGMENTATIONS, Augmentation, Chain, Sometimes, augmentations
from danlu.data.augmented import Augmented
from danlu.data.image_folder import ImageFolder
from danlu.data.loader import Loader
from danlu.data.long_tail import balancing_weights, long_tailed
from danlu.data.mix import Cutmix, Mixed, Mixup
from danlu.data.tensor_loader import TensorLoader

__all__ = [
    "AUGMENTATIONS",
    "Augmentation",
    "Augmented",
    "Chain",
    "Cutmix",
    "ImageFolder",
    "Loader",
    "Mixed",
    "Mixup",
    "Sometimes",
    "TensorLoader",
    "arrays",
    "augmentations",
    "balancing_weights",
    "image",
    "long_tailed",
    "text",
]
