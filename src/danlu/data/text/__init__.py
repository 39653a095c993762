"""Augmentation of texts: of batches of tokens, and of the texts themselves."""

from danlu.data.text.back_translation import BackTranslation
from danlu.data.text.delete_tokens import DeleteTokens
from danlu.data.text.mask_tokens import MaskTokens
from danlu.data.text.swap_tokens import SwapTokens
from danlu.data.text.synonyms import InsertSynonyms, ReplaceBySynonyms

__all__ = ["BackTranslation", "DeleteTokens", "InsertSynonyms", "MaskTokens", "ReplaceBySynonyms", "SwapTokens"]
