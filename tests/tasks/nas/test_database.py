"""Databases of experiments: read back to the bit, and refused in one line."""

from datetime import datetime

import numpy as np
import pytest

from bgpbt.config.errors import BadInput
from bgpbt.networks.structure import digest
from bgpbt.tasks.nas import database
from bgpbt.tasks.nas.database import COLUMNS, Experiment, Form

DEPTH = 10
HEADER = ",".join(COLUMNS) + "\n"
EMPTY = "0-0-0-0-0;"
NETWORK = EMPTY * 6 + "1-1-3-0-0;2-1-5-1-0;3-2-2-2-0;4-2-2-3-0;"
DIGEST = "3fd693dfbd6f1e0994d05ee5924d43fc"
LINE = f"omniglot-{DIGEST},{NETWORK},61.5,0.615,0.0,0.0,2019-07-01 12:30:00,215,True\n"


def experiment(**changes) -> Experiment:
    rows = np.zeros((DEPTH, 5), np.int32)
    rows[-1] = 1, 1, 3, 0, 0
    plain = Experiment(
        rows, 100 / 3, 1 / 3, 0.0, 1.5e9, datetime(2026, 11, 30, 1, 2, 3), 7, True
    )
    return plain._replace(**changes)


def test_a_file_of_the_reference_is_read(tmp_path):
    path = tmp_path / "db.csv"
    path.write_text(HEADER + LINE)
    found = database.read(path, "omniglot", Form(DEPTH))
    assert list(found) == [DIGEST]
    assert found[DIGEST].rows[-1].tolist() == [4, 2, 2, 3, 0]
    assert (found[DIGEST].reward, found[DIGEST].accuracy) == (61.5, 0.615)
    assert found[DIGEST].running_time == 215 and found[DIGEST].is_valid


def test_what_is_written_is_read_back_to_the_bit(tmp_path):
    path = tmp_path / "db.csv"
    assert database.read(path, "a-b", Form(DEPTH)) == {}
    other = experiment(rows=np.zeros((DEPTH, 5), np.int32), is_valid=False)
    written = [experiment(), other]
    database.write_all(path, "a-b", written)
    found = list(database.read(path, "a-b", Form(DEPTH)).values())
    for before, after in zip(written, found, strict=True):
        assert (before.rows == after.rows).all()
        assert before[1:] == after[1:]
    database.write_all(tmp_path / "again.csv", "a-b", found)
    assert (tmp_path / "again.csv").read_bytes() == path.read_bytes()


REFUSED = {
    "line 3 is cut short": HEADER + LINE + LINE[:30],
    "line 1 is not dataset-nethash,netstring": LINE,
    "line 2 has 8 fields, give 9": HEADER + LINE.rsplit(",", 1)[0] + "\n",
    "line 2 is of 'dtd', give a database of 'omniglot'": HEADER
    + LINE.replace("omniglot", "dtd"),
    "line 2 has the digest": HEADER + LINE.replace("3fd6", "4fd6"),
    "is no design, give": HEADER + LINE.replace(EMPTY, "0-0;"),
    "its design has 9 rows, give 10": HEADER + LINE.replace(EMPTY, "", 1),
    "rows that no design has": HEADER + LINE.replace("2-1-5-1-0", "2-9-5-1-0"),
    "accuracy 1.615 is not in": HEADER + LINE.replace(",0.615", ",1.615"),
    "reward 'much' is no number": HEADER + LINE.replace("61.5,", "much,"),
    "running_time 'nan' is no number": HEADER + LINE.replace(",215,", ",nan,"),
    "its design has rows that no design": HEADER
    + LINE.replace("3-2-2-2-0", "3-1-11-2-0"),
    "not readable: field larger": HEADER + '"' + "x" * 200_000 + '"\n',
    "is_valid 'yes'": HEADER + LINE.replace("True", "yes"),
    "timestamp 'noon'": HEADER + LINE.replace("2019-07-01 12:30:00", "noon"),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_is_no_database_is_refused_in_one_line(tmp_path, words):
    path = tmp_path / "db.csv"
    path.write_text(REFUSED[words])
    with pytest.raises(BadInput) as caught:
        database.read(path, "omniglot", Form(DEPTH))
    message = str(caught.value)
    assert words in message and str(path) in message and "\n" not in message


def line_of(*rows: str) -> str:
    """A line with a design of these layers."""
    netstring = EMPTY * (DEPTH - len(rows)) + "".join(f"{row};" for row in rows)
    design = np.array([row.split("-") for row in netstring.split(";")[:-1]], int)
    line = LINE.replace(NETWORK, netstring).replace(DIGEST, digest(design))
    return HEADER + line


BRANCHED = "1-1-3-0-0", "2-1-3-0-0", "3-5-0-1-2"


@pytest.mark.parametrize(
    ("text", "form", "words"),
    [
        (line_of("1-7-0-0-0", "2-1-3-1-0"), Form(DEPTH), "rows that no design has"),
        (line_of(*BRANCHED), Form(DEPTH, joins=False), "its design has branches"),
        (line_of("1-1-5-0-0"), Form(DEPTH, 4), "does not fit 4 x 4 pixels"),
        (line_of("1-3-3-0-0", "2-2-2-1-0"), Form(DEPTH, 5), "does not fit 5 x 5"),
    ],
)
def test_designs_of_another_kind_or_size_are_refused(tmp_path, text, form, words):
    path = tmp_path / "db.csv"
    path.write_text(text)
    with pytest.raises(BadInput, match=words):
        database.read(path, "omniglot", form)
    assert path.read_text() == text


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (line_of("1-1-3-0-0", "2-7-0-1-0"), Form(DEPTH, 3, joins=False)),
        (line_of(*BRANCHED), Form(DEPTH, 3)),
        (line_of("1-1-5-0-0").replace("True", "False"), Form(DEPTH, 4)),
        ("\ufeff" + line_of("1-1-5-0-0"), Form(DEPTH, 5)),
    ],
)
def test_designs_that_fit_are_read(tmp_path, text, form):
    path = tmp_path / "db.csv"
    path.write_text(text)
    assert len(database.read(path, "omniglot", form)) == 1
