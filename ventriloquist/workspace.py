"""A workspace: the directory that holds `data/` and `checkpoints/`, and every path inside it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ventriloquist.faults import NoInput, from_os_error


@dataclass(frozen=True, slots=True)
class Workspace:
    """All paths of one workspace. Nothing else in the project joins a path to `data/` or `checkpoints/`."""

    root: Path

    @classmethod
    def at(cls, root: str | os.PathLike[str] | None = None) -> Workspace:
        """The workspace at `root`, else at `$VENTRILOQUIST_WORKSPACE`, else in the current directory."""
        chosen = root or os.environ.get("VENTRILOQUIST_WORKSPACE") or "."
        try:
            found = Path(chosen).expanduser().resolve()
            if found.exists() and not found.is_dir():
                raise NoInput(f"The workspace {found} is a file; name a directory with --workspace.")
        except OSError as error:
            raise from_os_error(error, f"looking for the workspace {os.fspath(chosen)}") from error
        except (RuntimeError, ValueError):
            raise NoInput(f"There can be no workspace at {os.fspath(chosen)!r}; name a directory.") from None
        return cls(found)

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def messages_db(self) -> Path:
        return self.data / "messages.db"

    @property
    def windows(self) -> Path:
        return self.data / "training_windows.jsonl"

    @property
    def windows_report(self) -> Path:
        """What preprocess made, from what, written after the windows (see `windows.build`)."""
        return self.data / "training_windows.json"

    @property
    def tokens(self) -> Path:
        """Training windows as token ids, by what they were made from."""
        return self.data / "tokens"

    @property
    def evaluations(self) -> Path:
        return self.data / "evaluations"

    @property
    def contacts(self) -> Path:
        return self.data / "contacts_to_ids.jsonl"

    @property
    def conversations(self) -> Path:
        """Transcripts of chats with the model."""
        return self.data / "conversations"

    @property
    def runs(self) -> Path:
        return self.data / "runs"

    @property
    def bases(self) -> Path:
        """Which commit of each base this workspace fetched (see `model.hub`)."""
        return self.data / "bases.json"

    @property
    def bases_lock(self) -> Path:
        """Held while a base is fetched: other stages may work meanwhile, another fetch may not."""
        return self.data / "bases.lock"

    @property
    def lock(self) -> Path:
        """Held by the one run that may change the workspace."""
        return self.data / "lock"

    @property
    def settings_file(self) -> Path:
        return self.root / "ventriloquist.toml"

    @property
    def env_file(self) -> Path:
        return self.root / ".env"

    def prepare(self) -> Workspace:
        """Make the directories (0700), or say why that cannot be."""
        if self.root.exists() and not self.root.is_dir():
            raise NoInput(f"The workspace {self.root} is a file; name a directory with --workspace.")
        try:
            for folder in (self.data, self.checkpoints, self.runs):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for private in (self.data, self.runs):
                if private.stat().st_mode & 0o077:
                    private.chmod(0o700)
        except FileExistsError as error:
            raise NoInput(f"{error.filename} is a file where the workspace needs a directory; move it away.") from None
        except OSError as error:
            raise from_os_error(error, f"making the workspace {self.root}") from error
        return self
