"""Renders a rollout as a GIF, with a small analytic ray caster in JAX.

It needs neither OpenGL nor ffmpeg nor a display.
"""

from bgpbt.viz.render.frames import render_frames
from bgpbt.viz.render.gif import save_gif
from bgpbt.viz.render.scene import Scene, scene, why_not_drawn

__all__ = ["Scene", "render_frames", "save_gif", "scene", "why_not_drawn"]
