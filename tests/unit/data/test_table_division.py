"""Tables divided by groups, times, given files or a column of parts."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.support.data_files import arrays
from tests.support.data_kinds import PARTS
from trainstack.search.artifacts import FolderStore
from trainstack.search.data.dataset import Dataset
from trainstack.search.data.generated_code import python_lines
from trainstack.search.data.load import load
from trainstack.search.data.overrules import Overrules
from trainstack.search.data.sharing import obtain, share
from trainstack.search.data.split_plan import SplitPlan
from trainstack.search.data_spec import DataSpec
from trainstack.spaces.errors import RequestError

ROWS = 400
RNG = np.random.default_rng(0)
DAYS = pd.date_range("2021-01-01", periods=ROWS, freq="2D")


def visits() -> pd.DataFrame:
    """Return visits of patients on dates, with a gap, a category and the name of a part."""
    order = np.random.default_rng(1).permutation(ROWS)
    frame = pd.DataFrame(
        {
            "patient": [f"p{k:02}" for k in np.arange(ROWS) % 37],
            "when": DAYS.strftime("%d.%m.%Y"),
            "step": np.arange(ROWS) // 4,
            "pulse": np.where(np.arange(ROWS) % 7 == 0, np.nan, RNG.normal(70, 9, ROWS)),
            "ward": RNG.choice(["a", "b", "c"], ROWS),
            "part": np.repeat(["Training", "val", "TEST"], [250, 70, 80]),
            "weight": RNG.uniform(1, 2, ROWS),
            "cost": RNG.normal(9, 2, ROWS),
            "ill": RNG.choice(["no", "yes"], ROWS),
        }
    )
    return frame.iloc[order].reset_index(drop=True)


def wrote(folder: Path, ending: str = "csv", frame: pd.DataFrame | None = None) -> Path:
    """Write the visits: all of them, and in three files."""
    whole = visits() if frame is None else frame
    train, valid, test = whole[whole.step < 60], whole[whole.step == 60], whole[whole.step > 60]
    files = {"all": whole, "train": train, "valid": pd.concat([valid] * 8), "test": test}
    for name, rows in files.items():
        path = folder / f"{name}.{ending}"
        if ending == "csv":
            rows.to_csv(path, index=False)
        else:
            rows.to_parquet(path)
    return folder


def read(folder: Path, name: str = "all", target: str = "ill", **options: Any) -> Dataset:
    """Load one of the files with a plan."""
    plan = {key: options.pop(key) for key in list(options) if key in SplitPlan.__dataclass_fields__}
    path = next(folder.glob(f"{name}.*"))
    files = {
        k: str(folder / f"{v}{path.suffix}") for k, v in plan.items() if k in ("valid", "test")
    }
    return load(str(path), target, plan=SplitPlan(**{**plan, **files}), **options)


PLANS: dict[str, dict[str, Any]] = {
    "group": {"group": "patient"},
    "group, regression": {"group": "patient", "target": "cost", "weight": "weight"},
    "time": {"time": "when"},
    "time with a gap of days": {"time": "when", "gap": "3w", "target": "cost"},
    "time with a gap of rows": {"time": "when", "gap": "20", "weight": "weight"},
    "numbers as time": {"time": "step", "gap": "9"},
    "part": {"part": "part"},
    "part, weighted": {"part": "part", "weight": "weight", "target": "cost"},
    "test file": {"name": "train", "test": "test"},
    "both files": {"name": "train", "valid": "valid", "test": "test", "target": "cost"},
    "test file in time": {"name": "train", "test": "test", "time": "when", "gap": "1d"},
    "several targets": {"target": "cost,pulse", "group": "patient"},
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files as CSV and as Parquet."""
    return {e: wrote(tmp_path_factory.mktemp(e), e) for e in ("csv", "parquet")}


@pytest.fixture(scope="module")
def planned(folders: dict[str, Path]) -> Callable[[str], Dataset]:
    """The CSV files with each plan, read once."""
    return functools.cache(lambda plan: read(folders["csv"], **PLANS[plan]))


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("plan", PLANS)
def test_generated_lines_give_the_split(
    plan: str, ending: str, folders: dict[str, Path], planned: Callable[[str], Dataset]
) -> None:
    """Executed alone, the exported lines give exactly the arrays of the split."""
    dataset = planned(plan) if ending == "csv" else read(folders[ending], **PLANS[plan])
    scope: dict[str, Any] = {"seed": 7}
    lines = "\n".join(python_lines(dataset))
    assert "trainstack" not in lines.replace(str(folders[ending]), "")
    exec(lines, scope)
    split = dataset.split(7)
    for name in PARTS:
        np.testing.assert_array_equal(scope[name], getattr(split, name), strict=True)
    for part in ("train", "valid", "test") if dataset.has_weights else ():
        np.testing.assert_array_equal(scope[f"w_{part}"], getattr(split, f"w_{part}"))


