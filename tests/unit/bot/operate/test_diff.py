"""bot/operate/diff.py: what is a change of texts, and everything else that git would understand."""

from __future__ import annotations

import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.operate.diff import FileChange, apply, check_path, parse
from nips.refusal import Malformed

BEFORE = "one\ntwo\nthree\n"
CHANGE = "--- a/bot/x.py\n+++ b/bot/x.py\n@@ -1,3 +1,4 @@\n one\n-two\n+2\n+2.5\n three\n"
NEW = "--- /dev/null\n+++ b/docs/new.md\n@@ -0,0 +1 @@\n+hello\n"
GONE = "--- a/bot/x.py\n+++ /dev/null\n@@ -1,3 +0,0 @@\n-one\n-two\n-three\n"


def only(text: str) -> FileChange:
    (change,) = parse(text)
    return change


def test_a_file_is_changed_made_and_removed() -> None:
    assert apply(only(CHANGE), BEFORE) == "one\n2\n2.5\nthree\n"
    assert apply(only(NEW), None) == "hello\n"
    assert apply(only(GONE), BEFORE) is None
    git = "diff --git a/bot/x.py b/bot/x.py\nindex 0123abc..89abcde 100644\n"
    assert parse(git + CHANGE) == parse(CHANGE)
    made = "diff --git a/docs/new.md b/docs/new.md\nnew file mode 100644\nindex 0000..1111\n"
    assert [one.path for one in parse(git + CHANGE + made + NEW)] == ["bot/x.py", "docs/new.md"]


lines = st.lists(st.sampled_from(["a", "b", "", "-c", "+d", " e", "@@"]), max_size=12)


@given(lines, lines)
def test_whatever_difflib_writes_is_applied(old: list[str], new: list[str]) -> None:
    before, after = ("".join(f"{line}\n" for line in side) for side in (old, new))
    made = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), "a/bot/x.py",
        "b/bot/x.py",
    )  # fmt: skip
    if text := "".join(made):
        assert apply(only(text), before) == after


@pytest.mark.parametrize(
    ("change", "before"),
    [
        (CHANGE, None),
        (CHANGE, "one\nTWO\nthree\n"),
        (CHANGE, "zero\none\ntwo\nthree\n"),
        (CHANGE, "one\ntwo\nthree"),
        (NEW, "there already\n"),
        (GONE, "one\ntwo\nthree\nfour\n"),
    ],
)
def test_what_does_not_fit_is_not_applied(change: str, before: str | None) -> None:
    with pytest.raises(Malformed):
        apply(only(change), before)


@pytest.mark.parametrize(
    "path",
    [
        "../x.py", "bot/../../x.py", "/etc/x.py", "bot//x.py", "bot/./x.py", "", "x.py",
        ".git/hooks/pre-commit", ".git/config.toml", "bot/.git/hooks/x.py", ".github/x.md",
        ".venv/lib/x.py", "bot/.x.py", "bot\\x.py", "bot/x .py", "bot/x.py\n", "bot/ü.py",
        "bot/x", "bot/x.sh", "bot/x.so", "Makefile", "pyproject.toml", "data/keys/router",
        "bot/" + "x" * 200 + ".py", "~/x.py", "bot/$HOME.py", "requirements.lock",
    ],
)  # fmt: skip
def test_a_path_leads_nowhere_else(path: str) -> None:
    with pytest.raises(Malformed):
        check_path(path)
    with pytest.raises(Malformed):
        parse(f"--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+x\n")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "words\n" + CHANGE,
        "From 0123 Mon Sep 17\nSubject: [PATCH] x\n---\n" + CHANGE,
        "diff --git a/bot/x.py b/bot/x.py\nold mode 100644\nnew mode 100755\n",
        "diff --git a/bot/x.py b/bot/x.py\nold mode 100644\nnew mode 100755\n" + CHANGE,
        "diff --git a/docs/new.md b/docs/new.md\nnew file mode 120000\n" + NEW,  # a link
        "diff --git a/docs/new.md b/docs/new.md\nnew file mode 100755\n" + NEW,
        "diff --git a/docs/new.md b/docs/new.md\nnew file mode 160000\n" + NEW,  # a submodule
        "diff --git a/bot/x.py b/bot/x.py\nindex 0123abc..89abcde 120000\n" + CHANGE,
        "diff --git a/bot/x.py b/bot/y.py\nsimilarity index 90%\nrename from bot/x.py\n",
        "diff --git a/bot/x.py b/bot/x.py\nGIT binary patch\nliteral 1\nIcmZQ\n",
        "Binary files a/bot/x.py and b/bot/x.py differ\n",
        "diff --git a/bot/y.py b/bot/y.py\n" + CHANGE,  # says one file and changes another
        "diff --git a/bot/x.py b/.git/hooks/pre-commit\n" + CHANGE,
        CHANGE.replace("+++ b/bot/x.py", "+++ b/bot/y.py"),
        CHANGE.replace("a/bot", "bot"),
        CHANGE + CHANGE,
        CHANGE.replace("@@ -1,3 +1,4 @@", "@@ -1,3 +1,5 @@"),
        CHANGE.replace("@@ -1,3 +1,4 @@", "@@ -1,2 +1,4 @@"),
        CHANGE.replace("@@ -1,3 +1,4 @@", "@@ nonsense @@"),
        CHANGE + "\\ No newline at end of file\n",
        CHANGE + "+one more\n",
        CHANGE.replace("two", "two\r"),
        CHANGE.replace("two", "two\0"),
        "--- a/bot/x.py\n",
        "--- a/bot/x.py\n+++ b/bot/x.py\n",
        "--- /dev/null\n+++ /dev/null\n@@ -0,0 +1 @@\n+x\n",
    ],
)
def test_what_is_more_than_a_change_of_texts_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        parse(text)
