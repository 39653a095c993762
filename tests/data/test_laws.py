"""Laws of every augmentation in the table."""

import inspect

import pytest
import torch

from danlu.data import AUGMENTATIONS, Augmented, Chain, Sometimes, TensorLoader, augmentations, image
from danlu.data.augmentation import create
from danlu.keyed import generator
from danlu.registry import UnknownNameError

from .samples import IMAGES, TOKENS, pictures, tokens

BATCHED = {**IMAGES, **TOKENS}


def batch_of(name):
    return pictures() if name in IMAGES else tokens()


def parts(found):
    return found if isinstance(found, tuple) else (found,)


def same(a, b):
    return all(torch.equal(x, y) and x.dtype == y.dtype for x, y in zip(parts(a), parts(b), strict=True))


def test_every_augmentation_is_sampled():
    kinds = {name: AUGMENTATIONS.get(name).kind for name in augmentations()}
    assert {name for name, kind in kinds.items() if kind == "images"} == set(IMAGES)
    assert {name for name, kind in kinds.items() if kind == "tokens"} == set(TOKENS)
    assert {name for name, kind in kinds.items() if kind == "pairs"} == {"cutmix", "mixup"}
    assert {name for name, kind in kinds.items() if kind == "texts"} == {
        "back_translation",
        "insert_synonyms",
        "replace_by_synonyms",
    }


@pytest.mark.parametrize("name", augmentations())
def test_the_table_tells_the_law_and_the_source(name):
    info = AUGMENTATIONS.get(name)
    assert info.summary.endswith((".", "!"))
    assert info.source
    assert set(info.options) == set(inspect.signature(info.cls).parameters)


@pytest.mark.parametrize("name", sorted(BATCHED))
def test_it_is_a_pure_function_of_batch_and_generator(name):
    augmentation, batch = BATCHED[name][0], batch_of(name)
    before, state = batch.clone(), torch.get_rng_state()
    first = augmentation(batch, generator("draw"))
    assert same(first, augmentation(batch, generator("draw")))
    assert torch.equal(batch, before)
    assert torch.equal(torch.get_rng_state(), state)
    drawn = generator("draw")
    untouched = drawn.get_state()
    augmentation(batch, drawn)
    random = augmentation.numbers(batch.shape[1:]) > 0
    assert torch.equal(drawn.get_state(), untouched) != random
    assert same(first, augmentation(batch, generator("other"))) != random
    assert all(x.shape == batch.shape for x in parts(first))
    assert parts(first)[0].dtype == batch.dtype


@pytest.mark.parametrize("name", sorted(BATCHED))
def test_a_row_depends_on_seed_and_place_alone(name):
    """Bit for bit the same, whatever else is in the batch."""
    augmentation, batch = BATCHED[name][0], batch_of(name)
    rows = torch.arange(100, 100 + len(batch))
    whole = parts(augmentation.keyed(batch, 7, rows))
    order = torch.tensor([5, 3, 8])
    some = parts(augmentation.keyed(batch[order], 7, rows[order]))
    for a, b in zip(whole, some, strict=True):
        torch.testing.assert_close(a[order], b, rtol=0, atol=1e-12 if name == "hue" else 0)  # a small matrix product
    for i in (0, 4):
        alone = parts(augmentation.keyed(batch[i : i + 1], 7, rows[i : i + 1]))
        for a, b in zip(whole, alone, strict=True):
            torch.testing.assert_close(a[i : i + 1], b, rtol=0, atol=1e-12 if name == "hue" else 0)


@pytest.mark.parametrize("name", sorted(BATCHED))
def test_off_is_off_and_the_knob_moves(name):
    on, off, other = BATCHED[name]
    batch = batch_of(name)
    if off is not None:
        tolerance = 1e-6 if name in {"affine", "jitter", "resized_crop"} else 0  # places are made in float32
        torch.testing.assert_close(parts(off(batch, generator("draw")))[0], batch, rtol=0, atol=tolerance)
    assert not same(on(batch, generator("draw")), other(batch, generator("draw")))


@pytest.mark.parametrize("name", sorted(IMAGES))
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_images_keep_their_dtype(name, dtype):
    assert IMAGES[name][0](pictures(4, dtype=dtype), generator("draw")).dtype == dtype


