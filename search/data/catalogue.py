"""The table of named data sets: to register one, add a row. Importing it loads no library."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainstack.search.data.raw import Raw


@dataclass(frozen=True)
class NamedData:
    """A named data set.

    Attributes:
        about: One-line description.
        load: Takes the memory limit in bytes (or None) and returns the raw data, with the lines
            of plain Python that load the same.
    """

    about: str
    load: Callable[[int | None], Raw]


def _bundled(function: str, task: str, limit_bytes: int | None) -> Raw:
    from trainstack.search.data.bundled import read_bundled

    return read_bundled(function, task)


def _images(name: str, in_keras: tuple[str, ...], hint: str, limit_bytes: int | None) -> Raw:
    from trainstack.search.data.image_sources import read_images

    return read_images(name, in_keras, hint, limit_bytes)


_KERAS_LINE = 'or, with internet, python -c "import keras; keras.datasets.{}.load_data()"'

DATASETS = {
    "digits": NamedData(
        "1,797 handwritten digits of 8 × 8 pixels, 10 classes",
        partial(_bundled, "load_digits", "classification"),
    ),
    "breast-cancer": NamedData(
        "569 tumours, 30 measurements, 2 classes",
        partial(_bundled, "load_breast_cancer", "classification"),
    ),
    "wine": NamedData(
        "178 wines, 13 measurements, 3 classes",
        partial(_bundled, "load_wine", "classification"),
    ),
    "diabetes": NamedData(
        "442 patients, 10 measurements, progression of the disease (regression)",
        partial(_bundled, "load_diabetes", "regression"),
    ),
    "fashion-mnist": NamedData(
        "70,000 pictures of clothes of 28 × 28 pixels, 10 classes",
        partial(
            _images,
            "fashion-mnist",
            ("fashion-mnist",),
            "apt-get install dataset-fashion-mnist, " + _KERAS_LINE.format("fashion_mnist"),
        ),
    ),
    "mnist": NamedData(
        "70,000 handwritten digits of 28 × 28 pixels, 10 classes",
        partial(_images, "mnist", ("mnist", "mnist.npz"), _KERAS_LINE.format("mnist")[4:]),
    ),
    "cifar10": NamedData(
        "60,000 photographs of 32 × 32 pixels in colour, 10 classes",
        partial(
            _images,
            "cifar10",
            ("cifar-10-batches-py-target/cifar-10-batches-py", "cifar-10-batches-py"),
            _KERAS_LINE.format("cifar10")[4:],
        ),
    ),
}
