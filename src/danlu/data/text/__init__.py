"""Augmentation of texts: of batches of tokens, and of the texts themselves."""

from danlu.data.text.back_translation import BackTranslation
from danlu.data.text.delete_tokens import DeleteTokens
from danlu.data.text.mask_tokens import MaskTokens
from danlu.data.text.swap_tokens import SwapTokens

__all__ = ["BackTranslation", "DeleteTokens", "MaskTokens", "SwapTokens"]
