"""Shell: the folders of all groups: which names are taken, and one group's removed for good."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from bot.engine import folders
from bot.registration import RegistryError

PARENTS = ("groups", "sessions", "files")


class Kept(Protocol):
    """Where an installation keeps what its groups have: `data`/groups, sessions, files."""

    @property
    def data(self) -> Path:
        """The data folder."""
        ...


def folders_in(data: Path) -> frozenset[str]:
    """The names of whatever lies where groups have their folders."""
    there = [data / parent for parent in PARENTS if (data / parent).is_dir()]
    return frozenset(each.name for parent in there for each in parent.iterdir())


def wipe_folders(data: Path, folder: str) -> None:
    """Remove a group's folders and all in them; links are removed, never followed.

    Raises RegistryError where something cannot be removed, with what is left to do.
    """
    for parent in PARENTS:
        above = data / parent
        folders.remove_run(above, folder)
        if os.path.lexists(above / folder):
            raise RegistryError(
                f"Not all of {parent}/{folder} could be removed: what the agent's programs wrote "
                f"there is shut to me. Remove {above / folder} as root, then delete the group "
                "again."
            )
