"""Augmentation of images: small laws for batches, each image with random numbers of its own."""

from danlu.data.image.colour import Brightness, Contrast, Hue, Saturation
from danlu.data.image.erase import Cutout, Erase
from danlu.data.image.flip import Flip, UpsideDown
from danlu.data.image.foreign import Foreign
from danlu.data.image.noise import Noise, Normalise
from danlu.data.image.rand_augment import RandAugment
from danlu.data.image.shift import MirrorShift, Shift
from danlu.data.image.warp import Affine, Jitter, ResizedCrop

__all__ = [
    "Affine",
    "Brightness",
    "Contrast",
    "Cutout",
    "Erase",
    "Flip",
    "Foreign",
    "Hue",
    "Jitter",
    "MirrorShift",
    "Noise",
    "Normalise",
    "RandAugment",
    "ResizedCrop",
    "Saturation",
    "Shift",
    "UpsideDown",
]
