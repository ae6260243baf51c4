"""The colours of layers, the same in every figure.

A hue for each kind, darker for larger windows; the hues are those of Okabe and Ito
(2008), told apart with any kind of colour vision.
"""

from bgpbt.viz.style import MEMBER

_COLOURS = {
    "conv1": "#bfdcf0",
    "conv3": "#56b4e9",
    "conv5": "#0072b2",
    "max2": "#f3c65f",
    "max3": "#d55e00",
    "avg2": "#8fd6bf",
    "avg3": "#007a5a",
    "identity": "#dddddd",
    "add": "#e6b3d0",
    "concat": "#a8578f",
    "terminal": "#4a4a4a",
    "move1_up": "#f9f5b5",
    "move1_down": "#f0e442",
    "move2_up": "#cdc587",
    "move2_down": "#8a823a",
}


def colour_of(name: str) -> str:
    """The colour of a layer by its name; grey of anything else."""
    return _COLOURS.get(name, MEMBER)
