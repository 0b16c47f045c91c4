"""The full-screen app: it asks the core, paints, and turns keys into calls. It runs no stage itself."""

from __future__ import annotations

from ventriloquist.tui.app import run

__all__ = ["run"]
