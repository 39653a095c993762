"""The laws of images against oracles in float64, read pixel by pixel."""

import colorsys
import itertools
import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from danlu.data import Chain, image, text
from danlu.data.uniforms import normal, uniforms
from danlu.keyed import generator

from .samples import pictures


def numbers(augmentation, images, seed=0):
    u = uniforms(seed, torch.arange(len(images)), augmentation.numbers(images.shape[1:]))
    return u, u.double().numpy()


def bilinear(picture, x, y, fill):
    """The picture at the point (x, y) in pixels; beyond the edge it is `fill`."""
    total = 0.0
    for i, j in itertools.product((math.floor(y), math.floor(y) + 1), (math.floor(x), math.floor(x) + 1)):
        inside = 0 <= i < picture.shape[0] and 0 <= j < picture.shape[1]
        total += (picture[i, j] if inside else fill) * (1 - abs(y - i)) * (1 - abs(x - j))
    return total


def read(picture, place, fill=0.0):
    """x′ of a picture (H, W): x read at place(row, column), in pixels about the centre."""
    height, width = picture.shape
    out = np.zeros_like(picture)
    for i, j in itertools.product(range(height), range(width)):
        x, y = place(j - (width - 1) / 2, i - (height - 1) / 2)
        out[i, j] = bilinear(picture, x + (width - 1) / 2, y + (height - 1) / 2, fill)
    return out


def close(found, expected, atol=2e-6):
    np.testing.assert_allclose(found.numpy(), np.asarray(expected), rtol=0, atol=atol)


@pytest.mark.parametrize(("law", "axis"), [(image.Flip(0.4), 1), (image.UpsideDown(0.4), 0)])
def test_mirrored(law, axis):
    x = pictures(12, 1)
    u, v = numbers(law, x)
    assert 0 < (v[:, 0] < 0.4).sum() < 12
    expected = [np.flip(p, axis) if w < 0.4 else p for p, w in zip(x[:, 0].numpy(), v[:, 0], strict=True)]
    close(law.apply(x, u)[:, 0], expected, 0)


def test_shift_is_padding_and_a_crop():
    x, p = pictures(12), 3
    law = image.Shift(p, fill=0.25)
    u, v = numbers(law, x)
    padded = functional.pad(x, (p,) * 4, value=0.25)
    places = np.floor(v * (2 * p + 1)).astype(int)
    expected = torch.stack([padded[i, :, a : a + 9, b : b + 11] for i, (a, b) in enumerate(places)])
    assert torch.equal(law.apply(x, u), expected)
    assert {*places.ravel()} == set(range(2 * p + 1))


def test_mirror_shift_is_reflection_padding_and_a_crop():
    x, p = pictures(12), 8
    u, v = numbers(image.MirrorShift(p), x)
    padded = functional.pad(x, (p,) * 4, mode="reflect")
    places = np.floor(v * (2 * p + 1)).astype(int)
    expected = torch.stack([padded[i, :, a : a + 9, b : b + 11] for i, (a, b) in enumerate(places)])
    assert torch.equal(image.MirrorShift(p).apply(x, u), expected)
    with pytest.raises(ValueError, match="pixels must be less than height and width, got 9 for 9×11"):
        image.MirrorShift(9)(x)


def test_jitter_reads_at_the_mapped_places():
    x = pictures(3, 1)
    law = image.Jitter(0.2, fill=0.5)
    u, _ = numbers(law, x)
    maps = np.eye(2, 3) + 0.2 * normal(u).double().numpy().reshape(-1, 2, 3)

    def place(m):  # q runs from -1 to 1 over either side
        return lambda dx, dy: m @ (dx / 5.5, dy / 4.5, 1) * (5.5, 4.5)

    close(law.apply(x, u)[:, 0], [read(p, place(m), 0.5) for p, m in zip(x[:, 0].numpy(), maps, strict=True)])


def test_affine_turns_slants_and_zooms_in_pixels():
    x = pictures(4, 1)
    law = image.Affine(40.0, 0.1, 0.3, 0.2, fill=0.5)
    u, v = numbers(law, x)
    expected = []
    for p, row in zip(x[:, 0].numpy(), 2 * v - 1, strict=True):
        t, k, s = math.radians(40) * row[0], 0.2 * row[1], math.exp(0.3 * row[2])
        turn = np.array([[math.cos(t), -math.sin(t)], [math.sin(t), math.cos(t)]])
        a = turn @ np.array([[1, k], [0, 1]]) / s
        b = np.array([0.1 * 11 * row[3], 0.1 * 9 * row[4]])
        expected.append(read(p, lambda dx, dy, a=a, b=b: a @ (dx, dy) + b, 0.5))
    close(law.apply(x, u)[:, 0], expected)


def test_a_quarter_turn_is_exact():
    x = pictures(2, 1, 8, 8)
    u = torch.full((2, 5), 0.5)
    u[:, 0] = torch.tensor([0.0, 1.0])
    turned = image.Affine(90.0).apply(x, u)
    close(turned, torch.stack((torch.rot90(x[0], -1, (1, 2)), torch.rot90(x[1], 1, (1, 2)))), 1e-5)


