"""Pictures in folders, one folder per class."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

__all__ = ["ImageFolder"]

_ENDINGS = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})


@final
class ImageFolder(Dataset[tuple[Any, int]]):
    """Sample i is (picture, class): a tensor (C, H, W) of float32 in [0, 1], and the place of its folder's name.

    Folders and files are taken in the order of their names, so that a place means the same picture everywhere; folders
    in folders belong to their class, other files and hidden ones are left out. Grey of 16 bits keeps them; pixels of 32
    bits or floating point, whose white nobody knows, are refused when they are read. A picture is read when it is asked for:
    use `danlu.data.Loader`, whose workers read and transform at once, or `tensors` for data that fit into memory.

    Args:
        path: holds the folders.
        transform: of the picture, such as an `Augmentation` or ``torchvision.transforms.v2``; None leaves it as it is.
        grey: whether to read one channel of grey instead of three of colour.

    Attributes:
        classes: the folders' names, sorted.
        files: the pictures' paths.
        labels: their classes, shape (n,).

    Raises:
        FileNotFoundError: when there is no such folder, or no picture in any folder in it.
        ImportError: without Pillow.
    """

    def __init__(
        self, path: str | PathLike[str], transform: Callable[[Tensor], Any] | None = None, *, grey: bool = False
    ) -> None:
        _pillow()
        root = Path(path)
        if not root.is_dir():
            raise FileNotFoundError(f"ImageFolder: there is no folder {root}")
        folders = sorted(child for child in root.iterdir() if child.is_dir() and not child.name.startswith("."))
        found = [(file, folder.name) for folder in folders for file in sorted(folder.rglob("*")) if _is_picture(file)]
        if not found:
            raise FileNotFoundError(f"ImageFolder: {root} has no folder with pictures; it needs {root}/CLASS/NAME.png")
        self.classes = [folder.name for folder in folders]
        self.files = [file for file, _ in found]
        self.labels = torch.tensor([self.classes.index(name) for _, name in found])
        self.transform, self.grey = transform, grey

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        picture = _read(self.files[index], self.grey)
        return picture if self.transform is None else self.transform(picture), int(self.labels[index])

    def tensors(self) -> tuple[Tensor, Tensor]:
        """Read all pictures, without the transform, for a `TensorLoader`; C·H·W·4 bytes each.

        Returns:
            Pictures (n, C, H, W) and classes (n,).

        Raises:
            ValueError: when two pictures have different sizes.
        """
        pictures = [_read(file, self.grey) for file in self.files]
        for file, picture in zip(self.files, pictures, strict=True):
            if picture.shape != pictures[0].shape:
                sizes = f"{self.files[0]} is {_size(pictures[0])}, {file} is {_size(picture)}"
                raise ValueError(f"ImageFolder: {sizes}; use a Loader and a transform that makes them one size")
        return torch.stack(pictures), self.labels


def _is_picture(file: Path) -> bool:
    return file.suffix.lower() in _ENDINGS and not file.name.startswith(".") and file.is_file()


def _size(picture: Tensor) -> str:
    return f"{picture.shape[1]}×{picture.shape[2]}"


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise ImportError("reading pictures needs Pillow: pip install 'danlu[images]'") from None
    return Image


def _read(file: Path, grey: bool) -> Tensor:
    try:
        with _pillow().open(file) as picture:
            mode, deep = picture.mode, picture.mode.startswith("I;16")
            pixels = np.array(picture if deep else picture.convert("L" if grey else "RGB"))
    except OSError as problem:
        raise ValueError(f"ImageFolder: {file} cannot be read: {problem}") from None
    if mode in {"I", "F"}:  # Pillow would cut all values above 255 to white
        raise ValueError(f"ImageFolder: {file} has pixels of mode {mode!r}, whose white is not known; write 8 or 16 bits")
    if deep:
        return torch.from_numpy(pixels.astype(np.float32) / 65535).expand(1 if grey else 3, -1, -1).clone()
    return torch.from_numpy(pixels.reshape(*pixels.shape[:2], -1)).permute(2, 0, 1).float() / 255
