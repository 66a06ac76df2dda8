"""bot/operate/proposals.py and the request behind it: what is listed is the router's own, what is
shown is all, what is applied stays inside the tree."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from secrets import token_bytes

import pytest

from bot.operate import proposals
from bot.operate.assembly import AssemblyError
from bot.operate.proposals import apply_to, pick, proposed, shown
from nips import nip34
from nips.key import SecretKey
from nips.refusal import Refused
from relay_local.client import connect
from tests.unit.bot.requests.stage import House, a_house
from tests.unit.bot.requests.test_house import OTHERS

BEFORE = "one\ntwo\nthree\n"
CHANGE = "--- a/bot/x.py\n+++ b/bot/x.py\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n"
NEW = "--- /dev/null\n+++ b/docs/deep/new.md\n@@ -0,0 +1 @@\n+hello\n"


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with a_house() as made:
        yield made


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A program's tree beside something that is not its own."""
    made = tmp_path / "tree"
    for folder in ("bot", "docs", ".git/hooks"):
        (made / folder).mkdir(parents=True)
    (made / "bot/x.py").write_text(BEFORE)
    (tmp_path / "secret.py").write_text("one\ntwo\nthree\n")
    return made


def files(tree: Path) -> dict[str, str]:
    found = (path for path in tree.parent.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(tree.parent)): path.read_text() for path in found}


async def test_a_change_goes_from_mains_agent_to_the_machine_and_no_other_way(
    house: House,
) -> None:
    made = await house.requests()
    main = house.session(house.roles.main)
    family = await house.registry().register("Family", [], trigger="")
    elsewhere = house.session(family.group)
    async with house.reception(made.methods(OTHERS)):
        async with house.asking(main) as caller:
            for _ in range(2):  # another attempt
                said = await caller.call(
                    "propose_change", "Count in digits", CHANGE, request_id="x"
                )
            assert "Nothing is changed by it" in said
            for title, text in (
                ("", CHANGE),
                ("x", " "),
                ("x", "x" * 60_001),
                ("a\nb", CHANGE),
                ("x", NEW.replace("docs/deep/new.md", ".git/hooks/x.py")),
            ):
                with pytest.raises(Refused, match="invalid: "):
                    await caller.call("propose_change", title, text)
        async with house.asking(elsewhere) as caller:
            with pytest.raises(Refused, match="restricted: "):
                await caller.call("propose_change", "Mine", CHANGE)
    (one,) = await proposed(house.place)
    assert (one.title, one.text, one.job) == ("Count in digits", CHANGE, "a" * 64)
    assert one.id[:12] in said
    # Attack: somebody else's 1617 in main. The owner may write one; it is not the agent's.
    theirs = nip34.template(
        house.owner.public, house.roles.main, "a" * 64, "Mine", CHANGE, int(time.time())
    )
    async with connect(house.url, [house.owner]) as link:
        ok = await link.publish(theirs.sign(house.owner, token_bytes(32)), deadline_s=10)
        assert ok.accepted, ok.message
    # And one that a session writes in the router's stead, or its own.
    for author in (main, elsewhere, SecretKey.generate(token_bytes)):
        forged = nip34.template(
            author.public, house.roles.main, "a" * 64, "Mine", CHANGE, int(time.time())
        )
        async with connect(house.url, [author]) as link:
            ok = await link.publish(forged.sign(author, token_bytes(32)), deadline_s=10)
            assert not ok.accepted
    assert await proposed(house.place) == [one]
    assert pick([one], one.id[:8].upper()) == one
    for beginning in ("", one.id[:5], "0" * 12):
        with pytest.raises(AssemblyError):
            pick([one], beginning)


def test_all_of_a_change_is_shown() -> None:
    hidden = CHANGE.replace("+2", "+        2\u202e # \u200b\x1b[2K\u2028+check(x)\x0b+y")
    text = shown(nip34.Patch("ab" * 32, "", "", "", 0, "A \u202etitle", hidden))
    assert "A ⟨U+202E⟩title" in text
    assert "It touches bot/x.py" in text
    # Attack: what is but a part of a line is read as a line of its own, with a + before it.
    line = "│ +        2⟨U+202E⟩ # ⟨U+200B⟩⟨U+001B⟩[2K⟨U+2028⟩+check(x)⟨U+000B⟩+y"
    assert line in text.split("\n")
    assert all(line.startswith("│ ") for line in text.splitlines()[4:])
    bad = shown(nip34.Patch("ab" * 32, "", "", "", 0, "x", "--- a/../x.py\n+++ b/../x.py\n"))
    assert "It touches nothing: it cannot be applied" in bad


