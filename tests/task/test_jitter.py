import numpy as np
import torch

from danlu.data import TensorLoader
from danlu.keyed import generator
from danlu.task.jitter import Jittered, jitter


def bilinear(image, x, y):
    """image at the point (x, y) in pixels, 0 beyond the edge."""
    total = 0.0
    for i in (int(np.floor(y)), int(np.floor(y)) + 1):
        for j in (int(np.floor(x)), int(np.floor(x)) + 1):
            if 0 <= i < image.shape[0] and 0 <= j < image.shape[1]:
                total += image[i, j] * (1 - abs(y - i)) * (1 - abs(x - j))
    return total


def test_an_image_is_read_at_the_mapped_places():
    images = torch.rand(3, 1, 8, 8, dtype=torch.float64, generator=generator("images"))
    maps = np.eye(2, 3) + 0.1 * torch.randn(3, 2, 3, generator=generator("maps")).numpy()
    expected = np.zeros((3, 8, 8))
    for n, row, column in np.ndindex(3, 8, 8):
        place = maps[n] @ [(2 * column + 1) / 8 - 1, (2 * row + 1) / 8 - 1, 1]
        x, y = (place + 1) * 4 - 0.5
        expected[n, row, column] = bilinear(images[n, 0].numpy(), x, y)
    found = jitter(images, generator("maps"))[:, 0].numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)  # the maps are drawn in float32


def test_size_0_is_off():
    images = torch.rand(3, 2, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(jitter(images, generator(0), size=0.0), images, rtol=0, atol=1e-12)


def test_the_edge_continues_as_background():
    flat = TensorLoader(torch.full((4, 1, 8, 8), -0.75), batch=4)
    (images,) = next(Jittered(flat, background=-0.75, seed=0).epoch(0))
    assert torch.equal(images, torch.full((4, 1, 8, 8), -0.75))


def test_epochs_are_pure_and_differ():
    loader = Jittered(TensorLoader(torch.rand(10, 1, 8, 8), batch=4, shuffle=False), background=0.0, seed=1)
    a, b, c = (torch.cat([x for (x,) in loader.epoch(e)]) for e in (0, 0, 1))
    assert len(loader) == 3
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_a_start_within_the_epoch_reads_on_as_if_from_the_beginning():
    loader = Jittered(TensorLoader(torch.rand(10, 1, 8, 8), batch=4), background=0.0, seed=1)
    whole = [x for (x,) in loader.epoch(3)]
    for start in range(4):
        rest = [x for (x,) in loader.epoch(3, start)]
        assert len(rest) == 3 - start
        assert all(torch.equal(a, b) for a, b in zip(rest, whole[start:], strict=True))
