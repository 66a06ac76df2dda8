"""Shell: where an installation keeps what the containers of its runs get."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bot.engine import folders
from bot.engine.hardening import Mounts


@dataclass(frozen=True, slots=True)
class Layout:
    """Where an installation keeps what containers get.

    data: its data folder; run: its short folder for sockets; project: the copy of the source for
    the main group (`bot.engine.project`), or None.
    """

    data: Path
    run: Path
    project: Path | None = None

    def mounts(self, session: str, folder: str, *, is_main: bool) -> Mounts:
        """Make the folders of one run. Raises UnsafeFolder."""
        project = None
        if is_main and self.project is not None:
            project = folders.check_project(self.project, self.data)
        ipc_in, ipc_out = folders.ipc_folders(self.data / "ipc", session[:16])
        return Mounts(
            group=folders.container_folder(self.data / "groups", folder),
            claude_sessions=folders.sessions_folder(self.data / "sessions", folder),
            ipc_in=ipc_in,
            ipc_out=ipc_out,
            # The relay makes it too; the engine wants it to be there at the creation.
            sockets=folders.socket_folder(self.run / "s", session),
            project=project,
        )

    def hand_in(self, session: str, name: str, content: str) -> None:
        """Put a file where the container reads it (`/workspace/ipc/in`) and cannot write."""
        given, _ = folders.ipc_folders(self.data / "ipc", session[:16])
        (given / name).write_text(content, "utf-8")
        (given / name).chmod(0o644)  # whatever the umask: another uid reads it

    def clear(self, session: str) -> None:
        """Remove what only this run used."""
        folders.remove_run(self.data / "ipc", session[:16])
        folders.remove_run(self.run / "s", session[:16])

    def clear_all(self) -> None:
        """Remove what the runs of a killed predecessor left; none may be under way. The folders
        of sockets are the relay's to remove."""
        folders.remove_runs(self.data / "ipc")
