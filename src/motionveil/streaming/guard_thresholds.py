"""From which figures on the guard takes what is shown for something else than motion."""

SHOWN = 0.005
"""Share of cells off neutral below which an output shows nothing. A quarter of the 2 % from which
on an image counts as readable, since only part of the cells may be static."""

WHOLE = 0.7
"""Share of the textured cells that changed from which on the whole scene did. In 8,000 real frames
behind still cameras people changed 0.68 at most."""

ALL = 0.6
"""Share of all cells that changed that is the whole scene, textured or not; people: 0.55."""

CALM_WHOLE, CALM_ALL = 0.5, 0.45
"""The same shares for `HOLD` frames after such a change: a lamp flickers, a camera hunts and
swings."""

HOLD = 10
"""Frames that those count for; up to a second at 10 to 15 frames per second."""

CAMERA, FIT = 1.15, 0.4
"""Share of the change that one motion of the camera explains plus share of the textured cells that
changed, from which on the camera moved, and the least of the first."""

FOLLOWING, LASTING = 0.36, 0.22
"""How far the image follows one change of the whole (see `guard_camera`), at once and on the mean
of the last frames, from which on the camera moves; behind still cameras 0.32 and 0.2 at most."""

MOVED_FOLLOWING = 0.2
"""The same where `CAMERA` holds: one person on a plain field may explain most of the change."""

SURELY_CAMERA = 1.33
"""The same sum as `CAMERA` where less follows; behind still cameras 1.25 at most."""

CALM_FOLLOWING = 0.6
"""How many times these thresholds count for `HOLD` frames after the camera moved."""

FADES = 0.7
"""Weight of the mean so far against the new frame."""

CAMERA_CHANGED = 0.2
"""Share of all cells that must have changed, so that it is not a person on a plain wall."""

LIT, LIT_WHOLE, LIT_ONE_WAY = 0.4, 0.5, 0.75
"""Share of all cells and of the textured ones that changed, and how far one way, that is light."""

LIT_CONTRAST, LIT_KEPT = 1.0, 0.4
"""Contrast that tells of light where less texture changed; and how far gradients must be kept."""

TINTED, TINTED_KEPT = 0.45, 0.75
"""Share of all cells that changed, and gradients kept where nothing had moved, from which on it is
light or colour, whichever way each colour goes. Of 94 real frames with so much motion: 0.61."""

LIGHT, LIGHT_OFF, LIGHT_KEPT = 1.0, 3.0, 0.5
"""Light keeps the pattern of the gradients, also on people: what is kept where the output is off
neutral, plus so many times the share of cells that is, and the least of the first. People: 0.95."""

BESIDE, BESIDE_KEPT, BESIDE_ONE_WAY = 0.6, 0.7, 0.75
"""Light beside somebody who moves: how much the contrast of the place where nothing had moved
changes, how far its gradients are kept, and how far the change goes one way, there and where the
output is off neutral."""

BESIDE_KEPT_OFF, BESIDE_OFF = 0.7, 0.45
"""Gradients kept where the output is off neutral, and contrast, from which on both suffice; people:
0.35 at most. In 14,000 frames of people neither occurs."""

GLIDES, GLIDES_KEPT = 0.8, 0.8
"""A light that moves: correlation with the change before, and gradients kept where the output is
off neutral. People who move on do not keep them."""

SAME_SCENE = 0.3
"""Correlation of what changed, before and after, below which it is another scene. (Only the name of
the reason depends on it.)"""

PATCH = 0.012
"""Share of cells newly off neutral that is a patch: below the 2 % of a readable image."""

GROWTH = 1.0
"""Where something moves nearby, a patch must also be larger than so many times what moved."""

ONE_WAY, CONTRAST = 0.6, 0.5
"""How far a change goes one way, and by how much (logarithm) it changes the variance, from which on
it is light or damage. What moves rearranges the cells of a place: it conserves both."""

NEAR_CONTRAST = 1.5
"""That contrast next to motion: a fast runner uncovers a plain wall."""

STRANGE, STRANGE_CHANGED, UNLIKE = 0.03, 0.25, 0.3
"""Share of cells off neutral far from all motion, share of all cells that changed, and correlation
of the place before and after, from which on it is not the same place any more."""

HUGE = 0.16
"""Share of cells newly off neutral that always is a patch; people who start: up to 0.14."""

START, ALIVE = 0.02, 0.03
"""Share of cells off neutral far from all motion from which on nobody starts from one frame to the
next, except from a side; and share of values that differ in each of the frames before: noise. A
still image that moves again looks like a start."""

GOES_CONTRAST = 1.5
"""Contrast from which on a patch does not go on: it is a light, or damage that goes."""

RECTANGLE, RECTANGLE_FULL = 0.03, 0.7
"""Share of cells newly off neutral, and of their bounding box, from which on a rectangle is damage,
whatever it shows."""

STRIP, ENTRY = 0.15, 0.4
"""How far from a side, in short sides, somebody who enters at once reaches: surely, and if the
shape is not a rectangle."""

ENTRY_KEPT = 0.4
"""How far the gradients are kept where the output is off neutral from which on nobody entered:
0.21 at most."""

FULL, OPPOSITE = 0.75, 0.9
"""Share of its bounding box from which on a shape is a rectangle; and of the picture's width or
height from which on it reaches from side to side."""

SAME = 0.75
"""Correlation of a place before and after from which on nobody entered there."""

AGAIN = 0.8
"""Correlation of a change with the change before, all one way, that is a light that still grows."""

UNDONE, UNDONE_MOTION = -0.97, 0.6
"""Correlation of a change with the change before that undoes it, and how much of the motion before
there is: damage that goes. (Where somebody leaves who just came, much less moves.)"""

GROWS, GOES = 0.6, -0.8
"""That correlation of a patch from which on it still grows, and below which it goes again."""

PASSES, PASSES_FAR, PASSES_KEPT = -0.1, 0.03, 0.35
"""That correlation below which somebody passes: a runner uncovers what was just covered. Share
of cells off neutral far from all motion, and gradients kept, up to which it may be."""

PATIENCE = 15
"""Consecutive blocked frames after which what moves is taken for motion, except where more
than `SURELY` of the texture changes: a lasting rise of motion must not keep the guard blocking."""

SURELY = 0.7
"""Share of the textured cells that changed that never is trusted: nothing stands still."""

JUMP = 2.5
"""How many times the largest motion of the last frames is a jump."""

MOVING = 2.5
"""Grey levels of mean change of blocks that count as motion, for `JUMP`. From rest, a jump cannot
be told from a start."""

GAP = 3.0
"""How many of the last intervals between frames are a gap."""

FROZEN, FROZEN_FRAMES = 0.75, 18
"""Seconds of entirely equal frames after which the next change is not trusted; or so many frames
where there is no clock. The clips of UT-Interaction begin with half a second of equal frames."""