@pytest.mark.parametrize("plan", PLANS)
def test_a_worker_without_the_files_splits_alike(
    plan: str, planned: Callable[[str], Dataset], tmp_path: Path
) -> None:
    """Shared data has the study's fingerprint, split, features and exported lines."""
    here = planned(plan)
    store = FolderStore(tmp_path / "store")
    share(here, store)
    gone = dataclasses.replace(here.describe(), source="/no/such/place.csv")
    gone = DataSpec.from_json(gone.to_json())
    there = obtain(gone, lambda: store, tmp_path / "cache")
    assert there.describe() == gone
    scope: dict[str, Any] = {"seed": 3}
    exec("\n".join(python_lines(there)), scope)
    ours, theirs = here.split(3), there.split(3)
    for name in PARTS:
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), strict=True)
        np.testing.assert_array_equal(scope[name], getattr(ours, name), strict=True)


def test_a_worker_with_the_files_reads_the_study_plan(planned: Callable[[str], Dataset]) -> None:
    """The pinned description is enough to read the same data again."""
    for plan in PLANS:
        here = planned(plan)
        data = DataSpec.from_json(here.describe().to_json())
        again = obtain(data, lambda: FolderStore(Path("/nowhere")), Path("/nowhere"))
        assert again.describe() == here.describe()


def test_groups_are_in_one_part_and_no_feature(folders: dict[str, Path]) -> None:
    """Every patient is in one part for any seed; the seed moves validation, not the test part."""
    dataset = read(folders["csv"], group="patient")
    patients = visits()["patient"].to_numpy()
    assert not any("patient" in name for name in dataset.split(0).feature_names)
    seen = []
    for seed in range(5):
        parts = [{*patients[rows]} for rows in dataset.division.positions(seed).values()]
        assert sum(map(len, parts)) == 37
        seen.append(parts)
    assert all(parts[2] == seen[0][2] for parts in seen)
    assert len({frozenset(parts[1]) for parts in seen}) > 1


def test_times_are_read_as_dates_in_any_order(folders: dict[str, Path]) -> None:
    """Dates of day, month and year order the rows; every seed gives the same split."""
    dataset = read(folders["csv"], time="when", gap="10d")
    when = pd.to_datetime(visits()["when"], format="%d.%m.%Y").to_numpy()
    train, valid, tested = dataset.division.positions(0).values()
    assert dataset.division.is_fixed
    assert len(tested) == 80
    gap = np.timedelta64(10, "D")
    assert when[valid].min() - when[train].max() == gap
    assert when[tested].min() - when[valid].max() == gap


def test_of_the_time_the_recurring_parts_are_learnt(folders: dict[str, Path]) -> None:
    """Over two years of dates, months, days and weekdays are features; days and years are not."""
    dataset = read(folders["csv"], time="when")
    made = {name for name in dataset.columns if name.startswith("when")}
    assert made == {"when month", "when day", "when weekday"}
    column = next(c for c in dataset.described if c.name == "when")
    assert column.used
    assert column.why == "--time: orders the rows; month, day, weekday"
    numbers = read(folders["csv"], time="step")
    assert "step" not in numbers.columns
    assert {c.name: c.why for c in numbers.described}["step"].startswith("--time: orders")


def test_months_within_a_year_are_not_learnt(tmp_path: Path) -> None:
    """Over ten months a later month has not occurred before, so it is no feature."""
    frame = visits().assign(when=pd.date_range("2021-01-01", periods=ROWS, freq="18h").astype(str))
    frame.to_csv(tmp_path / "all.csv", index=False)
    made = {n for n in read(tmp_path, time="when").columns if n.startswith("when")}
    assert made == {"when day", "when weekday", "when hour"}


def test_a_time_that_is_kept_is_learnt_whole(folders: dict[str, Path]) -> None:
    """`--keep` makes features of all of it."""
    dataset = read(folders["csv"], time="when", overrules=Overrules(keep=("when",)))
    assert {"when", "when year", "when month"} <= {*dataset.columns}


def test_named_parts_are_kept(folders: dict[str, Path]) -> None:
    """Usual spellings of train, valid and test name the parts of the rows."""
    split = read(folders["csv"], part="part").split(5)
    assert (len(split.y_train), len(split.y_valid), len(split.y_test)) == (250, 70, 80)


