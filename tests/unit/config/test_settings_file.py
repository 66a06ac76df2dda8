"""A table of nostrclaw.toml changed by a program, around what a person has written there."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from config.settings import FILE_NAME, SettingsError
from config.settings_file import changed, set_in_table

NEW = {"url": "http://127.0.0.1:8080", "number": "+491701234567"}
LINES = 'url = "http://127.0.0.1:8080"\nnumber = "+491701234567"\n'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", f"[signal]\n{LINES}"),
        ('name = "Ada" # mine\n', f'name = "Ada" # mine\n\n[signal]\n{LINES}'),
        ("[signal]\n", f"[signal]\n{LINES}"),
        ("[ signal ] # here", f"[ signal ] # here\n{LINES}"),
        (
            '[signal]\n# my own\nnumber = "+1"# old\npoll_s = 2\n\n# next\n[agent]\npids = 9\n',
            '[signal]\n# my own\nnumber = "+491701234567"# old\npoll_s = 2\n\n# next\n'
            'url = "http://127.0.0.1:8080"\n[agent]\npids = 9\n',
        ),
        (
            '[signal]\nnumber = "" # the #1\nurl = "http://a/#"   # ours\n',
            '[signal]\nnumber = "+491701234567" # the #1\nurl = "http://127.0.0.1:8080"   # ours\n',
        ),
        (
            '[agent]\nnumber = "mine"\n[signal]\nurl="x"\n[budget]\n',
            f'[agent]\nnumber = "mine"\n[signal]\n{LINES}[budget]\n',
        ),
    ],
)
def test_only_the_table_changes(before: str, after: str) -> None:
    assert changed(before, "signal", NEW) == after
    assert changed(after, "signal", NEW) == after
    assert tomllib.loads(after)["signal"].items() >= NEW.items()


@pytest.mark.parametrize(
    "before",
    [
        'signal = { url = "http://127.0.0.1:1" }\n',
        'signal.url = "http://127.0.0.1:1"\n',
        '[signal]\n"number" = "+1"\n',
        'about = """\n[signal]\n"""\n',
        '[signal]\nurl = """\nnumber = "1"\n"""\n',
    ],
)
def test_another_form_is_left_to_the_person(tmp_path: Path, before: str) -> None:
    file = tmp_path / FILE_NAME
    file.write_text(before)
    with pytest.raises(SettingsError, match=r"Put this into it:\n  \[signal\]\n  url = ") as error:
        set_in_table(tmp_path, "signal", NEW)
    assert 'number = "+491701234567"' in str(error.value)
    assert file.read_text() == before


def test_a_link_to_the_settings_stays_one(tmp_path: Path) -> None:
    elsewhere, file = tmp_path / "mine.toml", tmp_path / FILE_NAME
    elsewhere.write_text("# mine\n")
    file.symlink_to(elsewhere)
    set_in_table(tmp_path, "signal", NEW)
    assert file.is_symlink()
    assert elsewhere.read_text() == f"# mine\n\n[signal]\n{LINES}"


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    file = set_in_table(tmp_path, "signal", NEW)
    assert file == tmp_path / FILE_NAME
    assert file.read_text() == f"[signal]\n{LINES}"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == [FILE_NAME]


def test_what_is_no_toml_is_not_made_worse(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("name = ")
    with pytest.raises(SettingsError, match="is not TOML"):
        set_in_table(tmp_path, "signal", NEW)
    assert (tmp_path / FILE_NAME).read_text() == "name = "
