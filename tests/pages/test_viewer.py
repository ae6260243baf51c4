"""An episode as a page."""

import numpy as np
import pytest
from page_runs import ball_and_box, data_in, rolling

from bgpbt.cli.command import main
from bgpbt.pages.viewer import write_viewer


def test_a_page_has_one_episode(tmp_path):
    path = tmp_path / "policy.html"
    write_viewer("A <ball>", ball_and_box(), rolling(30, over=9), path)
    data = data_in(path)
    frames = data["frames"]
    assert len(frames["position"]) == len(frames["rotation"]) == 10
    assert frames["total"] == list(range(10)) and frames["reward"] == [1.0] * 10
    np.testing.assert_allclose(frames["position"][9], [[9 / 15, 0, 0.5]], atol=1e-4)
    assert data["scene"]["kind"] == ["sphere", "capsule", "box"]
    assert data["scene"]["link"] == [0, 0, -1]
    assert data["seconds_per_frame"] == pytest.approx(1 / 30)
    write_viewer("a ball", ball_and_box(), rolling(30), path)
    assert len(data_in(path)["frames"]["position"]) == 30


def test_a_page_needs_no_network_and_names_its_library(tmp_path):
    path = tmp_path / "policy.html"
    write_viewer("A <ball>", ball_and_box(), rolling(3), path)
    text = path.read_text()
    assert "A &lt;ball&gt;" in text and "Copyright © 2010-2026 three.js authors" in text
    assert "src=" not in text.split("<script>")[0] and "@import" not in text
    assert path.stat().st_size < 1_000_000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a.mp3"], "a.mp3: give a name that ends in .gif or .html"),
        (["a", "--format", "avi"], "invalid choice: 'avi'"),
    ],
)
def test_a_format_that_is_none_is_refused(tmp_path, capsys, words, message):
    assert main(["render", str(tmp_path), *words]) == 2
    out, err = capsys.readouterr()
    assert out == "" and message in err and err.count("\n") == 1
