"""Google Cloud's notice that a spot machine is preempted, 30 seconds before it is stopped."""

from typing_extensions import override

from headpond.adapters.metadata.service import ask
from headpond.ports.notices import Notice, Notices

HOST = "metadata.google.internal"
FLAVOR = {"Metadata-Flavor": "Google"}
NOTICE_S = 30.0


class Preemption(Notices):
    """Asks the service at `address`."""

    def __init__(self, address: str = f"http://{HOST}") -> None:
        self._address = address.rstrip("/")

    @override
    async def look(self) -> Notice | None:
        url = f"{self._address}/computeMetadata/v1/instance/preempted"
        if (await ask(url, headers=FLAVOR) or b"").strip() != b"TRUE":
            return None
        return Notice("Google Cloud preempts this machine", NOTICE_S)
