import sys

import numpy as np
import pytest
import torch

from danlu.data import ImageFolder, arrays, image


def test_arrays_come_in_the_order_asked_for(tmp_path):
    x, y = np.random.default_rng(0).random((5, 2)).astype(np.float32), np.arange(5)
    np.savez(tmp_path / "a.npz", x=x, y=y)
    np.save(tmp_path / "x.npy", x[:, ::-1])
    labels, points = arrays(tmp_path / "a.npz", "y", "x")
    assert torch.equal(labels, torch.from_numpy(y))
    assert torch.equal(points, torch.from_numpy(x))
    assert [t.dtype for t in arrays(str(tmp_path / "a.npz"))] == [torch.float32, torch.int64]
    (alone,) = arrays(tmp_path / "x.npy")
    assert torch.equal(alone, torch.from_numpy(x[:, ::-1].copy()))
    alone += 1  # it is ours to write to


def test_files_that_are_no_arrays_are_refused_in_one_line(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.zeros(2), objects=np.array([{}]), words=np.array(["a"]))
    np.save(tmp_path / "x.npy", np.zeros(3))
    (tmp_path / "no.npz").write_bytes(b"PK\x03\x04 not a zip")
    (tmp_path / "empty.npy").write_bytes(b"")
    for name, asked, words in [
        ("a.npz", ["image"], "there is no array 'image'; did you mean 'images'"),
        ("a.npz", ["objects"], "Object arrays cannot be loaded"),
        ("a.npz", ["words"], "can't convert np.ndarray of type numpy.str_"),
        ("x.npy", ["x"], "there is no array 'x'; there is one, without a name"),
        ("no.npz", [], "no.npz: "),
        ("empty.npy", [], "empty.npy: "),
    ]:
        with pytest.raises(ValueError, match=words) as raised:
            arrays(tmp_path / name, *asked)
        assert "\n" not in str(raised.value)
    with pytest.raises(FileNotFoundError, match=r"arrays: there is no file .*none\.npz"):
        arrays(tmp_path / "none.npz")


@pytest.fixture
def folder(tmp_path):
    """Three classes; in the second a folder, a text and a hidden picture."""
    pil = pytest.importorskip("PIL.Image")
    draw = np.random.default_rng(0)
    pixels = {}
    for name in ("cat/b.png", "cat/a.png", "dog/deep/c.bmp", "emu/d.PNG"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        pixels[name] = draw.integers(0, 256, (6, 5, 3), dtype=np.uint8)
        pil.fromarray(pixels[name]).save(tmp_path / name)
    (tmp_path / "dog" / "notes.txt").write_text("no picture")
    (tmp_path / "dog" / ".hidden.png").write_text("no picture")
    (tmp_path / "readme.md").write_text("no class")
    return tmp_path, pixels


def test_pictures_are_read_in_the_order_of_their_names(folder):
    path, pixels = folder
    data = ImageFolder(path)
    assert data.classes == ["cat", "dog", "emu"]
    assert [str(f.relative_to(path)) for f in data.files] == ["cat/a.png", "cat/b.png", "dog/deep/c.bmp", "emu/d.PNG"]
    assert len(data) == 4
    for i, file in enumerate(data.files):
        picture, label = data[i]
        expected = torch.from_numpy(pixels[str(file.relative_to(path))]).permute(2, 0, 1).float() / 255
        assert torch.equal(picture, expected)
        assert label == data.labels[i] == [0, 0, 1, 2][i]
    x, y = data.tensors()
    assert x.shape == (4, 3, 6, 5)
    assert torch.equal(x[2], data[2][0])
    assert torch.equal(y, data.labels)


def test_grey_and_a_transform(folder):
    data = ImageFolder(folder[0], image.Flip(1.0), grey=True)
    assert data[1][0].shape == (1, 6, 5)
    assert torch.equal(data[1][0].flip(-1), data.tensors()[0][1])


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_grey_of_16_bits_keeps_them(tmp_path, order):
    pil = pytest.importorskip("PIL.Image")
    pixels = np.linspace(0, 65535, 12).reshape(4, 3).astype(order)
    (tmp_path / "cat").mkdir()
    pil.fromarray(pixels).save(tmp_path / "cat" / "a.tif")
    wanted = torch.from_numpy(pixels.astype(np.float32) / 65535)
    assert torch.equal(ImageFolder(tmp_path, grey=True)[0][0], wanted[None])
    assert torch.equal(ImageFolder(tmp_path)[0][0], wanted.expand(3, 4, 3))


@pytest.mark.parametrize(("kind", "mode"), [(np.float32, "F"), (np.int32, "I")])
def test_pictures_without_a_known_white_are_refused(tmp_path, kind, mode):
    pil = pytest.importorskip("PIL.Image")
    (tmp_path / "cat").mkdir()
    pil.fromarray(np.arange(12).reshape(4, 3).astype(kind)).save(tmp_path / "cat" / "a.tif")
    with pytest.raises(ValueError, match=rf"a\.tif has pixels of mode '{mode}', whose white is not known; write 8 or 16 bits"):
        ImageFolder(tmp_path)[0]


def test_folders_without_pictures_are_refused(folder, tmp_path_factory, monkeypatch):
    path, _ = folder
    with pytest.raises(FileNotFoundError, match=r"ImageFolder: there is no folder .*nowhere"):
        ImageFolder(path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"has no folder with pictures; it needs .*/CLASS/NAME.png"):
        ImageFolder(path / "cat")
    (path / "cat" / "a.png").write_bytes(b"garbage")
    with pytest.raises(ValueError, match=r"ImageFolder: .*a\.png cannot be read"):
        ImageFolder(path)[0]
    image_of = pytest.importorskip("PIL.Image")
    image_of.new("L", (3, 3)).save(path / "cat" / "a.png")
    with pytest.raises(ValueError, match=r"a\.png is 3×3, .*b\.png is 6×5; use a Loader"):
        ImageFolder(path).tensors()
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"^reading pictures needs Pillow: pip install 'danlu\[images\]'$"):
        ImageFolder(path)