def test_given_files_are_the_parts(folders: dict[str, Path]) -> None:
    """The rows of the test file are the test part, in their order; the rest is divided."""
    dataset = read(folders["csv"], "train", "cost", test="test")
    expected = pd.read_csv(folders["csv"] / "test.csv")["cost"]
    np.testing.assert_allclose(dataset.split(1).y_test, expected)
    assert not dataset.division.is_fixed
    both = read(folders["csv"], "train", "cost", valid="valid", test="test")
    assert both.division.is_fixed
    assert len(both.split(1).y_valid) == len(pd.read_csv(folders["csv"] / "valid.csv"))


def test_another_plan_is_another_study(folders: dict[str, Path]) -> None:
    """Groups are part of the fingerprint, and a message about other groups names the flag."""
    plain, grouped = (read(folders["csv"], **plan).describe() for plan in ({}, {"group": "step"}))
    other = read(folders["csv"], group="patient").describe()
    assert len({plain.fingerprint, grouped.fingerprint, other.fingerprint}) == 3


def test_a_fault_in_a_test_file_is_found_there(tmp_path: Path) -> None:
    """The message names the line and the file."""
    wrote(tmp_path)
    text = (tmp_path / "test.csv").read_text().splitlines()
    place = next(k for k, line in enumerate(text[1:], start=1) if ",," not in line)
    cells = text[place].split(",")
    cells[3] = "inf"
    text[place] = ",".join(cells)
    (tmp_path / "test.csv").write_text("\n".join(text))
    with pytest.raises(RequestError, match=rf"line {place + 1} of test\.csv"):
        read(tmp_path, "train", test="test")


def changed(**columns: Any) -> Callable[[Path], None]:
    """Return a function that writes the visits with other columns."""

    def write(folder: Path) -> None:
        wrote(folder, frame=visits().assign(**columns))

    return write


def other_columns(folder: Path) -> None:
    wrote(folder)
    visits().rename(columns={"ward": "room"}).to_csv(folder / "test.csv", index=False)


def without_target(folder: Path) -> None:
    wrote(folder)
    visits().assign(ill="").to_csv(folder / "test.csv", index=False)


def new_class(folder: Path) -> None:
    wrote(folder)
    visits().assign(ill="maybe").to_csv(folder / "test.csv", index=False)


def rare_group(folder: Path) -> None:
    frame = visits()
    wrote(folder, frame=frame.assign(ill=np.where(frame.patient < "p02", "yes", "no")))


def late_class(folder: Path) -> None:
    frame = visits()
    wrote(folder, frame=frame.assign(ill=np.where(frame.step > 95, "yes", "no")))


