"""Requirements of every artifact store: a folder, and a real server with the S3 protocol."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support import object_store
from trainstack.search.artifacts import FolderStore, Store, open_store, put
from trainstack.search.object_store import S3Store
from trainstack.search.records import Measurement
from trainstack.spaces.errors import RequestError, StorageAwayError
from trainstack.workers.engine.checkpoint import Checkpoint, Shelf

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def bucket() -> Iterator[dict[str, str]]:
    """The environment variables that locate a bucket."""
    with object_store.server() as environment:
        yield environment


@pytest.fixture
def s3(bucket: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The same, set in this process."""
    for name, value in bucket.items():
        monkeypatch.setenv(name, value)
    return bucket


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty store of each kind."""
    if request.param == "folder":
        return open_store(str(tmp_path / "artifacts"))
    request.getfixturevalue("s3")
    return open_store(f"s3://{object_store.BUCKET}/{tmp_path.name}/")


def content(store: Store, name: str) -> bytes:
    with store.read(name) as file:
        return file.read()


def test_written_and_read(store: Store, tmp_path: Path) -> None:
    """A file has the content last written under its name; a removed file does not exist."""
    store.check()
    for written in (b"first", b"second" * 100_000):
        store.write("study/search/1.npz", lambda file, written=written: file.write(written))
        assert content(store, "study/search/1.npz") == written
    (tmp_path / "local").write_bytes(b"third")
    put(store, "study/other", tmp_path / "local")
    store.remove("study/search/1.npz")
    store.remove("study/search/1.npz")
    with pytest.raises(FileNotFoundError), store.read("study/search/1.npz"):
        pass
    assert content(store, "study/other") == b"third"


def test_a_checkpoint_goes_from_one_worker_to_another(store: Store) -> None:
    """Another worker resumes from a worker's checkpoint, and deletes it when the trial ends."""
    arrays = [np.arange(6.0).reshape(2, 3), np.array(0.5, np.float32)]
    measured = (Measurement(1, 0.5, 0.25, 0.9, 1.5),)
    Shelf(store, "s/search/1.npz", {"seed": 1}).save(Checkpoint(measured, arrays, [], arrays))
    found = Shelf(store, "s/search/1.npz", {"seed": 1}).load()
    assert found is not None
    assert found.measurements == measured
    for ours, theirs in zip(found.weights + found.best, arrays * 2, strict=True):
        np.testing.assert_array_equal(ours, theirs, strict=True)
    assert Shelf(store, "s/search/1.npz", {"seed": 2}).load() is None
    Shelf(store, "s/search/1.npz", {"seed": 1}).drop()
    assert Shelf(store, "s/search/1.npz", {"seed": 1}).load() is None


def test_half_a_file_is_never_seen(store: Store) -> None:
    """If writing fails midway, the previous content stays and no other file appears."""
    store.write("a", lambda file: file.write(b"whole"))

    def fail(file) -> None:
        file.write(b"half")
        raise OSError("no space left")

    for name in ("a", "b"):
        with pytest.raises(OSError, match="no space"):
            store.write(name, fail)
    assert content(store, "a") == b"whole"
    with pytest.raises(FileNotFoundError), store.read("b"):
        pass
    if isinstance(store, FolderStore):
        assert [path.name for path in store.folder.iterdir()] == ["a"]


OUTSIDE = ["../a", "a/../../b", "/etc/passwd", "", ".", "..", "a//b", "a\\..\\b", "C:/a", "a\0b"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_names_stay_inside(store: Store, name: str, tmp_path: Path) -> None:
    """A name that leads out of the store is refused by every operation."""
    actions: list[Callable[[], object]] = [
        lambda: store.write(name, lambda file: file.write(b"x")),
        lambda: store.remove(name),
        lambda: store.read(name).__enter__(),
    ]
    for action in actions:
        with pytest.raises(RequestError, match="inside the artifact store"):
            action()
    assert list(tmp_path.iterdir()) == []


def test_links_do_not_lead_out(tmp_path: Path) -> None:
    """A link out of the folder is not followed."""
    (tmp_path / "secret").write_text("s")
    store = FolderStore(tmp_path / "artifacts")
    store.folder.mkdir()
    (store.folder / "out").symlink_to(tmp_path)
    with pytest.raises(RequestError, match="link"):
        store.read("out/secret")
    with pytest.raises(RequestError, match="link"):
        store.write("out/new", lambda file: file.write(b"x"))
    assert not (tmp_path / "new").exists()


def test_prefixes_are_apart(s3: dict[str, str]) -> None:
    """Files of the same name under two prefixes of a bucket are separate."""
    one, other = (
        open_store(f"s3://{object_store.BUCKET}/{prefix}") for prefix in ("team/a", "team/b")
    )
    one.write("x", lambda file: file.write(b"1"))
    other.write("x", lambda file: file.write(b"2"))
    assert (content(one, "x"), content(other, "x")) == (b"1", b"2")
    assert {"team/a/x", "team/b/x"} <= set(object_store.names(s3))
    assert str(one) == f"s3://{object_store.BUCKET}/team/a"


@pytest.mark.parametrize(
    "location",
    ["gs://bucket/x", "http://h/b", "s3://", "s3:///a", "s3://KEY:s3cr3t-word@bucket/x"],
)
def test_other_urls_are_refused(location: str) -> None:
    """A URL of another kind is refused in one line that repeats no key."""
    with pytest.raises(RequestError, match="s3://bucket/prefix") as refused:
        open_store(location)
    assert "s3cr3t-word" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_prefix_stays_inside() -> None:
    """A prefix that leads upwards is refused."""
    with pytest.raises(RequestError, match="inside the artifact store"):
        open_store("s3://bucket/a/../b")


def test_no_such_bucket(s3: dict[str, str]) -> None:
    """A missing bucket is detected at once, and named."""
    with pytest.raises(RequestError, match="no bucket for s3://nobodys-bucket/x"):
        open_store("s3://nobodys-bucket/x").check()


def test_no_server_answers(s3: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """An unavailable server gives StorageAwayError, and for files an OSError as for a full disk."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
        store = S3Store(object_store.BUCKET, "")
        with pytest.raises(StorageAwayError, match="no answer from s3://") as away:
            store.check()
        with pytest.raises(OSError, match="s3://"):
            store.write("a", lambda file: file.write(b"x"))
    assert "s3cr3t-word" not in str(away.value)


def test_without_the_library() -> None:
    """Without boto3, one line explains how to install it."""
    program = """
import sys
sys.modules["boto3"] = None
from trainstack.search.artifacts import open_store
from trainstack.spaces.errors import RequestError
try:
    open_store("s3://bucket/prefix")
except RequestError as error:
    print(error.exit_code, error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    (line,) = done.stdout.splitlines()
    assert line.startswith("2 ")
    assert "pip install 'trainstack[s3]'" in line