def test_it_is_tried_in_a_copy_and_then_applied(tree: Path) -> None:
    tried: list[Path] = []

    def test(copy: Path) -> int:
        tried.append(copy)
        assert (copy / "bot/x.py").read_text() == "one\n2\nthree\n"
        assert (tree / "bot/x.py").read_text() == BEFORE
        assert not (copy / ".git").exists()
        return 0

    (tree / "bot/x.py").chmod(0o640)
    assert apply_to(tree, CHANGE + NEW, test) == ("bot/x.py", "docs/deep/new.md")
    assert (tree / "bot/x.py").read_text() == "one\n2\nthree\n"
    assert (tree / "bot/x.py").stat().st_mode & 0o777 == 0o640
    assert (tree / "docs/deep/new.md").read_text() == "hello\n"
    assert not tried[0].exists()
    gone = "--- a/docs/deep/new.md\n+++ /dev/null\n@@ -1 +0,0 @@\n-hello\n"
    apply_to(tree, gone, None)
    assert not (tree / "docs/deep/new.md").exists()


def test_what_changed_while_its_tests_ran_stays(tree: Path) -> None:
    """Attack: a test of the change puts a link where the change is about to be written."""
    outside = tree.parent / "outside"

    def edited(_: Path) -> int:
        (tree / "bot/x.py").write_text(BEFORE + "mine\n")
        return 0

    def linked(_: Path) -> int:
        (tree / "bot").rename(outside)
        (tree / "bot").symlink_to(outside)
        return 0

    for test in (edited, linked):
        with pytest.raises(AssemblyError, match="changed meanwhile"):
            apply_to(tree, CHANGE, test)
        if test is edited:
            assert (tree / "bot/x.py").read_text() == BEFORE + "mine\n"
            (tree / "bot/x.py").write_text(BEFORE)
    assert (outside / "x.py").read_text() == BEFORE


def test_whose_tests_fail_changes_nothing(tree: Path) -> None:
    before = files(tree)
    with pytest.raises(AssemblyError, match="exit status 3"):
        apply_to(tree, CHANGE, lambda _: 3)
    assert files(tree) == before


@pytest.mark.parametrize(
    "text",
    [
        CHANGE.replace("bot/x.py", "../secret.py"),
        CHANGE.replace("bot/x.py", "bot/../../secret.py"),
        NEW.replace("docs/deep/new.md", ".git/hooks/pre-commit"),
        NEW.replace("docs/deep/new.md", "bot/.git/hooks/pre-commit.py"),
        "diff --git a/docs/l.md b/docs/l.md\nnew file mode 120000\n"
        "--- /dev/null\n+++ b/docs/l.md\n@@ -0,0 +1 @@\n+/etc/passwd\n",
        "diff --git a/bot/x.py b/bot/x.py\nGIT binary patch\nliteral 1\nIcmZQ\n",
        CHANGE.replace("bot/x.py", "bot/linked.py"),
        CHANGE.replace("bot/x.py", "nips/secret.py"),
        NEW.replace("docs/deep/new.md", "nips/new.py"),
        CHANGE + CHANGE.replace("bot/x.py", "bot/none.py"),
    ],
)
def test_nothing_is_changed_by_what_is_refused(tree: Path, text: str) -> None:
    # Attack: links that were in the tree before lead a good path out of it.
    (tree / "bot/linked.py").symlink_to(tree.parent / "secret.py")
    (tree / "nips").symlink_to(tree.parent)
    before = files(tree)
    with pytest.raises(AssemblyError, match="It cannot be applied"):
        apply_to(tree, text, lambda _: 0)
    assert files(tree) == before


def test_the_tests_of_a_tree_are_run(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_PASSWORD", "secret")
    (tree / "tests/unit").mkdir(parents=True)
    (tree / "tests/unit/test_x.py").write_text(
        "import os\n\n\ndef test_x():\n    assert 'A_PASSWORD' not in os.environ\n"
    )
    assert proposals.run_tests(tree) == 0
    (tree / "tests/unit/test_x.py").write_text("def test_x():\n    assert False\n")
    assert proposals.run_tests(tree) != 0
