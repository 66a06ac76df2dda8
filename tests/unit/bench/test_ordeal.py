"""bench/ordeal.py: what it runs, what it calls held, what it keeps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import ordeal
from bench.ordeal import Report, main, parse
from bench.promises import NAMES, Promise

SHOWN = """
from tests.figures import dice, figure

def test_shown(record_property):
    assert figure("shown") == 7
    assert figure("frames") == 20_000
    record_property("rolled", dice("shown").randrange(1000))
    record_property("seen", figure("shown"))

def test_again(record_property):
    record_property("seen", 0.8)
"""


def promise(tmp_path: Path, source: str) -> Promise:
    file = tmp_path / "test_it.py"
    file.write_text(source)
    return Promise("shown", "It is shown.", (str(file),), "things", 1, 9, 1)


def test_a_promise_that_is_shown_is_held(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    result = ordeal.ordeal(promise(tmp_path, SHOWN), 7, 5)
    assert result.outcome == "held", capfd.readouterr().err
    assert (result.figure, result.full, result.seed) == (7, 9, 5)
    assert result.report.tests == 2
    assert result.report.counted["seen"] == 8
    again = ordeal.ordeal(promise(tmp_path, SHOWN), 7, 5)
    assert again.report.counted == result.report.counted, "the seed repeats a run"
    other = ordeal.ordeal(promise(tmp_path, SHOWN), 7, 6)
    assert other.report.counted != result.report.counted
    assert capfd.readouterr().out == "", "what pytest says must not mix with JSON"


@pytest.mark.parametrize(
    "source",
    [
        "def test_it(): assert False",
        "import pytest\ndef test_it(): pytest.skip('not here')\ndef test_too(): pass",
        "",
        "import os\ndef test_it(): os._exit(0)",
        "def test_it(): pass\n1 / 0",
    ],
    ids=["fails", "skips", "has no test", "vanishes", "cannot be read"],
)
def test_a_promise_that_is_not_shown_is_broken(tmp_path: Path, source: str) -> None:
    assert ordeal.ordeal(promise(tmp_path, source), 7, 5).outcome == "broken"


def test_a_report_is_read() -> None:
    report = parse(
        '<testsuites><testsuite><testcase classname="a.b" name="good"><properties>'
        '<property name="kills" value="3"/><property name="lost" value="0"/></properties>'
        '</testcase><testcase classname="a.b" name="bad[1]"><failure message="no"/></testcase>'
        '<testcase classname="a.b" name="error"><error message="no"/></testcase>'
        '<testcase classname="a.b" name="more"><properties><property name="kills" value="4"/>'
        "</properties></testcase></testsuite></testsuites>"
    )
    assert report == Report(4, ("a.b::bad[1]", "a.b::error"), {"kills": 7, "lost": 0})


def test_a_result_is_kept_whole_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ordeal, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(
        ordeal, "promise_of", lambda name: promise(tmp_path, "def test_it(): assert False")
    )
    assert main(["--only", "frames", "--figure", "7", "--seed", "5", "--json"]) == 1
    kept = json.loads((tmp_path / "results/shown.json").read_text())
    assert json.loads(capfd.readouterr().out) == kept
    assert (kept["figure"], kept["seed"], kept["outcome"]) == (7, 5, "broken")
    (broken,) = kept["report"]["broken"]
    assert broken.endswith("test_it::test_it")  # before it: where the folder lies
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["shown.json"]
    monkeypatch.setenv("COLUMNS", "300")  # the folder's name may be long
    main(["--only", "frames", "--figure", "7"])
    shown = capfd.readouterr().out
    assert "broken: " in shown
    assert "test_it::test_it" in shown
    assert "7 things" in shown


def test_without_a_name_the_promises_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in NAMES)
    assert "10,000,000" in listed
    assert main(["--list", "--json"]) == 0
    assert [entry["name"] for entry in json.loads(capsys.readouterr().out)] == list(NAMES)


def test_a_mistake_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "nothing"]) == 2
    assert "There is no promise 'nothing'; there are: ok-on-disk, " in capsys.readouterr().err
    assert main(["--only", "frames", "--figure", "0"]) == 2
    assert "at least 1" in capsys.readouterr().err
