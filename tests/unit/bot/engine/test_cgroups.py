"""What is mounted where nobody has mounted it."""

import os
import subprocess
import sys

import pytest

from bot.engine import cgroups
from bot.engine.cgroups import ROOT, Mount

KNOWN = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n" + "".join(
    f"{name}\t{{h}}\t1\t1\n" for name in cgroups.CONTROLLERS
)
ALL_V1 = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n" + "".join(
    f"cgroup /sys/fs/cgroup/{name} cgroup rw,relatime,{name} 0 0\n" for name in cgroups.CONTROLLERS
)


@pytest.mark.parametrize(
    ("mounts", "hierarchy", "expected"),
    [
        ("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n", 0, []),
        (ALL_V1, 4, []),
        (
            ALL_V1.replace("rw,relatime,memory", "rw,relatime,other"),
            4,
            [Mount("cgroup", ROOT / "memory", "memory")],
        ),
        ("proc /proc proc rw 0 0\n", 0, [Mount("cgroup2", ROOT, "rw")]),
        (
            "proc /proc proc rw 0 0\n",
            4,
            [
                Mount("tmpfs", ROOT, "mode=755"),
                *(Mount("cgroup", ROOT / name, name) for name in cgroups.CONTROLLERS),
            ],
        ),
        (
            "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\n"
            "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n",
            4,
            [
                Mount("cgroup", ROOT / name, name)
                for name in cgroups.CONTROLLERS
                if name not in ("cpu", "cpuacct")
            ],
        ),
    ],
    ids=["version 2", "version 1", "memory missing", "bare, free", "bare, bound", "joint"],
)
def test_what_is_missing(mounts: str, hierarchy: int, expected: list[Mount]) -> None:
    assert cgroups.missing(mounts, KNOWN.format(h=hierarchy)) == expected


# In a mount namespace of its own, so the machine's own mounts stay as they are.
_BARE = """
import subprocess
from bot.engine import cgroups
subprocess.run("umount -l -R /sys/fs/cgroup", shell=True, check=False)
wanted = cgroups.missing()
assert wanted, "nothing was unmounted"
cgroups.mount(wanted, print)
assert cgroups.missing() == []
"""


def test_a_bare_machine_gets_its_controllers() -> None:
    argv = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    done = subprocess.run(
        [*argv, sys.executable, "-c", _BARE], capture_output=True, text=True, timeout=30
    )
    if os.geteuid() == 0:
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("mounting ")
    else:  # the kernel lets no unprivileged user do it, and that is said
        assert "NotMounted" in done.stderr or "unshare" in done.stderr
