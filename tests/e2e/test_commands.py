"""Commands that need no running system, as real processes."""

import json
from pathlib import Path

import pytest

from commands import headpond

pytestmark = pytest.mark.timeout(120)


def test_keys_are_made_listed_and_revoked(tmp_path: Path) -> None:
    environ = {"HEADPOND_HOME": str(tmp_path)}
    made = headpond(
        "keys", "create", "--team", "a", "--tokens-per-minute", "9", "--json", **environ
    )
    secret, key_id = json.loads(made.out)["secret"], json.loads(made.out)["id"]
    assert secret.startswith("hp_")
    listed = headpond("keys", "list", "--json", **environ).out
    assert secret not in listed
    assert json.loads(listed)[0]["limits"] == {"requests_per_minute": None, "tokens_per_minute": 9}
    assert headpond("keys", "revoke", key_id, **environ).out == f"{key_id} is revoked.\n"
    again = headpond("keys", "revoke", key_id, **environ)
    assert (again.status, again.out) == (2, "")
    assert "or it is revoked already" in again.err
    assert "a" in headpond("keys", "list", **environ).out


def test_a_wrong_setting_is_one_line_and_status_2(tmp_path: Path) -> None:
    file = tmp_path / "headpond.yaml"
    file.write_text("gateway:\n  prot: 1")
    done = headpond("config", "check", "--config", str(file))
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith(f"error: {file}, line 2: there is no setting gateway.prot; did you")
    assert len(done.err.splitlines()) == 1


def test_settings_are_checked_and_shown(tmp_path: Path) -> None:
    file = tmp_path / "headpond.yaml"
    file.write_text("pools: {default: {engine: {api_key: sk-1, url: 'http://x'}}}")
    assert headpond("config", "check", "--config", str(file)).out.startswith("The settings are ri")
    checked = headpond("config", "check", "--json", HEADPOND_CONFIG=str(file))
    assert json.loads(checked.out) == {"ok": True, "file": str(file)}
    shown = headpond("config", "show", HEADPOND_CONFIG=str(file), HEADPOND_HOME="h").out
    assert "sk-1" not in shown
    assert "HEADPOND_HOME" in shown
    lines = json.loads(headpond("config", "show", "--json").out)
    assert {"setting": "gateway.port", "value": 8080, "origin": "default"} in lines
    assert headpond("config", "reference").out.startswith("# Settings")


def test_the_version_is_told() -> None:
    release = headpond("version").out.strip()
    assert json.loads(headpond("version", "--json").out) == {"version": release}


def test_a_gateway_that_is_not_there_is_told() -> None:
    done = headpond("jobs", "--url", "http://127.0.0.1:9")
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("error: No gateway answers at http://127.0.0.1:9 (")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("submit",), "Give either a prompt or --file."),
        (("submit", "--file", "/no/such"), "/no/such cannot be read"),
        (("jobs", "--url", "nonsense"), "'nonsense' is no URL of a gateway"),
        (("worker", "--pool", "x"), "there is no pool 'x'; there are: default."),
        (("up", "--engine", "http://x", "--model", "y"), "--engine and --model exclude each other"),
        (("up", "--home", "/proc/x", "--port", "0"), "home: cannot use /proc/x"),
        (("audit", "list", "--since", "soon"), "--since takes a time in ISO 8601"),
        (("audit", "export", "--output", "/no/such/file"), "/no/such/file cannot be written"),
    ],
)
def test_a_wrong_request_is_told_with_status_2(
    tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    done = headpond(*arguments, HEADPOND_HOME=str(tmp_path))
    assert done.status == 2
    assert told in done.err
    assert "Traceback" not in done.err
