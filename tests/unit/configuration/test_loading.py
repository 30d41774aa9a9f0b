"""Settings from a file, the environment and references; every mistake is located."""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from headpond.configuration import load
from headpond.configuration.environment import path_of, variable_of
from headpond.configuration.reference import reference_page
from headpond.configuration.shape import ANY_NAME, settings
from headpond.configuration.showing import DEFAULT, shown
from headpond.errors import SettingsError
from headpond.settings import Settings

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "headpond.yaml"


def refusal(file: Path, text: str, environ: Mapping[str, str] | None = None) -> str:
    """What is said about a file with this text, its folder left out."""
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(environ or {}, str(file))
    return str(caught.value).replace(str(file), "headpond.yaml")


def test_without_anything_the_settings_are_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    assert load({}).settings == Settings()


def test_a_file_in_the_working_directory_is_found(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("home: elsewhere")
    monkeypatch.chdir(file.parent)
    configuration = load({})
    assert configuration.settings.home == "elsewhere"
    assert configuration.file == "headpond.yaml"


def test_a_variable_names_the_file(file: Path) -> None:
    file.write_text("gateway: {port: 1}")
    assert load({"HEADPOND_CONFIG": str(file)}).settings.gateway.port == 1


def test_the_environment_goes_before_the_file(file: Path) -> None:
    file.write_text("gateway:\n  port: 1\n  host: localhost")
    gateway = load({"HEADPOND_GATEWAY__PORT": "9000"}, str(file)).settings.gateway
    assert (gateway.port, gateway.host) == (9000, "localhost")


def test_variables_hold_lists_and_maps_in_brackets(file: Path) -> None:
    file.touch()
    environ = {
        "HEADPOND_POOLS__SMALL__MODELS": "[a, b]",
        "HEADPOND_POOLS__LARGE": "{models: [c], engine: {url: 'http://x'}}",
        "HEADPOND_POOLS__LARGE__MAX_IN_FLIGHT": "4",
    }
    pools = load(environ, str(file)).settings.pools
    assert pools["small"].models == ("a", "b")
    assert (pools["large"].engine.url, pools["large"].max_in_flight) == ("http://x", 4)


@pytest.mark.parametrize("text", ["0123", '"quoted"', "a: b", "{a: 1, a: 2}", "#1", "~", "[x"])
def test_a_variable_needs_no_quotes_where_text_is_expected(file: Path, text: str) -> None:
    file.write_text("pools: {default: {engine: {gguf: '${TEXT}'}}}")
    environ = {
        "TEXT": text,
        "HEADPOND_HOME": text,
        "HEADPOND_POOLS__DEFAULT__ENGINE__API_KEY": text,
    }
    loaded = load(environ, str(file)).settings
    engine = loaded.pools["default"].engine
    assert (loaded.home, engine.api_key, engine.gguf) == (text, text, text)


def test_a_variable_can_unset_what_the_file_says(file: Path) -> None:
    file.write_text("pools: {default: {engine: {url: 'http://x'}}}")
    environ = {"HEADPOND_POOLS__DEFAULT__ENGINE__URL": "null"}
    assert load(environ, str(file)).settings.pools["default"].engine.url is None


@pytest.mark.parametrize(
    "variable",
    [
        "HOME",
        "STORE",
        "QUEUE",
        "GATEWAY",
        "GATEWAY__PORT",
        "POOLS",
        "POOLS__A__MODELS",
        "AUTH__JWT",
    ],
)
def test_an_empty_variable_is_as_if_it_were_not_there(file: Path, variable: str) -> None:
    file.touch()
    assert load({f"HEADPOND_{variable}": ""}, str(file)).settings == Settings()
    file.write_text("gateway: {port: 9000}")
    assert load({f"HEADPOND_{variable}": ""}, str(file)).settings.gateway.port == 9000


def test_an_empty_variable_that_names_no_setting_is_told(file: Path) -> None:
    assert "did you mean gateway" in refusal(file, "", {"HEADPOND_GATEWY__PORT": ""})


@pytest.mark.parametrize("variable", ["HOME", "GATEWAY__PORT"])
def test_null_is_told_where_a_value_is_needed(file: Path, variable: str) -> None:
    assert refusal(file, "", {f"HEADPOND_{variable}": "null"}).endswith(", not null.")


def test_the_commands_own_variables_are_no_settings(file: Path) -> None:
    file.touch()
    load({"HEADPOND_URL": "http://x", "HEADPOND_API_KEY": "hp_x"}, str(file))


def test_a_section_without_content_is_its_defaults(file: Path) -> None:
    file.write_text("gateway:\npools:\n  default:\nauth:\n  jwt:\n")
    assert load({}, str(file)).settings == Settings()


def test_references_reach_variables_and_files(file: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("0042\n")
    file.write_text(
        "pools: {default: {engine: {url: 'http://${HOST}:1/v1', api_key: '${file:%s}'},"
        " models: ['${MODEL}', '$${kept}']}}\ngateway: {port: '${PORT}'}" % (tmp_path / "key")
    )
    loaded = load({"HOST": "h", "MODEL": "m", "PORT": "77"}, str(file)).settings
    pool = loaded.pools["default"]
    assert (pool.engine.url, pool.engine.api_key) == ("http://h:1/v1", "0042")
    assert pool.models == ("m", "${kept}")
    assert loaded.gateway.port == 77


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a:\n  - b\n c", "headpond.yaml, line 3: this is not YAML"),
        ("x: !!python/object:os.system 1", "headpond.yaml, line 1: "),
        ("home: a\nstore: b\nhome: c", "headpond.yaml, line 3: the key 'home' stands twice"),
        ("home: &a x\nstore: *a", "headpond.yaml, line 2: this is not YAML that Headpond reads"),
        ("- a\n- b", "headpond.yaml, line 1: a map of settings is expected"),
        ("1: a", "headpond.yaml, line 1: 1 cannot be a key here"),
        ("worker: {drain_s: 2030-13-45}", "line 1: this is not YAML that Headpond reads: a da"),
        ("home: !!timestamp soon", "line 1: this is not YAML that Headpond reads: a da"),
        ("home: !!int many", "line 1: this is not YAML that Headpond reads: a da"),
        ("home: !!bool maybe", "line 1: this is not YAML that Headpond reads: a da"),
        ("home:\n  " + "[" * 3000 + "]" * 3000, "headpond.yaml, line 2: this is not YAML that "),
        ("home: \x01", "headpond.yaml: this is not YAML"),
        (
            "gateway:\n  port: 99999",
            "headpond.yaml, line 2: gateway.port takes a whole number from 0 to 65535, not 99999.",
        ),
        (
            "gateway:\n  hots: x",
            "line 2: there is no setting gateway.hots; did you mean gateway.host? Under gateway",
        ),
        ("zzz: 1", "line 1: there is no setting zzz. At the top there can be: home, store, "),
        ("log: {level: loud}", "log.level takes debug or error or info or warning, not 'loud'."),
        ("home: {a: b}", "line 1: home takes text, not a map."),
        ("gateway: 7", "line 1: gateway takes a map, not 7."),
        ("pools: 7", "line 1: pools takes a map, not 7."),
        ("auth:\n  jwt:\n    issuer: me", "headpond.yaml, line 2: auth.jwt.jwks is missing."),
        ("pools: {a: {kv_usage_limit: 2}}", "kv_usage_limit takes a number above 0 up to 1, not 2"),
        ("pools: {a: {models: [1]}}", "pools.a.models takes a list, each of it text, not [1]."),
        ("pools: {a: {models: [a, ~, yes]}}", "each of it text, not ['a', null, true]."),
        ("home: '${NOPE}'", "line 1: home: the environment variable NOPE is not set."),
        ("home: '${file:/no/such}'", "home: the file /no/such cannot be read: No such file"),
        ("store: mysql://x", "line 1: store: this names no store; it can be sqlite:///FILE, "),
        ("store: postgres://x", "this names no store (did you mean postgresql://?); it can be"),
        ("store: sqlite://x", "line 1: store: this names no store; it can be"),
        ("store: postgresql://", "line 1: store: this names no store"),
        ("store: redis://x", "line 1: store: this names no store; it can be sqlite:///FILE, "),
        ("store: dynamodb://eu/x/y", "line 1: store: this names no store; it can be sqlite:///"),
        ("store: dynamodb://eu-central-1/pond", "queue: a store on dynamodb needs one: sqs://"),
        ("store: cosmos://account/database", "line 1: store: this names no store; it can be"),
        ("store: cosmos://a1b/d/c?key=x&other=y", "line 1: store: this names no store; it can be"),
        ("store: cosmos://a1b/d/c?key=x/+=", "queue: a store on cosmos needs one: sqs://"),
        (
            "pools: {a: {fleet: 'ecs://eu-central-1/workers'}}",
            "fleet: this names no fleet; it can be local, kubernetes://NAMESPACE/DEPLOYMENT, ecs:/",
        ),
        ("pools: {a: {spot_fleet: local}}", "this names no spot fleet; it can be kubernetes:"),
        (
            "pools: {a: {fleet: 'kubernetes://x/y', spot_fleet: 'kubernetes://x/y'}}",
            "spot_fleet: it must be another one than fleet",
        ),
        (
            "pools: {a: {scaling: {on_demand: 1}}}",
            "on_demand: without a spot_fleet, all workers are of fleet; set spot_fleet, or",
        ),
        (
            "pools: {a: {scaling: {decides: other}}}",
            "decides: only fleets on Kubernetes can be told who goes last; let headpond decide",
        ),
        ("queue: kafka://x", "line 1: queue: this names no queue; it can be sqs://REGION/PREFIX"),
        (
            "queue: sqs://eu-central-1/pond\npools: {a: {lease_s: 43201}}",
            "line 2: pools.a.lease_s: SQS leases nothing for longer than 12 hours",
        ),
        (
            f"queue: sqs://eu-central-1/{28 * 'q'}?endpoint=http://x/y\npools:\n  {40 * 'p'}: {{}}",
            "-interactive, of 81 characters, and SQS takes 80 characters; shorten the pool's name",
        ),
        (
            "queue: sqs://eu-central-1/pond\nreaper: {unseen_s: 600}",
            "line 2: reaper.unseen_s: it must be more than pools.default.engine.timeout_s",
        ),
        (
            "batches: {files: 's3://b'}\narchive: {url: 's3://b/archive'}",
            "line 1: batches.files: it is, holds or lies in archive.url; give each a path of its",
        ),
        (
            "archive: {url: 'gs://b/a/'}\nbatches: {files: 'gs://b//a'}",
            "line 2: batches.files: it is, holds or lies in archive.url",
        ),
        (
            "archive: {url: 'file:///a'}\nbatches: {files: 'file:///x/../%61/files'}",
            "line 2: batches.files: it is, holds or lies in archive.url",
        ),
        (
            "queue: pubsub://my-project/pond\npools: {a: {lease_s: 601}}",
            "line 2: pools.a.lease_s: Pub/Sub leases nothing for longer than 10 minutes",
        ),
        ("queue: pubsub://my-project/9lives", "line 1: queue: this names no queue; it can be"),
        (
            "queue: servicebus://ns.servicebus.windows.net/pond\npools: {a: {lease_s: 301}}",
            "line 2: pools.a.lease_s: Service Bus locks nothing for longer than 5 minutes",
        ),
        ("queue: servicebus://ns/pond", "line 1: queue: this names no queue; it can be"),
        ("queue: servicebus://ns.x/a/b", "line 1: queue: this names no queue; it can be"),
        ("queue: servicebus://key@ns.x/a", "line 1: queue: this names no queue; it can be"),
        ("streams: 'redis:///0'", "line 1: streams: it must be like redis://HOST:PORT/DB"),
        ("queue: 'redis://h:port'", "line 1: queue: it must be like redis://HOST:PORT/DB"),
        ("queue: 'redis://h/one'", "line 1: queue: it must be like redis://HOST:PORT/DB"),
        ("queue: 'redis+cluster://h/1'", "line 1: queue: it must be like redis://HOST:PORT/DB"),
        (
            "limits:\n  shared: http://h",
            "headpond.yaml, line 2: limits.shared: it must be like redis://HOST:PORT/DB",
        ),
        (
            "cache: {url: 'http://h'}",
            "line 1: cache.url: this names no cache; it can be sqlite:///",
        ),
        ("cache: {url: 'sqlite:///headpond.db'}", "line 1: cache.url: it is the store; give the"),
        (
            "cache: {url: 'redis://h', max_answer_bytes: 2000000, max_bytes: 1048576}",
            "line 1: cache.max_answer_bytes: it must not be more than max_bytes",
        ),
        (
            "cache: {url: 'redis://h', keep_s: 61}\nretention: {teams: {a: null, b: 60}}",
            "line 1: cache.keep_s: answers must not be kept for longer than the results",
        ),
        ("archive: {url: 'file://rel/x'}", "line 1: archive.url: a folder is named as file:///"),
        ("batches: {files: 'FILE:x'}", "line 1: batches.files: a folder is named as file:///"),
        ("pools: {}", "line 1: pools: there must be at least one pool."),
        ("pools: {Big: {}}", "line 1: pools.Big: 'Big' cannot name a pool"),
        ("pools: {a__b: {}}", "use 1 to 63 of a-z, 0-9, '-' and '_', but not '__'."),
        (
            "pools:\n  a:\n    models: [m]\n  b:\n    models: [m]",
            "line 5: pools.b.models: the model 'm' is listed here and in the pool 'a'; a model",
        ),
        ("pools: {a: {}, b: {}}", "the pools 'a' and 'b' both list no models"),
        (
            "pools:\n  a:\n    engine: {url: 'http://x', gguf: y}",
            "headpond.yaml, line 3: pools.a.engine: url and gguf exclude each other",
        ),
        ("pools: {a: {engine: {url: 'ftp://x'}}}", "it must begin with http:// or https://"),
        ("pools: {a: {engine: {url: 'http://[x'}}}", "it must begin with http:// or https://"),
        ("pools: {a: {retry: {max_delay_s: 0}}}", "first_delay_s: it must not be more than max_"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_what_is_allowed(
    file: Path, text: str, told: str
) -> None:
    assert told in refusal(file, text)


COSMOS = "cosmos://a1b/d/c"
BUS = "ns.servicebus.windows.net/pond"


@pytest.mark.parametrize("section", ["streams: %s", "limits: {shared: %s}", "cache: {url: %s}"])
def test_a_password_of_redis_is_not_written_out_in_the_file(file: Path, section: str) -> None:
    told = refusal(file, section % "'redis://:hunter2@db'")
    assert "the secret in it must be a reference" in told
    assert "hunter2" not in told
    file.write_text(section % "'redis://:${P}@db'")
    load({"P": "hunter2"}, str(file))


@pytest.mark.parametrize(
    ("store", "queue"),
    [
        (f"{COSMOS}?key=hunter2", f"servicebus://{BUS}"),
        (f"{COSMOS}?endpoint=https://x&key=hunter2", f"servicebus://{BUS}"),
        (f"{COSMOS}?key=hunter2${{KEY}}", f"servicebus://{BUS}"),
        (f"{COSMOS}?key=$${{KEY}}", f"servicebus://{BUS}"),
        (COSMOS, f"servicebus://me:hunter2@{BUS}"),
        (COSMOS, f"servicebus://${{NAME}}:hunter2@{BUS}"),
        ("postgresql://me:hunter2@db/pond", f"servicebus://{BUS}"),
        ("postgresql://me@db/pond?sslmode=require&password=hunter2", f"servicebus://{BUS}"),
        (COSMOS, "redis://:hunter2@db/0"),
        (COSMOS, "rediss+cluster://me:hun@ter2${KEY}@db"),
    ],
)
def test_a_secret_is_not_written_out_in_the_file(file: Path, store: str, queue: str) -> None:
    told = refusal(file, f"store: '{store}'\nqueue: '{queue}'", {"KEY": "k", "NAME": "me"})
    line = "line 1: store" if "hunter2" in store or "key=" in store else "line 2: queue"
    assert (
        told == f"headpond.yaml, {line}: the secret in it must be a reference, "
        "like ${KEY} or ${file:PATH}."
    )


@pytest.mark.parametrize(
    ("store", "queue"),
    [
        (f"{COSMOS}?key=${{KEY}}&endpoint=https://x", f"servicebus://me:${{KEY}}@{BUS}"),
        (f"{COSMOS}?endpoint=https://x&key=${{file:secret}}", f"servicebus://${{file:who}}@{BUS}"),
        (COSMOS, f"servicebus://${{NAME}}:${{file:secret}}@{BUS}"),
        ("${STORE}", f"servicebus://{BUS}?emulator=h:1"),
    ],
)
def test_a_key_of_a_cloud_comes_by_reference(
    file: Path, monkeypatch: pytest.MonkeyPatch, store: str, queue: str
) -> None:
    monkeypatch.chdir(file.parent)
    (file.parent / "secret").write_text("k\n")
    (file.parent / "who").write_text("me:k\n")
    file.write_text(f"store: '{store}'\nqueue: '{queue}'")
    environ = {"KEY": "k", "NAME": "me", "STORE": f"{COSMOS}?key=k"}
    settings = load(environ, str(file)).settings
    assert "$" not in settings.store + str(settings.queue)


@pytest.mark.parametrize(
    ("line", "password"),
    [
        *(
            ("store: postgresql://${file:/dev/null}:${P}@db/hp", password)
            for password in ("p@ss", "p/ss", "p#ss", "100%", "%4x", "p ss")
        ),
        ("queue: redis+cluster://:${P}@db", "p/ss"),
        ("queue: rediss://:${P}@db", "p#ss"),
    ],
)
def test_a_password_that_would_be_another_part_of_its_url_is_told(
    file: Path, line: str, password: str
) -> None:
    told = refusal(file, line, {"P": password})
    assert "the value of ${P} has characters that mean something in a URL; write them by" in told
    assert password not in told


def test_a_password_written_by_its_codes_is_taken(file: Path) -> None:
    file.write_text("store: postgresql://hp:${P}@db/${DB}?search_path=${S}")
    settings = load({"P": "p%40s:$!&", "DB": "a/b", "S": "x y"}, str(file)).settings
    assert settings.store == "postgresql://hp:p%40s:$!&@db/a/b?search_path=x y"
    file.write_text("queue: redis://:${P}@db")
    assert load({"P": "100%@x"}, str(file)).settings.queue == "redis://:100%@x@db"


def test_a_key_of_a_cloud_may_stand_in_a_variable(file: Path) -> None:
    file.write_text(f"store: '{COSMOS}'")
    environ = {"HEADPOND_QUEUE": f"servicebus://me:hunter2@{BUS}"}
    assert load(environ, str(file)).settings.queue == environ["HEADPOND_QUEUE"]


@pytest.mark.parametrize("section", ["archive", "batches"])
@pytest.mark.parametrize(
    "name",
    ["aws_secret_access_key", "AWS_SESSION_TOKEN", "client_secret", "proxy_password"],
)
def test_a_key_of_an_object_store_comes_by_reference(file: Path, section: str, name: str) -> None:
    told = refusal(file, f"{section}:\n  options: {{{name}: hunter2}}")
    assert told.startswith(
        f"headpond.yaml, line 2: {section}.options.{name}: the secret in it must be a ref"
    )
    plain = "aws_access_key_id: A, aws_region: r, azure_federated_token_file: /f"
    file.write_text(f"{section}: {{options: {{{name}: '${{K}}', {plain}}}}}")
    shown_values = {line.setting: line.value for line in shown(load({"K": "k"}, str(file)))}
    assert shown_values[f"{section}.options.{name}"] == "${K}"
    assert shown_values[f"{section}.options.aws_access_key_id"] == "****"
    load({f"HEADPOND_{section.upper()}__OPTIONS__{name.upper()}": "hunter2"}, os.devnull)


@pytest.mark.parametrize(
    "text",
    [
        "cache: {url: 'sqlite:///cache.db'}",
        "cache: {url: 'rediss+cluster://h', keep_s: 86400}\nretention: {keep_s: null}",
        "cache: {keep_s: 86401}\nretention: {keep_s: 60}",
    ],
)
def test_a_cache_may_be_named_or_not(file: Path, text: str) -> None:
    file.write_text(text)
    load({}, str(file))


@pytest.mark.parametrize(
    ("files", "archive"),
    [("s3://b/a", "s3://b/archive"), ("s3://b", "gs://b"), ("file:///a/b", "file:///b")],
)
def test_files_and_the_archive_may_lie_beside_each_other(
    file: Path, files: str, archive: str
) -> None:
    file.write_text(f"batches: {{files: '{files}'}}\narchive: {{url: '{archive}'}}")
    assert load({}, str(file)).settings.archive.url == archive


def test_all_mistakes_are_told_at_once(file: Path) -> None:
    told = refusal(file, "gateway:\n  port: x\nworker:\n  drain_s: 0")
    assert len(told.splitlines()) == 2


def test_a_variable_that_names_no_setting_is_told_with_the_nearest(file: Path) -> None:
    told = refusal(file, "", {"HEADPOND_GATEWY__PORT": "1"})
    assert told.startswith("HEADPOND_GATEWY__PORT: there is no setting gatewy; did you mean gatew")


def test_what_kubernetes_and_docker_say_about_services_is_left_alone(file: Path) -> None:
    file.touch()
    environ = {
        "HEADPOND_SERVICE_HOST": "10.0.0.1",
        "HEADPOND_SERVICE_PORT": "8080",
        "HEADPOND_SERVICE_PORT_HTTP": "8080",
        "HEADPOND_PORT": "tcp://10.0.0.1:8080",
        "HEADPOND_PORT_8080_TCP": "tcp://10.0.0.1:8080",
        "HEADPOND_PORT_8080_TCP_PROTO": "tcp",
        "HEADPOND_PORT_8080_TCP_PORT": "8080",
        "HEADPOND_PORT_8080_TCP_ADDR": "10.0.0.1",
        "HEADPOND_GATEWAY_SERVICE_HOST": "10.0.0.1",
        "HEADPOND_GATEWAY_PORT": "tcp://10.0.0.1:8080",
    }
    assert load(environ, str(file)).settings == Settings()


@pytest.mark.parametrize(
    ("variable", "near"),
    [
        ("HEADPOND_PORT", "gateway.port"),
        ("HEADPOND_GATEWAY_PORT", "gateway.port"),
        ("HEADPOND_GATEWAY__PROT", "gateway.port"),
        ("HEADPOND_HOM", "home"),
    ],
)
def test_a_variable_that_looks_like_a_setting_is_told_with_it(
    file: Path, variable: str, near: str
) -> None:
    assert f"did you mean {near}?" in refusal(file, "", {variable: "8080"})


def test_a_secret_is_not_told_in_a_complaint(file: Path) -> None:
    told = refusal(file, "pools: {default: {engine: {api_key: [hunter2]}}}")
    assert "hunter2" not in told


def test_files_that_cannot_be_read_are_told(file: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        load({}, str(file))
    file.write_bytes(b"\xff")
    with pytest.raises(SettingsError, match="is not UTF-8"):
        load({}, str(file))


def test_showing_says_where_a_setting_comes_from_and_hides_secrets(file: Path) -> None:
    file.write_text(
        "pools:\n  default:\n    engine:\n      url: http://me:pw@host\n      api_key: sk-1\n"
        "    models: ['${M}', b]\nlimits: {teams: {a: {tokens_per_minute: 5}}}"
    )
    environ = {"M": "m", "HEADPOND_HOME": "${M}/x"}
    found = {line.setting: (line.value, line.origin) for line in shown(load(environ, str(file)))}
    assert found["gateway.port"] == (8080, DEFAULT)
    assert found["home"] == ("${M}/x", "HEADPOND_HOME")
    assert found["pools.default.engine.url"] == ("http://****@host", f"{file}, line 4")
    assert found["pools.default.engine.api_key"] == ("****", f"{file}, line 5")
    assert found["pools.default.models"] == (["${M}", "b"], f"{file}, line 6")
    assert found["limits.teams.a.tokens_per_minute"][0] == 5
    assert found["auth.jwt"] == (None, DEFAULT)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://u:p@ss@host/v1", "http://****@host/v1"),
        ("http://token@host", "http://****@host"),
        ("http://u:${PW}@host", "http://****@host"),
        ("http://host/v1?api_key=k", "http://host/v1?****"),
        ("http://host?api_key=k@x", "http://****"),
        ("http://u:p#a@host", "http://****"),
        ("http://${HOST}/v1", "http://${HOST}/v1"),
    ],
)
def test_a_url_is_shown_without_userinfo_and_query(file: Path, url: str, told: str) -> None:
    file.write_text(f"pools: {{default: {{engine: {{url: '{url}'}}}}}}")
    lines = shown(load({"PW": "hunter2", "HOST": "host"}, str(file)))
    (line,) = (line for line in lines if line.setting == "pools.default.engine.url")
    assert line.value == told


@pytest.mark.parametrize("setting", ["queue", "streams", "limits.shared"])
def test_a_server_is_shown_without_its_password(setting: str) -> None:
    url = "rediss+cluster://user:hunter2@host:6379"
    name = "HEADPOND_" + setting.upper().replace(".", "__")
    lines = shown(load({name: url}, os.devnull))
    (line,) = (line for line in lines if line.setting == setting)
    assert line.value == "rediss+cluster://****@host:6379"


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("${K}", "${K}"),
        ("sk-SECRET${K}", "****"),
        ("${K}${K}", "****"),
        ("sk-SECRET$${x", "****"),
        ("$${", "****"),
    ],
)
def test_a_secret_is_shown_only_where_it_is_one_reference(file: Path, key: str, told: str) -> None:
    file.write_text(f"pools: {{default: {{engine: {{api_key: '{key}'}}}}}}")
    lines = shown(load({"K": "k"}, str(file)))
    (line,) = (line for line in lines if line.setting == "pools.default.engine.api_key")
    assert line.value == told


