"""/docs: the OpenAPI document as one plain page, without scripts and without other hosts."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import TypeAlias, cast

import msgspec

Tree: TypeAlias = Mapping[str, "Tree"]
Schema: TypeAlias = Mapping[str, object]

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width">
<style>
:root {{ color-scheme: light dark; --line: #8884; --soft: #8881; --quiet: #777 }}
body {{ font: 16px/1.5 system-ui, sans-serif }}
body {{ max-width: 62rem; margin: 2rem auto; padding: 0 1rem }}
code {{ font: .9em/1.4 ui-monospace, monospace }}
a {{ color: inherit; text-decoration-color: #8888 }}
h2 {{ margin: 2.5rem 0 .5rem; border-bottom: 1px solid var(--line) }}
nav ul, .parts {{ list-style: none; padding: 0; margin: .2rem 0 1rem }}
nav li span {{ color: var(--quiet) }} nav code {{ display: inline-block; min-width: 24rem }}
.method {{ display: inline-block; min-width: 4.2rem; font-weight: 600 }}
.GET {{ color: #2a7ade }} .POST {{ color: #1f9d57 }} .DELETE {{ color: #d0443e }}
details {{ border: 1px solid var(--line); border-radius: .4rem; margin: .4rem 0 }}
summary {{ cursor: pointer; padding: .4rem .8rem }} summary span {{ color: var(--quiet) }}
details > div {{ padding: 0 .8rem .6rem; overflow-x: auto; border-top: 1px solid var(--line) }}
h4 {{ margin: .8rem 0 .2rem }} p {{ margin: .5rem 0 }}
table {{ border-collapse: collapse; width: 100%; font-size: .92rem }}
td {{ border-top: 1px solid var(--line); padding: .25rem .6rem .25rem 0; vertical-align: top }}
td:first-child {{ white-space: nowrap; width: 13rem }} td:nth-child(2) {{ width: 18rem }}
b {{ color: #d0443e; font-weight: 600 }} :target {{ background: var(--soft) }}
</style>
<h1>{title} <small>{version}</small></h1>
<p>{description} This page as OpenAPI: <a href="openapi.json">openapi.json</a>. A field with
<b>*</b> is required.</p>
<nav>{index}</nav>
{groups}
<h2 id="types">Types</h2>
{types}
</html>
"""
_OPERATION = """<details id="{anchor}"><summary><code><span class="method {method}">{method}</span>
{path}</code> <span>{summary}</span></summary><div>{parts}</div></details>
"""
_TYPE = '<details id="{name}"><summary><code>{name}</code> <span>{lead}</span></summary><div>{fields}</div></details>'  # noqa: E501

FIRST_ERROR = "400"

PLURALS = ("jobs", "dead-letters")
"""Paths of one word that are not about the gateway itself."""

_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} of them",
    "maxItems": "at most {} of them",
    "maxProperties": "at most {} of them",
    "pattern": "like {}",
}


def page(document: Mapping[str, object]) -> str:
    """The page as HTML."""
    tree = cast("Tree", document)
    types = cast("Mapping[str, Schema]", tree["components"]["schemas"])
    info = {name: escape(str(value)) for name, value in tree["info"].items()}
    groups: dict[str, list[tuple[str, str, Tree]]] = {}
    for path, methods in tree["paths"].items():
        for method, operation in methods.items():
            groups.setdefault(_group(path), []).append((path, method.upper(), operation))
    return _PAGE.format(
        title=info["title"],
        version=info["version"],
        description=info["description"],
        index="".join(_index(name, group) for name, group in groups.items()),
        groups="".join(_section(name, group, types) for name, group in groups.items()),
        types="".join(_type(name, schema) for name, schema in types.items()),
    )


def _group(path: str) -> str:
    """What a path is about: its first word, that after /v1 if it begins so."""
    words = path.strip("/").split("/")
    if len(words) == 1 and words[0] not in PLURALS:
        return "service"
    return words[1] if words[0] == "v1" else words[0]


def _index(name: str, group: Sequence[tuple[str, str, Tree]]) -> str:
    lines = "".join(
        f'<li><code><span class="method {method}">{method}</span> '
        f'<a href="#{_anchor(operation)}">{escape(path)}</a></code> '
        f"<span>{_text(operation, 'summary')}</span></li>"
        for path, method, operation in group
    )
    return f"<strong>{escape(name)}</strong><ul>{lines}</ul>"


