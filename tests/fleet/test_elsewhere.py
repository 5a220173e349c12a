"""Machines that share only the database and an object store."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import URL

from tests.support import object_store
from tests.support.shell import Shell, refused
from trainstack.search.database.connection import ARTIFACTS, STORAGE, exported
from trainstack.spaces.stack import Stack

pytestmark = [pytest.mark.fleet, pytest.mark.postgres, pytest.mark.keras]


def write_table(path: Path) -> None:
    """Write a table with text and gaps."""
    rng = np.random.default_rng(3)
    rooms, town = rng.integers(1, 9, 200).astype(float), rng.choice(["Ede", "Béziers"], 200)
    frame = pd.DataFrame({"rooms": rooms, "town": town, "price": rooms * 10 + rng.normal(size=200)})
    frame.loc[::7, "rooms"] = np.nan
    frame.to_csv(path, index=False)


def test_data_weights_and_models_through_an_object_store(url: URL, tmp_path: Path) -> None:
    """A machine trains on a table shared by the launching one; a third exports the model."""
    table, stacks = tmp_path / "houses.csv", tmp_path / "stacks.json"
    write_table(table)
    stacks.write_text(json.dumps([Stack.of(units=[8], batch_size=32).to_json()]))
    with object_store.server() as environment:
        place = f"s3://{object_store.BUCKET}/team"
        settings = {STORAGE: exported(url), ARTIFACTS: place, **environment}
        launcher, worker, third = (
            Shell(tmp_path / name, settings) for name in ("launcher", "worker", "third")
        )
        words = ("launch", table, "--target", "price", "--stacks", stacks, "--epochs", "2")
        done = launcher.run(*words, "--replicates", "1", "--folds", "1", "--share-data", "--detach")
        assert done.returncode == 0, done.stderr
        (data,) = object_store.names(environment)
        assert f"{data.removeprefix('team/')} in {place}" in done.stderr
        table.unlink()

        done = worker.run("worker", "houses", "--memory-mb", "0")
        assert done.returncode == 0, done.stderr
        assert "s3cr3t-word" not in done.stderr
        fetched = [path.name for path in (worker.home / "shared").glob("*.npz")]
        assert fetched == [data.rsplit("/", 1)[-1]]
        assert worker.json("status", "houses")["state"] == "concluded"

        model = tmp_path / "taken" / "mine.keras"
        assert third.run("export", "houses", "--format", "keras", "-o", model).returncode == 0
        kinds = {
            name.split("/")[2] for name in object_store.names(environment) if "/houses/" in name
        }
        assert kinds == {"search", "confirmation", "measurement"}
        assert not any(name.endswith(".checkpoint.npz") for name in object_store.names(environment))
    assert model.stat().st_size > 0
    assert not (tmp_path / "third" / "artifacts").exists()


def test_an_object_store_that_cannot_be_used(url: URL, tmp_path: Path) -> None:
    """A missing bucket is reported before anything is created."""
    with object_store.server() as environment:
        settings = {STORAGE: exported(url), ARTIFACTS: "s3://no-such-one/a", **environment}
        here = Shell(tmp_path / "home", settings)
        assert "no bucket" in refused(here.run("launch", "wine", "--detach"), 2)
    assert not here.home.exists()
