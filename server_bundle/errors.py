"""Why a server of ours is not there. The whole tree is drawn in `ktclient.errors`."""

from __future__ import annotations

from jobs.errors import KtjobError


class NoServer(KtjobError):
    """No server can do the work now."""

    cause = "no_server"


class EmbeddedNotInstalled(NoServer):
    """The `embedded` extra is not installed."""

    cause = "embedded_not_installed"


class WeightsUnavailable(NoServer):
    """The embedded model's weights could not be fetched, or are not what they should be."""

    cause = "weights_unavailable"


class ServerDidNotStart(NoServer):
    """The server process ended, or said nothing, before it was ready."""

    cause = "server_did_not_start"


class StillStarting(KtjobError):
    """The server takes longer to start than was to be waited for. It goes on."""

    cause = "still_starting"


class AnotherServer(KtjobError):
    """The name or the port belongs to a server that runs already, with other settings."""

    cause = "another_server"


class ServerInUse(KtjobError):
    """Jobs of ours run on the server that was to be stopped."""

    cause = "server_in_use"


class NoSuchProfile(KtjobError):
    """No profile has this name."""

    cause = "no_such_profile"


class PlanRefused(KtjobError):
    """What was asked for contradicts itself, or would not run. Nothing was started."""

    cause = "plan_refused"
