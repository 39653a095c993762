"""A language model of characters, on the language reference that comes with Python."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from danlu.data import TensorLoader
from danlu.keyed import generator
from danlu.registry import Registry
from danlu.task.corpus import read, split
from danlu.task.models.char_transformer import CharTransformer
from danlu.task.task import Choice, Data, Defaults, Task
from danlu.task.windows import Windows, cut

__all__ = ["chars", "load", "sample"]

_LENGTH = 128  # characters of a window: the longest context in training
_PROMPT = "The "


def load(*, batch: int, seed: int) -> Data:
    """Cut the text into windows of 128 characters; topics with a tenth of the characters are held out, for every seed.

    The held-out loss is a mean over all their characters; each is predicted from those before it in its window,
    64 on average, not from the whole text, so that it is a little too high.

    Args:
        batch: windows of a training batch.
        seed: what the windows' offset and order and the sample at the end depend on.

    Returns:
        Batches of windows (N, 128) and their targets.
    """
    corpus = split(read())
    test = TensorLoader(*cut(corpus.encode(corpus.test), _LENGTH), batch=64, shuffle=False)

    def write(model: nn.Module) -> str:
        return corpus.decode(sample(model, corpus.encode(_PROMPT), 400, generator(seed, "sample")))

    train = Windows(corpus.encode(corpus.train), _LENGTH, batch=batch, seed=seed)
    return Data(train, test, write, {"symbols": len(corpus.alphabet)})


@torch.no_grad()
def sample(model: nn.Module, prompt: Tensor, length: int, generator: torch.Generator, temperature: float = 0.8) -> Tensor:
    """Continue a prompt: each symbol is drawn from softmax(z/temperature) of the model's logits after those before it.

    Args:
        model: maps numbers (1, T) to logits (1, T, V).
        prompt: numbers, shape (P,), P ≥ 1.
        length: how many symbols to add.
        generator: draws them; the same one gives the same text.
        temperature: below 1 makes likely symbols likelier; positive.

    Returns:
        Prompt and continuation, shape (P + length,).
    """
    text = prompt
    for _ in range(length):
        z = model(text[-_LENGTH:].unsqueeze(0))[0, -1]
        symbol = torch.multinomial(functional.softmax(z / temperature, dim=-1), 1, generator=generator)
        text = torch.cat((text, symbol))
    return text


_models: Registry[Choice] = Registry("model of chars")
_models.add(
    "transformer",
    Choice(
        CharTransformer,
        "two causal blocks with rotary positions, 0.24 million parameters",
        Defaults(
            until="6ep",
            batch=16,
            optimizer={"name": "adamw", "lr": 1e-2, "betas": [0.9, 0.99], "weight_decay": 0.1},
            schedule={"name": "cosine", "warmup": "5%"},
            clip=1.0,
        ),
    ),
)

chars = Task("chars", "the next character of Python's language reference", "character", _models, "transformer", load)
