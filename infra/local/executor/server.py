"""LocalStack's gateway on loopback alone, and in plain HTTP.

Its own server listens on every interface, whatever GATEWAY_LISTEN says; what runs code for whoever asks must not.
"""

from typing import Any

from localstack.runtime.server.core import RuntimeServer, RuntimeServerPlugin
from localstack.runtime.server.twisted import TwistedRuntimeServer
from rolo.serving.twisted import TwistedGateway
from twisted.internet import endpoints, reactor

__all__ = ["LoopbackServer", "LoopbackServerPlugin"]


class LoopbackServerPlugin(RuntimeServerPlugin):
    """Names the server `loopback`, for GATEWAY_SERVER."""

    name = "loopback"

    def load(self, *_args: Any, **_kwargs: Any) -> RuntimeServer:
        """The server."""
        return LoopbackServer()


class LoopbackServer(TwistedRuntimeServer):
    """Twisted, as LocalStack runs it, listening on just the addresses that it is given."""

    def register(self, gateway: Any, listen: Any, _ssl_creds: tuple[str, str] | None = None) -> None:
        """Serve the gateway; called by LocalStack while it starts."""
        for address in listen:
            endpoint = endpoints.TCP4ServerEndpoint(reactor, address.port, interface=address.host)
            endpoint.listen(TwistedGateway(gateway))