def test_resized_crop_stretches_a_window():
    x = pictures(5, 1)
    law = image.ResizedCrop(0.2, 2.0)
    u, v = numbers(law, x)
    expected = []
    for p, (a, r, right, down) in zip(x[:, 0].numpy(), v, strict=True):
        area, aspect = 0.2 + 0.8 * a, 2.0 ** (2 * r - 1)
        wide, high = min(1, math.sqrt(area * aspect)), min(1, math.sqrt(area / aspect))
        left, top = (1 - wide) * 11 * right, (1 - high) * 9 * down
        assert left >= 0 <= top
        assert left + wide * 11 <= 11
        x0, y0 = left + wide * 5.5 - 5.5, top + high * 4.5 - 4.5  # the window's centre, from the picture's
        expected.append(read(p, lambda dx, dy, w=wide, h=high, x0=x0, y0=y0: (w * dx + x0, h * dy + y0)))
    close(law.apply(x, u)[:, 0], expected)


@pytest.mark.parametrize("law", [image.Brightness(0.7), image.Contrast(0.7), image.Saturation(0.7), image.Contrast(1.5)])
def test_light(law):
    x = pictures(8)
    u, v = numbers(law, x)
    s, expected = law.strength, []
    for p, w in zip(x.numpy(), v[:, 0], strict=True):
        f = max(0, 1 - s) + (1 + s - max(0, 1 - s)) * w
        grey = np.tensordot([0.2989, 0.587, 0.114], p, 1)
        other = {"Brightness": 0 * grey, "Contrast": grey.mean() + 0 * grey, "Saturation": grey}[type(law).__name__]
        expected.append(np.clip(f * p + (1 - f) * other, 0, 1))
    close(law.apply(x, u), expected)


def test_hue_turns_chrominance_and_keeps_luma():
    """A pale colour, so that nothing is cut off; the turn is that of Python's own YIQ."""
    x = 0.5 + 0.1 * (pictures(6, 3, 2, 2) - 0.5)
    law = image.Hue(0.3)
    u, v = numbers(law, x)
    found = law.apply(x, u)
    for p, q, w in zip(x, found, v[:, 0], strict=True):
        for i, j in itertools.product(range(2), range(2)):
            y0, i0, q0 = colorsys.rgb_to_yiq(*p[:, i, j].tolist())
            y1, i1, q1 = colorsys.rgb_to_yiq(*q[:, i, j].tolist())
            turn = complex(i1, q1) / complex(i0, q0)
            assert y1 == pytest.approx(y0, abs=1e-3)  # Python rounds its matrix to two digits
            assert abs(turn - np.exp(2j * math.pi * 0.3 * (2 * w - 1))) < 0.02
    grey = torch.full((6, 3, 2, 2), 0.3, dtype=torch.float64)
    close(law.apply(grey, u), grey, 1e-3)
    single = pictures(6, 1)
    assert torch.equal(law.apply(single, u), single)


def test_colours_need_one_or_three_channels():
    with pytest.raises(ValueError, match="Saturation: takes images with 1 or 3 channels, got 4"):
        image.Saturation()(pictures(2, 4))


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_erase_takes_the_first_box_that_fits(noise):
    x = pictures(60, 2)
    law = image.Erase(0.7, 0.1, 0.9, 8.0, fill=-1.0, noise=noise)
    u, v = numbers(law, x)
    expected, attempts = x.clone(), []
    for n, row in enumerate(v):
        for k, (a, r, down, right) in enumerate(row[1:41].reshape(10, 4)):
            area, aspect = (0.1 + 0.8 * a) * 99, 8.0 ** (2 * r - 1)
            high, wide = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 1 <= high <= 9 and 1 <= wide <= 11:
                attempts.append(k)
                if row[0] < 0.7:
                    top, left = int(down * (9 - high + 1)), int(right * (11 - wide + 1))
                    paint = -1.0 + noise * (normal(u[n, 41:]).view(2, 9, 11).double() if noise else 0.0)
                    box = (slice(None), slice(top, top + high), slice(left, left + wide))
                    expected[n][box] = paint[box] if noise else paint
                break
    assert max(attempts) > 0
    close(law.apply(x, u), expected)


def test_nothing_is_erased_where_no_box_fits():
    x = pictures(20, 1, 4, 40)
    law = image.Erase(1.0, 0.9, 1.0, 1.0)  # a square of 90 % of the area is higher than the picture
    assert torch.equal(law(x), x)
    with pytest.raises(ValueError, match="Erase: smallest must be at most largest"):
        image.Erase(smallest=0.5, largest=0.4)


