"""Pages in a real Chromium without a network. `make test-browser` runs these."""

import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from page_runs import ball_and_box, rolling, toy_options

import bgpbt
from bgpbt.cli.command import main
from bgpbt.pages.viewer import write_viewer

CHROMIUM = "/usr/bin/chromium"  # Debian's
WIDTHS = (1280, 390)
# Moves the pointer onto a chart, and leaves what it says in the page.
HOVER = """
<script>
for (const id of {ids}) {{
  const svg = document.querySelector(`#${{id}} svg`), box = svg.getBoundingClientRect();
  for (let x = 70; x < box.width; x += 7) for (let y = 4; y < box.height; y += 7) {{
    const at = {{ clientX: box.left + x, clientY: box.top + y, bubbles: true }};
    svg.dispatchEvent(new PointerEvent("pointermove", at));
    const tip = document.querySelector(`#${{id}} .tip`);
    if (!tip.hidden) document.body.setAttribute(`data-${{id}}`, tip.textContent);
  }}
}}
document.body.dataset.wide = String(document.documentElement.scrollWidth);
document.body.dataset.size = String(window.innerWidth);
</script>
"""

pytestmark = pytest.mark.browser


# The browser's clock is the test's: 30 pictures are one second.
CLOCK = """
<script>
const pictures = [];
window.requestAnimationFrame = (draw) => pictures.push(draw);
function second() {
  for (let i = 0; i <= 30; i++)
    for (const draw of pictures.splice(0)) draw(1000 * i / 30);
}
</script>
"""
# Looks at the picture when it begins and at its end; plays and steps in between.
LOOK = """
<script>
function picture() {
  const small = document.createElement("canvas");
  small.width = small.height = 48;
  const pen = small.getContext("2d");
  pen.drawImage(document.querySelector("#stage canvas"), 0, 0, 48, 48);
  return Array.from(pen.getImageData(0, 0, 48, 48).data);
}
const first = picture(), slider = document.getElementById("frame");
document.body.dataset.colours = String(new Set(first).size);
const button = document.getElementById("play");
document.body.dataset.began = button.textContent;  // it plays: the button would pause
second();
document.body.dataset.played = document.body.dataset.frame;
button.click();
second();
document.body.dataset.paused = document.body.dataset.frame;
const press = () => new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true });
const before = Number(document.body.dataset.frame);
for (let i = 0; i < 20; i++) document.dispatchEvent(press());
document.body.dataset.stepped = String(Number(document.body.dataset.frame) - before);
slider.value = slider.max;
slider.dispatchEvent(new Event("input"));
const then = picture();
document.body.dataset.moved = String(then.filter((x, i) => x !== first[i]).length);
document.body.dataset.stopped = button.textContent;
</script>
"""


def opened(path: Path, width: int, script: str, clock: str = "") -> tuple[str, str]:
    """The page as Chromium has it after a script, and what its console said."""
    copy = path.with_name(f"hovered_{width}.html")
    text = path.read_text().replace("<head>", "<head>" + clock, 1)
    copy.write_text(text.replace("</body>", script + "</body>"))
    flags = [
        "--headless",
        "--no-sandbox",
        "--use-gl=angle",
        "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader",
        f"--window-size={width},1200",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--enable-logging=stderr",
        "--virtual-time-budget=5000",
        "--dump-dom",
    ]
    command = [CHROMIUM, *flags, copy.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return done.stdout, "\n".join(said)


@pytest.fixture(scope="module")
def folders(tmp_path_factory, engines):
    """Two arms of the toy with two seeds each."""
    place = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bgpbt.Result, "draw", lambda self: [])
        return [
            bgpbt.run(toy_options(place, strategy=strategy, seed=(seed,))).path
            for strategy in ("bgpbt", "random")
            for seed in (0, 1)
        ]


def test_a_chromium_is_here():
    assert shutil.which(CHROMIUM), "apt-get install chromium"


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_of_a_run(folders, tmp_path, width):
    path = tmp_path / "run.html"
    assert main(["report", str(folders[0]), "-O", str(path)]) == 0
    ids = ["curve", "tree", "schedules", "gains", "importance", "region", "seconds"]
    text, said = opened(path, width, HOVER.format(ids=ids))
    assert said == "" and 'data-drawn="yes"' in text
    for name in ids:
        assert f"data-{name}=" in text, name
    assert "member" in told(text, "curve") and "h0" in told(text, "curve")
    assert "round" in told(text, "tree") and "fitness" in told(text, "gains")
    assert "nine tenths of the fits" in told(text, "importance")
    assert int(told(text, "wide")) <= int(told(text, "size"))  # nothing sticks out


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_of_several_runs(folders, tmp_path, width):
    path = tmp_path / "runs.html"
    assert main(["report", *map(str, folders), "-O", str(path)]) == 0
    text, said = opened(path, width, HOVER.format(ids=["scores", "curves"]))
    assert said == "" and 'data-drawn="yes"' in text
    assert "seed" in told(text, "scores") and "environment steps" in told(
        text, "curves"
    )
    assert int(told(text, "wide")) <= int(told(text, "size"))


@pytest.mark.parametrize("width", WIDTHS)
def test_an_episode_is_shown(tmp_path, width):
    path = tmp_path / "policy.html"
    write_viewer("A <ball>", ball_and_box(), rolling(60), path)
    text, said = opened(path, width, LOOK, CLOCK)
    assert said == "" and 'data-drawn="yes"' in text
    assert int(told(text, "colours")) > 20  # not blank
    assert told(text, "began") == "pause"
    assert 29 <= int(told(text, "played")) <= 30
    assert told(text, "paused") == told(text, "played")
    assert told(text, "stepped") == "20" and told(text, "frame") == "59"
    assert int(told(text, "moved")) > 100 and told(text, "stopped") == "play"
    assert "return so far 59" in text


def told(text: str, name: str) -> str:
    """What the page holds under a name."""
    return text.split(f'data-{name}="')[1].split('"')[0]


def test_a_hover_shows_its_member(folders, tmp_path):
    """The last chart's last point is the last member of the last round."""
    path = tmp_path / "run.html"
    assert main(["report", str(folders[0]), "-O", str(path)]) == 0
    text, _ = opened(path, 1280, HOVER.format(ids=["tree"]))
    records = pd.read_csv(folders[0] / "records.csv")
    last = records[records["round"] == records["round"].max()].iloc[-1]
    words = told(text, "tree")
    assert words.startswith(f"member {last['member']}, round {last['round']}")
    shown = float(words.split("fitness")[1].split("weights")[0].replace("−", "-"))
    assert shown == pytest.approx(last["fitness"], rel=1e-3)