@pytest.mark.parametrize("name", sorted(IMAGES))
def test_one_image_and_torchs_own_generator(name):
    """As a transform of a data set, under a seeded generator."""
    found = []
    for _ in range(2):
        torch.manual_seed(3)
        found.append(IMAGES[name][0](pictures()[0]))
    assert found[0].shape == (3, 9, 11)
    assert torch.equal(*found)


@pytest.mark.parametrize("name", sorted(IMAGES))
def test_what_is_no_batch_of_images_is_refused(name):
    with pytest.raises(ValueError, match=r"takes a batch of images \(N, C, H, W\), got shape \[5, 7\]"):
        IMAGES[name][0](torch.rand(5, 7), generator(0))
    with pytest.raises(TypeError, match=r"use images\.float"):
        IMAGES[name][0](torch.zeros(2, 3, 8, 8, dtype=torch.uint8), generator(0))


@pytest.mark.parametrize("name", sorted(BATCHED))
def test_nothing_stays_nothing(name):
    batch = batch_of(name)
    for empty in (batch[:0], *([] if name in IMAGES else [batch[:, :0], batch[:0, :0]])):
        assert all(x.shape == empty.shape and x.dtype == empty.dtype for x in parts(BATCHED[name][0](empty, generator(0))))


def test_tokens_have_two_dimensions():
    with pytest.raises(ValueError, match=r"DeleteTokens: takes a batch of tokens \(N, T\), got shape \[3\]"):
        TOKENS["delete_tokens"][0](torch.zeros(3), generator(0))


def test_a_chain_gives_each_part_numbers_of_its_own():
    x, u = pictures(), torch.rand(12, 8)
    chain = Chain(image.Shift(2), image.Jitter(0.05))
    assert chain.numbers(x.shape[1:]) == 8
    assert torch.equal(chain.apply(x, u), image.Jitter(0.05).apply(image.Shift(2).apply(x, u[:, :2]), u[:, 2:]))
    assert torch.equal(Chain()(x, generator(0)), x)


def test_sometimes_is_per_image():
    x = pictures(2000, 1, 4, 4)
    changed = (Sometimes(image.Noise(0.1), 0.3)(x, generator(0)) != x).flatten(1)
    assert torch.equal(changed.any(1), changed.all(1))
    assert float(changed.all(1).double().mean()) == pytest.approx(0.3, abs=0.05)  # 5 standard deviations
    assert torch.equal(Sometimes(image.Noise(), 0.0)(x, generator(0)), x)


def test_names_and_tables():
    assert create("flip") == image.Flip()
    assert create({"name": "normalise", "mean": [0.5], "std": [2.0]}) == image.Normalise((0.5,), (2.0,))
    with pytest.raises(UnknownNameError, match="no augmentation 'flop'; did you mean 'flip'"):
        create("flop")
    with pytest.raises(TypeError, match="shift: no option 'pixel'; did you mean 'pixels'"):
        create({"name": "shift", "pixel": 2})
    with pytest.raises(ValueError, match=r"Shift: pixels must be in \[0, inf\), got -1"):
        create({"name": "shift", "pixels": -1})
    with pytest.raises(TypeError, match="a name or a table with a name"):
        create({"pixels": 1})


@pytest.mark.parametrize("weights", [None, torch.arange(30.0)])
def test_an_augmented_epoch_is_keyed_by_seed_epoch_and_row(weights):
    x = pictures(30)
    chain = Chain(image.Flip(), image.Shift(2))

    def batches(batch, epoch=1, start=0, seed=5):
        loader = Augmented(TensorLoader(x, torch.arange(30), batch=batch, seed=2, weights=weights), chain, seed=seed)
        assert len(loader) == -(-30 // batch)
        return list(loader.epoch(epoch, start))

    images, labels = map(torch.cat, zip(*batches(7), strict=True))
    other, same_labels = map(torch.cat, zip(*batches(4), strict=True))
    assert torch.equal(labels, same_labels)
    assert torch.equal(images, other)
    assert all(same(a, b) for a, b in zip(batches(7)[2:], batches(7, start=2), strict=True))
    assert not torch.equal(images, torch.cat([x for x, _ in batches(7, seed=6)]))
    by_row = dict(zip(labels.tolist(), images, strict=True))
    later = {int(y): x for xs, ys in batches(7, epoch=2) for x, y in zip(xs, ys, strict=True)}
    assert any(not torch.equal(by_row[i], later[i]) for i in by_row.keys() & later.keys())
