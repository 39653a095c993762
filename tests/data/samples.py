"""For every augmentation in the table: how it is made, its off setting, and a knob that must move something."""

import torch

from danlu.data import image, text
from danlu.keyed import generator

PAD, MASK, VOCABULARY = 0, 1, 50

IMAGES = {
    "affine": (image.Affine(30.0, 0.1, 0.2, 0.1), image.Affine(0.0), image.Affine(30.0, 0.1, 0.2, 0.3)),
    "brightness": (image.Brightness(), image.Brightness(0.0), image.Brightness(0.8)),
    "contrast": (image.Contrast(), image.Contrast(0.0), image.Contrast(0.8)),
    "cutout": (image.Cutout(4), None, image.Cutout(5)),
    "erase": (image.Erase(0.9), image.Erase(0.0), image.Erase(0.9, noise=1.0)),
    "flip": (image.Flip(), image.Flip(0.0), image.Flip(1.0)),
    "hue": (image.Hue(), image.Hue(0.0), image.Hue(0.5)),
    "jitter": (image.Jitter(), image.Jitter(0.0), image.Jitter(0.1, fill=1.0)),
    "mirror_shift": (image.MirrorShift(3), image.MirrorShift(0), image.MirrorShift(5)),
    "noise": (image.Noise(), image.Noise(0.0), image.Noise(0.1)),
    "normalise": (image.Normalise((0.5,), (0.25,)), image.Normalise(), image.Normalise((0.5, 0.4, 0.3), (0.25,))),
    "rand_augment": (
        image.RandAugment(3, 0.5, ("rotate", "shear", "shift", "contrast", image.Cutout(3))),
        image.RandAugment(0),
        image.RandAugment(3, 0.9),
    ),
    "resized_crop": (image.ResizedCrop(), image.ResizedCrop(1.0, 1.0), image.ResizedCrop(0.5)),
    "saturation": (image.Saturation(), image.Saturation(0.0), image.Saturation(0.8)),
    "shift": (image.Shift(3), image.Shift(0), image.Shift(3, fill=0.5)),
    "upside_down": (image.UpsideDown(), image.UpsideDown(0.0), image.UpsideDown(1.0)),
}

TOKENS = {
    "delete_tokens": (text.DeleteTokens(PAD, 0.3), text.DeleteTokens(PAD, 0.0), text.DeleteTokens(PAD, 0.6)),
    "mask_tokens": (
        text.MaskTokens(MASK, VOCABULARY, 0.5, (PAD,)),
        text.MaskTokens(MASK, VOCABULARY, 0.0, (PAD,)),
        text.MaskTokens(2, VOCABULARY, 0.5, (PAD,)),
    ),
    "swap_tokens": (text.SwapTokens(PAD, 0.4), text.SwapTokens(PAD, 0.0), text.SwapTokens(PAD, 0.8)),
}


def pictures(n=12, channels=3, height=9, width=11, dtype=torch.float64):
    return torch.rand(n, channels, height, width, generator=generator("pictures"), dtype=dtype)


def tokens(n=12, longest=13):
    """Rows of different lengths, padded at the end; one is empty, one has a single token."""
    lengths = torch.randint(2, longest + 1, (n,), generator=generator("lengths"))
    lengths[:2] = torch.tensor([0, 1])
    rows = torch.randint(2, VOCABULARY, (n, longest), generator=generator("tokens"))
    return torch.where(torch.arange(longest) < lengths[:, None], rows, PAD)
