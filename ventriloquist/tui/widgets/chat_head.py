"""The line over a chat: who answers, with whom; while something goes on, what."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from ventriloquist.text import one_line
from ventriloquist.tui.paint import MUTED, put, spread
from ventriloquist.tui.scene import Scene

NAME_WIDTH = 24
MOST_NAMES = 4


class ChatHead(Static):
    """The head line; at its right the checkpoint."""

    def __init__(self) -> None:
        super().__init__(id="head", markup=False)
        self._scene = Scene()
        self._doing: Content | None = None

    def show(self, scene: Scene, doing: Content | None) -> None:
        """Tell what goes on, or if nothing does who is there."""
        self._scene, self._doing = scene, doing
        self._paint()

    def on_resize(self) -> None:
        self._paint()

    def _paint(self) -> None:
        width = max(self.size.width, 16)
        checkpoint = Content.styled(one_line(self._scene.checkpoint, max(width // 3, 8)), MUTED)
        put(self, spread(self._doing or cast_of(self._scene), checkpoint, width))


def busy_with(doing: str, *, stopping: bool) -> Content:
    """What is being done, and how to stop it."""
    if stopping:
        return Content("stopping… esc again leaves")
    return Content.assemble(f"{doing or 'one moment'}…", ("  esc stops", MUTED))


def cast_of(scene: Scene) -> Content:
    """Who answers, whether it is live, whom one speaks as, and with whom."""
    parts = [Content("anyone answers" if scene.target is None else f"{one_line(scene.target, NAME_WIDTH)} answers")]
    parts += [Content.styled("live", "$primary")] if scene.live else []
    if scene.speaker != scene.me:
        parts.append(Content(f"you speak as {one_line(scene.speaker, NAME_WIDTH)}"))
    apart = (scene.target, scene.speaker, scene.me)
    others = [one_line(name, NAME_WIDTH) for name in scene.members if name not in apart]
    more = f" and {len(others) - MOST_NAMES} more" if len(others) > MOST_NAMES else ""
    parts.append(Content(f"{scene.kind} with {', '.join(others[:MOST_NAMES])}{more}" if others else scene.kind))
    if scene.title and not scene.live:
        parts.append(Content.styled(one_line(scene.title, 40), MUTED))
    return Content.styled(" · ", MUTED).join(parts)
