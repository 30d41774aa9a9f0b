"""How queues of Azure Service Bus are made, changed and counted: entries of Atom over HTTP.

Follows "Service Bus management" of Microsoft's REST reference: `PUT` makes a queue, or changes it
where `If-Match` says so; `GET` of one that is not there answers with an empty feed.
"""

import re
from collections.abc import Awaitable, Callable

from aiohttp import web

from tests.emulators.servicebus_broker import DEAD_LETTERS, Broker, Queue

ATOM = "http://www.w3.org/2005/Atom"
SCHEMA = "http://schemas.microsoft.com/netservices/2010/10/servicebus/connect"
COUNTS = "http://schemas.microsoft.com/netservices/2011/06/servicebus"
LONGEST_LOCK_S = 300.0
DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?")
NAME = re.compile(r"[A-Za-z0-9]([\w./-]{0,258}[A-Za-z0-9])?")


def administration(broker: Broker) -> web.Application:
    """Of the broker's queues."""

    @web.middleware
    async def guarded(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if not request.headers.get("Authorization"):
            return _refused(401, "Unauthorized: no token")
        with broker.mutex:
            return await handler(request)

    async def get(request: web.Request) -> web.Response:
        broker.calls["GetQueue"] += 1
        queue = broker.queues.get(request.match_info["name"].lower())
        if queue is None:
            return _xml(200, f'<feed xmlns="{ATOM}"><title>Publicly Listed Services</title></feed>')
        broker.look(queue)
        return _xml(200, _entry(broker, queue))

    async def put(request: web.Request) -> web.Response:
        name, asked = request.match_info["name"], await request.text()
        lock_s = _seconds(_said(asked, "LockDuration") or "PT1M")
        most = int(_said(asked, "MaxDeliveryCount") or 10)
        if not NAME.fullmatch(name) or not 0 < lock_s <= LONGEST_LOCK_S or most < 1:
            return _refused(400, f"SubCode=40000. {name}: not a queue that there can be")
        queue = broker.queues.get(name.lower())
        if request.headers.get("If-Match"):
            broker.calls["UpdateQueue"] += 1
            if queue is None:
                return _refused(404, f"SubCode=40400. {name} is not there")
            queue.lock_s, queue.max_deliveries = lock_s, most
            return _xml(200, _entry(broker, queue))
        broker.calls["CreateQueue"] += 1
        if queue is not None:
            return _refused(409, f"SubCode=40900. {name} is there already")
        broker.make(Queue(name, lock_s, most))
        return _xml(201, _entry(broker, broker.queues[name.lower()]))

    app = web.Application(middlewares=[guarded])
    app.add_routes([web.get("/{name:.+}", get), web.put("/{name:.+}", put)])
    return app


def _entry(broker: Broker, queue: Queue) -> str:
    # What is locked counts with what is ready.
    letters = broker.queues[queue.name.lower() + DEAD_LETTERS]
    active, dead = (len(each.ready) + len(each.locks) for each in (queue, letters))
    return f"""<entry xmlns="{ATOM}"><title type="text">{queue.name}</title>
      <content type="application/xml"><QueueDescription xmlns="{SCHEMA}">
        <LockDuration>PT{queue.lock_s}S</LockDuration>
        <MaxDeliveryCount>{queue.max_deliveries}</MaxDeliveryCount>
        <MessageCount>{active + len(queue.scheduled) + dead}</MessageCount>
        <CountDetails xmlns:d="{COUNTS}">
          <d:ActiveMessageCount>{active}</d:ActiveMessageCount>
          <d:DeadLetterMessageCount>{dead}</d:DeadLetterMessageCount>
          <d:ScheduledMessageCount>{len(queue.scheduled)}</d:ScheduledMessageCount>
        </CountDetails>
      </QueueDescription></content></entry>"""


def _said(body: str, name: str) -> str | None:
    found = re.search(rf"<{name}>([^<]*)</{name}>", body)
    return found[1] if found else None


def _seconds(duration: str) -> float:
    """Of ISO 8601."""
    found = DURATION.fullmatch(duration)
    days, hours, minutes, seconds = found.groups() if found else (None,) * 4
    return (
        (int(days or 0) * 24 + int(hours or 0)) * 3600
        + int(minutes or 0) * 60
        + float(seconds or 0)
    )


def _xml(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text, content_type="application/atom+xml")


def _refused(status: int, detail: str) -> web.Response:
    text = f"<Error><Code>{status}</Code><Detail>{detail}</Detail></Error>"
    return web.Response(status=status, text=text, content_type="application/xml")
