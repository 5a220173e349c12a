"""The table of losses that networks are trained on; `trainstack.workers.engine.losses` has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trainstack.search.metrics.table import CLASSIFICATION, REGRESSION, kind_of
from trainstack.spaces.errors import RequestError, nearest

# The exponent of the focal loss.
FOCUS = 2.0


@dataclass(frozen=True)
class Loss:
    """A loss.

    Attributes:
        name: Its name.
        about: Description with reference.
        task: `classification` or `regression`.
        keras: Function of it in exported code, of targets and predictions.
        logarithmic: Whether the network's output is the logarithm of the prediction, which is then
            positive.
        label_keras: As `keras`, of labels and their probabilities, [N, T].
    """

    name: str
    about: str
    task: str
    keras: str
    logarithmic: bool = False
    label_keras: str = ""


LOSSES: Mapping[str, Loss] = {
    row.name: row
    for row in (
        Loss(
            "cross_entropy",
            "negative logarithm of the true class's probability",
            CLASSIFICATION,
            "keras.losses.sparse_categorical_crossentropy",
            label_keras="keras.losses.binary_crossentropy",
        ),
        Loss(
            "focal",
            f"cross-entropy · (1 - probability)^{FOCUS:g}: rows that are nearly right count less "
            "(Lin et al. 2017)",
            CLASSIFICATION,
            "focal",
            label_keras="keras.losses.binary_focal_crossentropy",
        ),
        Loss(
            "squared",
            "squared error of the standardised target",
            REGRESSION,
            "keras.losses.mean_squared_error",
        ),
        Loss(
            "absolute",
            "absolute error of the standardised target",
            REGRESSION,
            "keras.losses.mean_absolute_error",
        ),
        Loss(
            "huber",
            "squared below one standard deviation of the target, absolute above (Huber 1964)",
            REGRESSION,
            "keras.losses.huber",
        ),
        Loss(
            "poisson",
            "half the deviance of a count divided by its mean; the network predicts its logarithm",
            REGRESSION,
            "keras.losses.poisson",
            logarithmic=True,
        ),
    )
}


def loss_named(name: str, task: str) -> Loss:
    """Return a task's loss by its name.

    Raises:
        RequestError: There is no such loss, or the task does not have it.
    """
    row = LOSSES.get(name)
    names = [other.name for other in LOSSES.values() if other.task == kind_of(task)]
    if row is None:
        raise RequestError(
            f"--loss: '{name}' is not known", "the name of a loss", nearest(name, names)
        )
    if row.task != kind_of(task):
        raise RequestError(f"--loss: a {task} has no {name} loss", ", ".join(names))
    return row
