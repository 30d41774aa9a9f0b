"""Webhooks for teams, and what makes an attempt."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from headpond.adapters.webhooks.receiver import HttpReceiver
from headpond.domain.public_address import AddressRule
from headpond.services.teller import Teller
from headpond.services.webhooks import Webhooks
from headpond.settings import Settings
from headpond.wiring.stores import Store


@dataclass(frozen=True, slots=True)
class Telling:
    """Webhooks for teams, and what makes an attempt."""

    webhooks: Webhooks
    teller: Teller


@asynccontextmanager
async def open_webhooks(settings: Settings, store: Store) -> AsyncGenerator[Telling]:
    """Webhooks on this store, and what tells their endpoints."""
    rule = AddressRule(settings.webhooks.allowed_networks, settings.webhooks.allow_http)
    receiver = HttpReceiver(rule, timeout_s=settings.webhooks.timeout_s)
    teller = Teller(receiver, rule, store.clock)
    try:
        webhooks = Webhooks(store.endpoints, store.outbox, teller, rule=rule, clock=store.clock)
        yield Telling(webhooks, teller)
    finally:
        await receiver.close()
