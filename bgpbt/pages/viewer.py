"""An episode as a page that plays it, with a small WebGL scene (three.js)."""

from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from bgpbt.files import write
from bgpbt.film import Film
from bgpbt.pages.html import page
from bgpbt.result import Result, title_of
from bgpbt.viz.render.scene import BOX, CAPSULE, SPHERE, Scene
from bgpbt.viz.render.scene import scene as scene_of

DIGITS = 4  # behind the point, of metres and quaternions
KINDS = {SPHERE: "sphere", CAPSULE: "capsule", BOX: "box"}
FRAMES_PER_SECOND = 30
_CONTROLS = """
<div id="stage" class="stage"></div>
<div class="controls">
<button id="play" type="button">play</button>
<input id="frame" type="range" min="0" value="0" aria-label="moment of the episode">
<label>speed <select id="speed">
<option value="0.25">¼</option><option value="0.5">½</option>
<option value="1" selected>1</option><option value="2">2</option>
<option value="4">4</option></select></label>
<button id="home" type="button">reset view</button>
<span id="time" class="soft"></span>
</div>
<p class="soft">Drag to orbit, scroll to come nearer, drag with the right button to
move. Space plays, arrows step.</p>
<h2>Return</h2>
<div id="rewards"></div>
"""


def write_run_viewer(run: Result, path: Path) -> None:
    """Writes the page of an episode of a run's reported member.

    Raises:
      BadInput: the environment has no bodies that can be drawn, or the state cannot be
        read.
      NotSaved: the file cannot be written.
    """
    film = run.film(FRAMES_PER_SECOND)
    playback = run.task.playback
    assert playback is not None  # else there is no film
    title = title_of(run.options, run.path.name.replace("_", " "))
    write_viewer(title, scene_of(playback.env.system), film, path)


def write_viewer(title: str, scene: Scene, film: Film, path: Path) -> None:
    """Writes the page of an episode.

    Args:
      title: what is seen.
      scene: the bodies.
      film: their moves; the first of its episodes is shown.
      path: of the file.

    Raises:
      NotSaved: the file cannot be written.
    """
    content = {
        "scene": _scene(scene),
        "frames": _frames(film),
        "seconds_per_frame": film.seconds_per_frame,
    }
    body = f"<h1>{escape(title)}</h1>{_CONTROLS}"
    scripts = ["three.min.js", "charts.js", "viewer.js"]
    write(path, page(title, body, content, scripts))


def _scene(scene: Scene) -> dict[str, Any]:
    arrays = ("size", "position", "rotation", "colour")
    numbers = ("floor", "focus", "elevation", "distance")
    return {
        "kind": [KINDS[kind] for kind in scene.kind.tolist()],
        "link": scene.link.tolist(),
        **{name: _rounded(getattr(scene, name)) for name in arrays},
        **{name: float(getattr(scene, name)) for name in numbers},
    }


def _frames(film: Film) -> dict[str, list]:
    """Up to the end of the first episode; `total` is the return before a frame."""
    ends = np.flatnonzero(film.filmed.over)
    count = int(ends[0]) + 1 if len(ends) else len(film.filmed.over)
    position, rotation = film.filmed.pose
    reward = film.filmed.reward[:count].astype(np.float64)
    return {
        "position": _rounded(position[:count]),
        "rotation": _rounded(rotation[:count]),
        "reward": _rounded(reward),
        "total": _rounded(np.cumsum(reward) - reward),
    }


def _rounded(values: np.ndarray) -> list:
    return np.round(values.astype(np.float64), DIGITS).tolist()
