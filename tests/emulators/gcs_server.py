"""As much of Google Cloud Storage as an object store needs: its XML API, with preconditions.

It follows the documented behaviour: every write is a new generation, `x-goog-if-generation-match`
refuses with 412 (0 stands for "no such object"), lists are paged and in the order of names, and a
delimiter rolls up what goes on behind it. There is one bucket, and no authentication.
"""

import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import count
from typing import Any, NamedTuple

from aiohttp import web

BUCKET = "pond"
PAGE = 2
"""The real one gives 1,000 at once."""


class Stored(NamedTuple):
    """An object as it was written last."""

    generation: int
    data: bytes
    at: datetime


class Gcs:
    """A bucket with nothing in it."""

    def __init__(self) -> None:
        self.objects: dict[str, Stored] = {}
        self.away = False
        self._uploads: dict[str, dict[int, bytes]] = {}
        self._generations = count(1)

    def app(self) -> web.Application:
        """The server."""
        app = web.Application(client_max_size=2**28, middlewares=[self._absent])
        app.router.add_get(f"/{BUCKET}", self._list)
        app.router.add_get(f"/{BUCKET}/", self._list)
        app.router.add_get(f"/{BUCKET}/{{name:.+}}", self._get)
        app.router.add_put(f"/{BUCKET}/{{name:.+}}", self._put)
        app.router.add_post(f"/{BUCKET}/{{name:.+}}", self._in_parts)
        app.router.add_delete(f"/{BUCKET}/{{name:.+}}", self._delete)
        app.router.add_route("*", "/{other:.+}", _no_bucket)
        return app

    @web.middleware
    async def _absent(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if self.away:
            return web.Response(status=503)
        return await handler(request)

    async def _in_parts(self, request: web.Request) -> web.Response:
        """Begin an upload in parts, or put its parts together."""
        name = request.match_info["name"]
        upload = request.query.get("uploadId")
        if upload is None:
            upload = str(next(self._generations))
            self._uploads[upload] = {}
            return _xml("InitiateMultipartUploadResult", UploadId=upload)
        parts = self._uploads.pop(upload)
        data = b"".join(parts[number] for number in sorted(parts))
        self._store(name, data)
        return _xml("CompleteMultipartUploadResult", ETag=f'"{self._generation(name)}"')

    async def _put(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if "uploadId" in request.query:
            parts = self._uploads[request.query["uploadId"]]
            parts[int(request.query["partNumber"])] = await request.read()
            return web.Response(headers={"ETag": f'"{request.query["partNumber"]}"'})
        wanted = request.headers.get("x-goog-if-generation-match")
        if wanted is not None and int(wanted) != self._generation(name):
            return _refused(412, "PreconditionFailed")
        self._store(name, await request.read())
        return web.Response(headers=self._head(name))

    async def _get(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self.objects:
            return _refused(404, "NoSuchKey")
        data, head = self.objects[name].data, self._head(name)
        if wanted := request.http_range.start:
            head["Content-Range"] = f"bytes {wanted}-{len(data) - 1}/{len(data)}"
            return web.Response(status=206, body=data[wanted:], headers=head)
        return web.Response(body=data, headers=head)

    async def _delete(self, request: web.Request) -> web.Response:
        if "uploadId" in request.query:
            del self._uploads[request.query["uploadId"]]
            return web.Response(status=204)
        if self.objects.pop(request.match_info["name"], None) is None:
            return _refused(404, "NoSuchKey")
        return web.Response(status=204)

    async def _list(self, request: web.Request) -> web.Response:
        prefix, delimiter = (request.query.get(name, "") for name in ("prefix", "delimiter"))
        after = request.query.get("continuation-token", "")
        found = {_listed(n, prefix, delimiter) for n in self.objects if n.startswith(prefix)}
        entries = sorted(entry for entry in found if entry > after)
        root = ET.Element("ListBucketResult")
        ET.SubElement(root, "Name").text = BUCKET
        ET.SubElement(root, "IsTruncated").text = str(len(entries) > PAGE).lower()
        for entry in entries[:PAGE]:
            if delimiter and entry.endswith(delimiter):
                rolled_up = ET.SubElement(root, "CommonPrefixes")
                ET.SubElement(rolled_up, "Prefix").text = entry
            else:
                self._describe(entry, ET.SubElement(root, "Contents"))
        if len(entries) > PAGE:
            ET.SubElement(root, "NextContinuationToken").text = entries[PAGE - 1]
        return web.Response(body=ET.tostring(root), content_type="application/xml")

    def _describe(self, name: str, element: ET.Element) -> None:
        generation, data, at = self.objects[name]
        for field, value in (
            ("Key", name),
            ("LastModified", at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")),
            ("ETag", f'"{generation}"'),
            ("Size", str(len(data))),
        ):
            ET.SubElement(element, field).text = value

    def _store(self, name: str, data: bytes) -> None:
        self.objects[name] = Stored(next(self._generations), data, datetime.now(UTC))

    def _generation(self, name: str) -> int:
        return self.objects[name].generation if name in self.objects else 0

    def _head(self, name: str) -> dict[str, str]:
        generation = self._generation(name)
        return {
            "ETag": f'"{generation}"',
            "x-goog-generation": str(generation),
            "Last-Modified": format_datetime(self.objects[name].at, usegmt=True),
        }


def _listed(name: str, prefix: str, delimiter: str) -> str:
    """The name, or what is common to all that go on behind the same delimiter."""
    if not delimiter:
        return name
    step, found, _ = name.removeprefix(prefix).partition(delimiter)
    return prefix + step + found


async def _no_bucket(_request: web.Request) -> web.Response:
    return _refused(404, "NoSuchBucket")


def _xml(name: str, **fields: str) -> web.Response:
    root = ET.Element(name)
    for field, value in fields.items():
        ET.SubElement(root, field).text = value
    return web.Response(body=ET.tostring(root), content_type="application/xml")


def _refused(status: int, code: str) -> web.Response:
    return web.Response(status=status, text=f"<Error><Code>{code}</Code></Error>")
