"""Small models, each the plainest of its kind that does its task well, and deep ones that need help to train."""

from danlu.task.models.attention import Attention
from danlu.task.models.char_transformer import CharTransformer
from danlu.task.models.cnn import CNN
from danlu.task.models.deep_mlp import DeepMLP, NormFreeDeepMLP, bare_deep_mlp
from danlu.task.models.mlp import MLP
from danlu.task.models.resnet import NormFreeResNet, ResNet, bare_resnet
from danlu.task.models.vae import VAE, Coded
from danlu.task.models.vit import ViT

__all__ = [
    "CNN",
    "MLP",
    "VAE",
    "Attention",
    "CharTransformer",
    "Coded",
    "DeepMLP",
    "NormFreeDeepMLP",
    "NormFreeResNet",
    "ResNet",
    "ViT",
    "bare_deep_mlp",
    "bare_resnet",
]
