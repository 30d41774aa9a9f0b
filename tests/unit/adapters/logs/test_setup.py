import json
import logging
from collections.abc import Callable, Iterator
from typing import Literal

import pytest

from headpond.adapters.logs.setup import StderrHandler, configure
from headpond.settings import LogSettings

log = logging.getLogger("headpond.test")


@pytest.fixture
def output(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """Reads what was written; puts logging back as it was afterwards."""
    root = logging.getLogger()
    levels = {name: logging.getLogger(name).level for name in ("root", "headpond")}
    yield lambda: capsys.readouterr().err
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    for handler in [handler for handler in root.handlers if isinstance(handler, StderrHandler)]:
        root.removeHandler(handler)


def start(form: Literal["console", "json"], level: Literal["debug", "info"] = "info") -> None:
    configure(LogSettings(format=form, level=level))


def fail(message: str) -> None:
    try:
        int(message)
    except ValueError:
        log.exception("failed")


def test_json_lines_hold_the_event_and_its_fields(output: Callable[[], str]):
    start("json")
    log.warning("job %s", "dead", extra={"fields": {"job": "j1", "waited_s": 1.5, "level": "x"}})
    line = json.loads(output())
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "warning",
        "logger": "headpond.test",
        "event": "job dead",
        "job": "j1",
        "waited_s": 1.5,
    }


def test_an_exception_stays_on_its_json_line(output: Callable[[], str]):
    start("json")
    fail("no\nway")
    (line,) = output().splitlines()
    assert "ValueError: invalid" in json.loads(line)["exception"]


def test_what_json_does_not_know_is_written_as_text(output: Callable[[], str]):
    start("json")
    log.info("x", extra={"fields": {"what": object}})
    assert json.loads(output())["what"] == "<class 'object'>"


def test_the_console_is_for_people(output: Callable[[], str]):
    start("console")
    log.info("job dead", extra={"fields": {"job": "j1", "error": "no way", "empty": ""}})
    assert output().endswith('  INFO     job dead  job=j1  error="no way"  empty=""\n')


def test_no_value_can_forge_a_line(output: Callable[[], str]):
    start("console")
    log.info("job dead", extra={"fields": {"error": "no\n2026 ERROR forged"}})
    assert len(output().splitlines()) == 1


def test_an_exception_is_shown_on_the_console(output: Callable[[], str]):
    start("console")
    fail("no way")
    assert "Traceback" in output()


def test_debug_is_for_our_own_lines_only(output: Callable[[], str]):
    start("console", "debug")
    logging.getLogger("asyncio").info("theirs")
    log.debug("ours")
    written = output()
    assert "theirs" not in written
    assert "ours" in written


def test_setting_up_twice_does_not_double_the_lines(output: Callable[[], str]):
    start("console")
    start("console")
    log.info("once")
    assert output().count("once") == 1


@pytest.mark.parametrize("level", ["info", "debug"])
def test_the_level_holds(output: Callable[[], str], level: Literal["debug", "info"]):
    start("json", level)
    log.debug("fine")
    assert ("fine" in output()) == (level == "debug")


def test_other_libraries_tell_what_is_wrong_alone(output: Callable[[], str]):
    start("console", "debug")
    logging.getLogger("botocore.credentials").info("Found credentials in environment variables.")
    logging.getLogger("azure.cosmos._cosmos_http_logging_policy").info("Request URL: …")
    logging.getLogger("azure.identity").warning("no token")
    (line,) = output().splitlines()
    assert line.endswith("no token")
