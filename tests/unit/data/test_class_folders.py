"""Folders of images by class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from trainstack.search.data.load import load
from trainstack.search.data.own_inputs import inputs_of
from trainstack.spaces.errors import RequestError

RNG = np.random.default_rng(0)


def written(
    folder: Path, count: int = 15, shape: tuple[int, ...] = (6, 5), ending: str = "png"
) -> dict:
    """Write images of two classes; return them by class."""
    found: dict[str, Any] = {}
    for name in ("cat", "ant"):
        (folder / name).mkdir(parents=True)
        found[name] = RNG.integers(0, 256, (count, *shape)).astype("uint8")
        for k, image in enumerate(found[name]):
            Image.fromarray(image).save(folder / name / f"{k:03}.{ending}")
    return found


def test_images_are_read_with_their_classes(tmp_path: Path) -> None:
    """Gray images have one channel; labels are in the order of the classes' names."""
    images = written(tmp_path / "pets")
    (tmp_path / "pets" / "ant" / "notes.txt").write_text("no image", "utf-8")
    dataset = load(str(tmp_path / "pets"))
    assert dataset.classes == ("ant", "cat")
    assert dataset.x.dtype == np.uint8
    assert inputs_of(dataset).shapes == (("inputs", (6, 5, 1)),)
    expected = np.concatenate([images["ant"], images["cat"]]).reshape(30, -1)
    np.testing.assert_array_equal(dataset.x, expected)
    np.testing.assert_array_equal(dataset.y, [0] * 15 + [1] * 15)


def test_colours_and_given_parts_are_kept(tmp_path: Path) -> None:
    """Folders `train` and `test` are these parts; coloured images have three channels."""
    written(tmp_path / "train", 20, (4, 4, 3))
    images = written(tmp_path / "test", 3, (4, 4, 3))
    dataset = load(str(tmp_path))
    assert dataset.image_shape == (4, 4, 3)
    assert len(dataset.parts["test"].y) == 6
    np.testing.assert_array_equal(dataset.parts["test"].x[:3], images["ant"].reshape(3, -1))


def test_the_printed_code_reads_the_same(tmp_path: Path) -> None:
    """The lines of Python for exported programs give the same pixels and labels."""
    written(tmp_path / "pets", shape=(4, 4, 3))
    dataset = load(str(tmp_path / "pets"))
    found: dict[str, Any] = {}
    exec("\n".join(dataset.python), found)
    np.testing.assert_array_equal(found["x_train"].reshape(30, -1), dataset.x)
    np.testing.assert_array_equal(found["y_train"], dataset.y)


def test_jpeg_files_are_read(tmp_path: Path) -> None:
    """JPEG is lossy, so flat images come back as they were."""
    written(tmp_path / "pets", ending="jpg")
    for path in (tmp_path / "pets").rglob("*.jpg"):
        Image.fromarray(np.full((8, 8), 200, "uint8")).save(path)
    assert np.abs(load(str(tmp_path / "pets")).x.astype(int) - 200).max() <= 2


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: Image.new("L", (9, 6)).save(f / "cat" / "000.png"), "6 × 9 pixels"),
        (lambda f: (f / "cat" / "000.png").write_text("x"), "000.png is no image"),
        (lambda f: [p.unlink() for p in (f / "cat").iterdir()], "single class"),
    ],
)
def test_what_is_no_set_of_images_is_refused(tmp_path: Path, spoil: Any, message: str) -> None:
    """Another size, another kind of file and a single class give one line with the file."""
    written(tmp_path / "pets")
    spoil(tmp_path / "pets")
    with pytest.raises(RequestError, match=message):
        load(str(tmp_path / "pets"))


def test_parts_have_the_same_classes(tmp_path: Path) -> None:
    """A test part with another class is refused."""
    written(tmp_path / "train")
    written(tmp_path / "test")
    (tmp_path / "test" / "cat").rename(tmp_path / "test" / "dog")
    with pytest.raises(RequestError, match="other classes than the training part"):
        load(str(tmp_path))
