"""A folder with a folder of images for each class, perhaps below `train`, `valid` and `test`.

Images are PNG or JPEG of one size. They become bytes [H, W, 1] if all are gray, else [H, W, 3].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trainstack.search.data.part import Part
from trainstack.search.data.raw import COPIES_BYTES, Raw, check_memory
from trainstack.spaces.errors import RequestError

_ENDINGS = (".png", ".jpg", ".jpeg")
_PARTS = ("train", "valid", "test")
# Modes of Pillow's images that have no colours.
_GRAY = ("1", "L", "LA", "I", "I;16")

_PYTHON = """\
def read_images(part):
    folders = [sorted((part / name).iterdir()) for name in classes]
    paths = [[p for p in folder if p.suffix.lower() in endings] for folder in folders]
    images = [np.asarray(Image.open(p).convert(mode)) for of_class in paths for p in of_class]
    labels = np.repeat(np.arange(len(classes)), [len(of_class) for of_class in paths])
    return np.stack(images).reshape(len(images), *images[0].shape[:2], -1), labels"""


def is_class_folder(folder: Path) -> bool:
    """Tell whether a folder holds folders with images."""
    return bool(_classes(folder) or _classes(folder / "train"))


def read_class_folders(folder: Path, limit_bytes: int | None = None) -> Raw:
    """Read the images of each class; classes are in the order of their names.

    Args:
        folder: The folder.
        limit_bytes: Memory limit; None: free memory of the machine.

    Raises:
        RequestError: Pillow is missing, an image is damaged or of another size, a part has other
            classes, or the data is too large.
    """
    given = {part: folder / part for part in _PARTS if _classes(folder / part)}
    parts = given if "train" in given else {"train": folder}
    classes = tuple(_classes(parts["train"]))
    paths = {part: _paths(place, classes) for part, place in parts.items()}
    every = [path for of_part in paths.values() for _, path in of_part]
    size, mode = _looked_at(every)
    width = size[0] * size[1] * (1 if mode == "L" else 3)
    check_memory(len(every) * width * (1 + COPIES_BYTES), str(folder), limit_bytes)
    found = {
        part: Part(
            np.stack([_pixels(path, mode) for _, path in of_part]),
            np.array([label for label, _ in of_part], np.int32),
        )
        for part, of_part in paths.items()
    }
    return Raw(
        found,
        python=_python(parts, classes, mode),
        task="classification",
        classes=classes,
        notes=(f"{len(every):,} images of {size[0]} × {size[1]}, {len(classes)} classes.",),
    )


def _classes(folder: Path) -> list[str]:
    """Return the names of the folders in a folder that hold images, in order."""
    if not folder.is_dir():
        return []
    inner = sorted(each for each in folder.iterdir() if each.is_dir())
    return [each.name for each in inner if any(map(_is_image, each.iterdir()))]


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in _ENDINGS and path.is_file()


def _paths(place: Path, classes: Sequence[str]) -> list[tuple[int, Path]]:
    """Return the label and path of each image of a part."""
    if (here := tuple(_classes(place))) != tuple(classes):
        odd = sorted({*here} ^ {*classes})
        raise RequestError(f"{place} has other classes than the training part ({odd[0]})")
    return [
        (label, path)
        for label, name in enumerate(classes)
        for path in sorted(filter(_is_image, (place / name).iterdir()))
    ]


def _looked_at(paths: Sequence[Path]) -> tuple[tuple[int, int], str]:
    """Return height and width of all images, and Pillow's mode to read them in."""
    size, gray = None, True
    for path in paths:
        with _opened(path) as image:
            here = (image.height, image.width)
            size, gray = size or here, gray and image.mode in _GRAY
        if here != size:
            raise RequestError(
                f"{path} is {here[0]} × {here[1]} pixels, {paths[0]} {size[0]} × {size[1]}",
                "images of one size",
                "resize them first",
            )
    assert size is not None
    return size, "L" if gray else "RGB"


def _opened(path: Path) -> Any:
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise RequestError(
            f"{path} is an image, and Pillow is not installed",
            hint="pip install trainstack[images]",
        ) from None
    try:
        return Image.open(path)
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
        raise RequestError(f"{path} is no image", "a PNG or JPEG file") from None


def _pixels(path: Path, mode: str) -> np.ndarray:
    """Return an image's bytes, [H, W, C]."""
    try:
        with _opened(path) as image:
            pixels = np.asarray(image.convert(mode))
    except (OSError, SyntaxError, ValueError):
        raise RequestError(f"{path} is damaged", "a PNG or JPEG file") from None
    return pixels.reshape(*pixels.shape[:2], -1)


def _python(parts: Mapping[str, Path], classes: Sequence[str], mode: str) -> tuple[str, ...]:
    """Return lines of Python that read the same; see `Dataset.python`."""
    return (
        "from pathlib import Path",
        "",
        "import numpy as np",
        "from PIL import Image",
        "",
        f"classes, mode, endings = {list(classes)!r}, {mode!r}, {_ENDINGS!r}",
        "",
        "",
        *_PYTHON.splitlines(),
        "",
        "",
        *(
            f"x_{part}, y_{part} = read_images(Path({str(place)!r}))"
            for part, place in parts.items()
        ),
    )
