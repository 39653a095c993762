import numpy as np
import pytest
import torch

from danlu.task.models import CNN, MLP, CharTransformer, ViT
from danlu.task.models.attention import Attention, initialise, rotate


@pytest.mark.parametrize(("build", "parameters"), [(CNN, 58_634), (MLP, 85_002), (ViT, 102_026)])
def test_image_models_give_one_row_of_logits_per_image(build, parameters):
    model = build()
    assert model(torch.randn(5, 1, 8, 8)).shape == (5, 10)
    assert sum(p.numel() for p in model.parameters()) == parameters


@pytest.mark.parametrize("build", [CNN, MLP, ViT])
def test_the_output_of_an_image_does_not_depend_on_its_batch(build):
    model, images = build().double().eval(), torch.randn(6, 1, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(model(images)[2:3], model(images[2:3]), rtol=0, atol=1e-12)


def test_char_transformer_gives_logits_for_every_place():
    model = CharTransformer(103)
    assert model(torch.randint(103, (3, 17))).shape == (3, 17, 103)
    assert sum(p.numel() for p in model.parameters()) == 243_072


@pytest.mark.parametrize("place", [1, 9, 30])
def test_a_later_character_changes_no_earlier_logit(place):
    model = CharTransformer(20).double()
    text = torch.randint(20, (2, 31))
    other = text.clone()
    other[:, place] = (other[:, place] + 1) % 20
    a, b = model(text), model(other)
    assert torch.equal(a[:, :place], b[:, :place])
    assert ((a - b)[:, place:].abs().amax(-1) > 1e-6).all()  # and it changes every later one


def test_rotate_turns_pairs_as_complex_numbers():
    x = torch.randn(2, 3, 7, 8, dtype=torch.float64)
    pairs = x.numpy()[..., :4] + 1j * x.numpy()[..., 4:]
    angle = np.arange(7)[:, None] * 10000.0 ** (-2 * np.arange(4) / 8)
    turned = pairs * np.exp(1j * angle)
    expected = np.concatenate((turned.real, turned.imag), axis=-1)
    np.testing.assert_allclose(rotate(x).numpy(), expected, rtol=0, atol=1e-6)  # the angles are float32


def test_attention_of_rotated_tokens_depends_on_distance_alone():
    q, k = torch.randn(8, dtype=torch.float64), torch.randn(8, dtype=torch.float64)
    scores = rotate(q.expand(12, 8)) @ rotate(k.expand(12, 8)).mT
    torch.testing.assert_close(scores[3, 1], scores[10, 8], rtol=0, atol=1e-5)
    assert (scores[3, 1] - scores[3, 2]).abs() > 1e-3


def test_attention_is_the_softmax_of_scaled_products():
    layer = Attention(6, heads=2).double()
    x = torch.randn(1, 4, 6, dtype=torch.float64)
    q, k, v = (part.numpy() for part in (x[0] @ layer.qkv.weight.T).detach().split(6, dim=-1))
    heads = []
    for h in (slice(0, 3), slice(3, 6)):
        scores = np.exp(q[:, h] @ k[:, h].T / np.sqrt(3))
        heads.append(scores / scores.sum(-1, keepdims=True) @ v[:, h])
    expected = np.concatenate(heads, -1) @ layer.out.weight.detach().numpy().T + layer.out.bias.detach().numpy()
    np.testing.assert_allclose(layer(x)[0].detach().numpy(), expected, rtol=0, atol=1e-12)


def test_initialise_keeps_the_size_of_what_goes_through():
    layer = torch.nn.Linear(400, 300)
    initialise(layer)
    assert not layer.bias.any()
    assert float(layer(torch.randn(1000, 400)).detach().std()) == pytest.approx(1, abs=0.05)