PLAIN = changed()
# Fault → files, file, plan, words of the message.
FAULTS: dict[str, tuple[Callable[[Path], None], str, dict[str, Any], str]] = {
    "group is the target": (PLAIN, "all", {"group": "ill"}, "--group names the target 'ill'"),
    "time is the target": (PLAIN, "all", {"time": "ill"}, "--time names the target 'ill'"),
    "no such group": (PLAIN, "all", {"group": "patien"}, "did you mean 'patient'"),
    "group and time": (PLAIN, "all", {"group": "patient", "time": "when"}, "--group with --time"),
    "part and file": (PLAIN, "train", {"part": "part", "test": "test"}, "--part with --test"),
    "gap without time": (PLAIN, "all", {"gap": "7d"}, "--gap 7d without --time"),
    "gap of nothing": (PLAIN, "all", {"gap": "0", "time": "when"}, "a number of rows, or a time"),
    "gap of words": (PLAIN, "all", {"gap": "soon", "time": "when"}, "a number of rows, or a time"),
    "days between numbers": (
        PLAIN,
        "all",
        {"gap": "7d", "time": "step"},
        "--gap 7d, but the times of 'step' are plain numbers; expected a number of rows",
    ),
    "a gap that leaves nothing": (
        PLAIN,
        "all",
        {"gap": "52w", "time": "when"},
        "--gap leaves too few rows before the parts held out; expected a shorter gap",
    ),
    "time that does not parse": (
        PLAIN,
        "all",
        {"time": "ward"},
        "the time 'ward' of all.csv holds text such as 'a'; expected dates",
    ),
    "time with a word": (
        changed(when=lambda f: f["when"].where(f.index != 9, "soon")),
        "all",
        {"time": "when"},
        "the time 'when' of all.csv holds text such as 'soon'",
    ),
    "constant time": (
        changed(when="2024-01-31"),
        "all",
        {"time": "when"},
        "the time 'when' is 2024-01-31 in every row; expected times that differ",
    ),
    "two times": (
        changed(step=lambda f: f.index % 2),
        "all",
        {"time": "step"},
        "the time 'step' has 2 distinct value(s); expected at least 3",
    ),
    "most rows at one time": (
        changed(step=lambda f: np.maximum(f.index - 0.95 * len(f), 0)),
        "all",
        {"time": "step"},
        "too many rows have the same --time to hold out later ones",
    ),
    "a time is missing": (
        changed(when=lambda f: f["when"].where(f.index != 9)),
        "all",
        {"time": "when"},
        "the time 'when' is missing in line 11; expected a value in every row",
    ),
    "times of a day": (
        changed(when=lambda f: [f"{k % 24:02}:30" for k in f.index]),
        "all",
        {"time": "when"},
        "the time 'when' of all.csv holds times of a day",
    ),
    "days or months": (
        changed(when=lambda f: [f"0{k % 9 + 1}/0{k % 7 + 1}/2024" for k in f.index]),
        "all",
        {"time": "when"},
        "day and month are ambiguous",
    ),
    "a group is missing": (
        changed(patient=lambda f: f["patient"].where(f.index != 9)),
        "all",
        {"group": "patient"},
        "the group 'patient' is missing in line 11",
    ),
    "two groups": (
        changed(patient=lambda f: f.index % 2),
        "all",
        {"group": "patient"},
        "--group 'patient' has 2 group(s); expected at least 3, one for each part",
    ),
    "a class in few groups": (
        rare_group,
        "all",
        {"group": "patient"},
        "class 'yes' is in 2 group(s) of --group 'patient'; expected at least 3",
    ),
    "a class that comes late": (
        late_class,
        "all",
        {"time": "step"},
        "the training part has no row of class 'yes'; expected rows of every class",
    ),
    "an unknown part": (
        changed(part=lambda f: f["part"].where(f.index != 9, "later")),
        "all",
        {"part": "part"},
        "the part 'part' holds 'later' in line 11; expected train, valid or test in every row",
    ),
    "one part": (changed(part="train"), "all", {"part": "part"}, "is 'train' in every row"),
    "no training part": (
        changed(part=["valid", "test"] * 200),
        "all",
        {"part": "part"},
        "names no training rows",
    ),
    "other columns": (
        other_columns,
        "train",
        {"test": "test"},
        "test.csv has other columns than train.csv: it lacks 'ward' and also has 'room'; "
        "expected the same columns in both",
    ),
    "a test file without the target's values": (
        without_target,
        "train",
        {"test": "test"},
        "test.csv has no rows with a value of 'ill'; expected rows",
    ),
    "a class of the test file alone": (
        new_class,
        "train",
        {"test": "test"},
        "class 'maybe' is in the test part as given and in no training row",
    ),
    "the same file twice": (PLAIN, "train", {"test": "train"}, "--test train.csv is given twice"),
    "no such file": (PLAIN, "train", {"test": "tset"}, "there is no file"),
    "a group in both files": (
        PLAIN,
        "train",
        {"test": "test", "group": "patient"},
        "37 group(s) of --group 'patient' are in the train part and in the test part as given",
    ),
    "a test file from the past": (
        PLAIN,
        "test",
        {"test": "train", "time": "when"},
        "the test part as given begins at 2021-01-01 and the train part ends at",
    ),
    "a gap of rows before a file": (
        PLAIN,
        "train",
        {"test": "test", "time": "when", "gap": "9"},
        "--gap 9 with a given test part; expected a time such as 7d",
    ),
    "a gap that the files do not have": (
        PLAIN,
        "train",
        {"test": "test", "time": "when", "gap": "9w"},
        "expected the test part after it, with --gap 9w before it",
    ),
    "validation file in time": (
        PLAIN,
        "train",
        {"valid": "test", "time": "when"},
        "--time with a given validation part and no test part",
    ),
    "a group that is to be read": (
        PLAIN,
        "all",
        {"group": "patient", "overrules": Overrules(keep=("patient",))},
        "--keep names 'patient', which is the --group; expected a feature",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_is_refused_in_a_sentence(fault: str, tmp_path: Path) -> None:
    """Each fault has its own sentence, on one line."""
    write, name, plan, words = FAULTS[fault]
    write(tmp_path)
    with pytest.raises(RequestError) as refused:
        read(tmp_path, name, **plan).describe()
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_files_of_two_formats_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    """A CSV's test part is a CSV."""
    plan = SplitPlan(test=str(folders["parquet"] / "test.parquet"))
    with pytest.raises(RequestError, match=r"--test test.parquet for train.csv; expected a \.csv"):
        load(str(folders["csv"] / "train.csv"), "ill", plan=plan)


def test_arrays_have_no_columns(tmp_path: Path) -> None:
    """Data that is no table refuses every flag about its rows."""
    np.savez(tmp_path / "a.npz", **arrays())
    for flag in ("group", "time", "part", "valid", "test"):
        with pytest.raises(RequestError, match=f"--{flag} x for .*expected no --{flag}"):
            load(str(tmp_path / "a.npz"), plan=SplitPlan(**{flag: "x"}))