@pytest.mark.parametrize(
    "text",
    [
        "store: 'postgres://u:${PW}@host/db'",
        "queue: 'redes://u:${PW}@host'",
        "pools: {default: {engine: {url: 'ftp://u:${PW}@host'}}}",
        "gateway: {port: '${PW}'}",
        "log: {level: '${PW}'}",
        "gateway: {host: ['http://u:hunter2@host']}",
    ],
)
def test_a_complaint_tells_nothing_that_a_reference_hides(file: Path, text: str) -> None:
    assert "hunter2" not in refusal(file, text, {"PW": "hunter2"})


def test_the_reference_page_is_that_of_the_types() -> None:
    page = (REPOSITORY / "docs" / "settings.md").read_text()
    assert page == reference_page(), "run `make docs`"


def test_the_example_on_the_reference_page_loads(file: Path) -> None:
    example = reference_page().split("```yaml\n")[1].split("```")[0]
    file.write_text(example)
    assert load({"ENGINE_KEY": "k"}, str(file)).settings.pools["default"].engine.api_key == "k"


def test_every_setting_is_described() -> None:
    assert [setting.path for setting in settings() if not setting.description] == []


@pytest.mark.parametrize(
    "path", [setting.path for setting in settings() if ANY_NAME not in setting.path]
)
def test_a_variable_leads_back_to_its_setting(path: tuple[str, ...]) -> None:
    assert path_of(variable_of(path)) == path


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from([setting.path[-1] for setting in settings()])
near_settings = st.recursive(
    plain, lambda inner: st.dictionaries(names | st.text(), inner, max_size=5), max_leaves=10
)


@given(near_settings)
def test_no_file_makes_anything_but_settings_or_a_settings_error(content: object) -> None:
    text = yaml.safe_dump(content, allow_unicode=True)
    with contextlib.suppress(SettingsError):
        load({"HEADPOND_LIMITS": text, "HEADPOND_CONFIG": "/dev/null"})


@given(st.integers(1, 65535), st.floats(0.1, 1e6), st.booleans())
def test_the_environment_says_what_a_file_would(port: int, drain_s: float, json: bool) -> None:
    log_format = "json" if json else "console"
    environ = {
        "HEADPOND_CONFIG": "/dev/null",
        "HEADPOND_GATEWAY__PORT": str(port),
        "HEADPOND_WORKER__DRAIN_S": str(drain_s),
        "HEADPOND_LOG__FORMAT": log_format,
    }
    loaded = load(environ).settings
    assert loaded.gateway.port == port
    assert loaded.worker.drain_s == drain_s
    assert loaded.log.format == log_format