def test_cutout_is_cut_at_the_edges():
    x = pictures(40)
    law = image.Cutout(4, fill=2.0)
    u, v = numbers(law, x)
    for p, before, (a, b) in zip(law.apply(x, u), x, v, strict=True):
        top, left = int(a * 9) - 2, int(b * 11) - 2
        expected = before.clone()
        expected[:, max(0, top) : max(0, top + 4), max(0, left) : left + 4] = 2.0
        assert torch.equal(p, expected)


def test_noise_has_its_size():
    x = pictures(50)
    z = (image.Noise(0.2)(x, torch.Generator().manual_seed(0)) - x) / 0.2
    n = math.sqrt(z.numel())
    assert abs(float(z.mean())) < 5 / n
    assert abs(float(z.square().mean()) - 1) < 5 * math.sqrt(2) / n


def test_normalise_by_channel():
    x = pictures(3)
    found = image.Normalise((0.1, 0.2, 0.3), (0.5, 1.0, 2.0))(x)
    for c, (m, s) in enumerate([(0.1, 0.5), (0.2, 1.0), (0.3, 2.0)]):
        close(found[:, c], ((x[:, c] - m) / s).numpy(), 1e-7)
    with pytest.raises(ValueError, match="std above 0"):
        image.Normalise((0.0,), (0.0,))
    with pytest.raises(ValueError, match="one number, or one per channel, got 3 and 1 for 1 channels"):
        image.Normalise((0.1, 0.2, 0.3), (0.5,))(x[:, :1])


def test_foreign_transforms_are_keyed_per_image():
    def transform(x):
        return x + torch.randn(())

    law, x = image.Foreign(transform), pictures(4)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    whole = law.keyed(x, 3, torch.arange(4))
    assert torch.equal(law.keyed(x[2:], 3, torch.tensor([2, 3])), whole[2:])
    assert torch.equal(torch.get_rng_state(), state)
    assert len({float((a - b).mean()) for a, b in zip(whole, x, strict=True)}) == 4


def test_torchvision_transforms_are_usable():
    v2 = pytest.importorskip("torchvision.transforms.v2")
    law = image.Foreign(v2.Compose([v2.RandomHorizontalFlip(), v2.RandomCrop(9, padding=2), v2.ColorJitter(0.4)]))
    x = pictures(6, 3, 9, 9)
    whole = law.keyed(x, 3, torch.arange(6))
    assert torch.equal(law.keyed(x[4:], 3, torch.tensor([4, 5])), whole[4:])
    assert not torch.equal(whole, law.keyed(x, 4, torch.arange(6)))


def test_light_is_torchvisions():
    v2 = pytest.importorskip("torchvision.transforms.v2.functional")
    x = pictures(5)
    for law, theirs in [
        (image.Brightness(0.6), v2.adjust_brightness),
        (image.Contrast(0.6), v2.adjust_contrast),
        (image.Saturation(0.6), v2.adjust_saturation),
    ]:
        u, v = numbers(law, x)
        expected = [theirs(p, 0.4 + 1.2 * w).numpy() for p, w in zip(x, v[:, 0], strict=True)]
        close(law.apply(x, u), expected)


def test_rand_augment_applies_its_picks_in_turn():
    x = pictures(24)
    own = image.Cutout(4)
    law = image.RandAugment(2, 0.5, ("nothing", "rotate", "shear", "shift", "brightness", "contrast", "saturation", own))
    u, v = numbers(law, x)
    made = [Chain(), image.Affine(15.0), image.Affine(0.0, shear=0.15), image.Affine(0.0, shift=0.225)]
    made += [image.Brightness(0.45), image.Contrast(0.45), image.Saturation(0.45), own]
    each = 1 + 5
    assert law.numbers(x.shape[1:]) == u.shape[1] == 2 * each
    seen = set()
    for i, found in enumerate(law.apply(x, u)):
        expected = x[i : i + 1]
        for pick in range(2):
            start = pick * each
            k = int(v[i, start] * len(made))
            seen.add(k)
            count = made[k].numbers(x.shape[1:])
            expected = made[k].apply(expected, u[i : i + 1, start + 1 : start + 1 + count])
        assert torch.equal(found, expected[0])
    assert seen == set(range(8))


def test_rand_augment_draws_its_laws_evenly():
    paint = tuple(image.Cutout(99, fill=float(value)) for value in (1, 2, 3, 4))
    found = image.RandAugment(1, laws=paint)(torch.zeros(4000, 1, 1, 1), generator(0)).flatten()
    share = torch.bincount(found.long(), minlength=5)[1:] / 4000
    np.testing.assert_allclose(share.numpy(), 0.25, atol=5 * math.sqrt(0.25 * 0.75 / 4000))


def test_rand_augment_refuses_what_is_no_law():
    with pytest.raises(ValueError, match="RandAugment: no law 'rotation'; did you mean 'rotate'"):
        image.RandAugment(laws=("rotation",))
    with pytest.raises(ValueError, match="at least one law"):
        image.RandAugment(laws=())
    with pytest.raises(ValueError, match="laws must be of images, got SwapTokens"):
        image.RandAugment(laws=(text.SwapTokens(0),))
