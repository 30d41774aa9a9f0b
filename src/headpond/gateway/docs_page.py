"""/docs: the OpenAPI document as one plain page, without scripts and without other hosts."""

from collections.abc import Mapping
from html import escape
from typing import cast

import msgspec

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif }}
body {{ max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}
code, pre {{ font: 14px/1.4 ui-monospace, monospace }}
pre {{ background: #f4f4f4; padding: .8rem; overflow-x: auto }}
h2 code {{ font-size: 1.1rem }} summary {{ cursor: pointer }} .method {{ color: #06c }}
</style>
<h1>{title} <small>{version}</small></h1>
<p>{description} As OpenAPI: <a href="openapi.json">openapi.json</a>.</p>
{operations}
<h1>Schemas</h1>
{schemas}
</html>
"""
_OPERATION = """<h2><code><span class="method">{method}</span> {path}</code></h2>
<p>{summary}. Answers: {statuses}.</p>
<details><summary>Details</summary><pre>{details}</pre></details>
"""
_SCHEMA = '<details id="{name}"><summary><code>{name}</code></summary><pre>{schema}</pre></details>'


def page(document: Mapping[str, object]) -> str:
    """The page as HTML."""
    tree = cast("Mapping[str, Mapping[str, Mapping[str, object]]]", document)
    info = {name: escape(str(value)) for name, value in tree["info"].items()}
    operations = [
        _operation(path, method, cast("Mapping[str, object]", operation))
        for path, methods in tree["paths"].items()
        for method, operation in methods.items()
    ]
    schemas = [
        _SCHEMA.format(name=escape(name), schema=_pretty(schema))
        for name, schema in tree["components"]["schemas"].items()
    ]
    return _PAGE.format(
        title=info["title"],
        version=info["version"],
        description=info["description"],
        operations="".join(operations),
        schemas="\n".join(schemas),
    )


def _operation(path: str, method: str, operation: Mapping[str, object]) -> str:
    responses = cast("Mapping[str, object]", operation["responses"])
    return _OPERATION.format(
        method=method.upper(),
        path=escape(path),
        summary=escape(str(operation["summary"])),
        statuses=", ".join(responses),
        details=_pretty(operation),
    )


def _pretty(value: object) -> str:
    return escape(msgspec.json.format(msgspec.json.encode(value)).decode())