def _section(name: str, group: Sequence[tuple[str, str, Tree]], types: Mapping[str, Schema]) -> str:
    return f"<h2>{escape(name)}</h2>" + "".join(
        _OPERATION.format(
            anchor=_anchor(operation),
            method=method,
            path=escape(path),
            summary=_text(operation, "summary"),
            parts=_parameters(operation) + _body(operation, types) + _answers(operation),
        )
        for path, method, operation in group
    )


def _parameters(operation: Tree) -> str:
    rows = [
        (
            f"{_text(one, 'name')}{_star(bool(one['required']))}",
            f"{_kind(cast('Schema', one['schema']))}, in the {_text(one, 'in')}",
            _text(one, "description"),
        )
        for one in cast("Sequence[Tree]", operation["parameters"])
    ]
    return f"<h4>Parameters</h4>{_table(rows)}" if rows else ""


def _body(operation: Tree, types: Mapping[str, Schema]) -> str:
    if "requestBody" not in operation:
        return ""
    ((media, one),) = operation["requestBody"]["content"].items()
    name = str(one["schema"].get("$ref", "")).rpartition("/")[2]
    return f"<h4>Body, as <code>{media}</code></h4>{_fields(types.get(name, {}))}"


def _answers(operation: Tree) -> str:
    rows: list[tuple[str, str, str]] = []
    errors: list[str] = []
    for status, answer in operation["responses"].items():
        kinds = " or ".join(_content(one) for one in answer.get("content", {}).values())
        if status >= FIRST_ERROR:
            errors.append(f"{status} {_text(answer, 'description')}")
        else:
            rows.append((status, kinds, _text(answer, "description")))
    envelope = _kind({"$ref": "#/components/schemas/ErrorEnvelope"})
    return f"<h4>Answers</h4>{_table(rows)}<p>Errors ({envelope}): {', '.join(errors)}.</p>"


def _content(one: Tree) -> str:
    return _kind(cast("Schema", one["schema"]))


def _type(name: str, schema: Schema) -> str:
    lead = escape(str(schema.get("description", "")))
    return _TYPE.format(name=escape(name), lead=lead.partition("\n")[0], fields=_fields(schema))


def _fields(schema: Schema) -> str:
    """The fields of an object; of anything else what it is."""
    required = cast("Sequence[str]", schema.get("required", ()))
    fields = cast("Mapping[str, Schema]", schema.get("properties", {}))
    rows = [
        (
            f"<code>{escape(field)}</code>{_star(field in required)}",
            _kind(inner),
            _said(inner),
        )
        for field, inner in fields.items()
    ]
    return _table(rows) if rows else f"<p>{_kind(schema)}</p>"


def _kind(schema: Schema) -> str:
    """What a value is, in words; another type is a link to it."""
    match schema:
        case {"$ref": str(reference)}:
            name = escape(reference.rpartition("/")[2])
            return f'<a href="#{name}"><code>{name}</code></a>'
        case {"anyOf": list(options)}:
            return " or ".join(_kind(one) for one in cast("list[Schema]", options))
        case {"enum": list(values)}:
            shown = cast("list[object]", values)
            return ", ".join(f"<code>{escape(str(value))}</code>" for value in shown)
        case {"type": "array", "items": dict(items)}:
            return f"list of {_kind(cast('Schema', items))}"
        case {"type": "object", "additionalProperties": dict(values)}:
            return f"map to {_kind(cast('Schema', values))}"
        case _:
            return escape(str(schema.get("type", "anything")))


def _said(schema: Schema) -> str:
    """Description, bounds and default of a field, those of its options included."""
    options = cast("Sequence[Schema]", schema.get("anyOf", ()))
    said = [str(schema["description"])] if "description" in schema else []
    said += [str(one["description"]) for one in options if "description" in one]
    for one in (schema, *options):
        said += [words.format(one[bound]) for bound, words in _BOUNDS.items() if bound in one]
    if schema.get("default") is not None:
        said.append(f"default {msgspec.json.encode(schema['default']).decode()}")
    return escape("; ".join(said))


def _table(rows: Sequence[tuple[str, str, str]]) -> str:
    lines = ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows]
    return f"<table>{''.join(lines)}</table>"


def _star(required: bool) -> str:  # noqa: FBT001 - it is what is shown
    return " <b>*</b>" if required else ""


def _anchor(operation: Tree) -> str:
    return _text(operation, "operationId")


def _text(tree: Tree, name: str) -> str:
    return escape(str(tree.get(name, "")))
