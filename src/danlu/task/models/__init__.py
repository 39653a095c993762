"""Small models, each the plainest of its kind that does its task well."""

from danlu.task.models.attention import Attention
from danlu.task.models.char_transformer import CharTransformer
from danlu.task.models.cnn import CNN
from danlu.task.models.mlp import MLP
from danlu.task.models.vae import VAE, Coded
from danlu.task.models.vit import ViT

__all__ = ["CNN", "MLP", "VAE", "Attention", "CharTransformer", "Coded", "ViT"]
