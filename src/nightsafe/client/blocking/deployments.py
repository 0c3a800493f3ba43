# Made from aio/deployments.py by tools/unasync.py: edit that one.
"""`client.workers.scripts.deployments`."""

import datetime as dt
from collections.abc import Iterable
from functools import cached_property
from typing import Literal, Unpack

from nightsafe.client import calls
from nightsafe.client.blocking.listing import listing
from nightsafe.client.blocking.page import ItemsPage
from nightsafe.client.blocking.response import raw
from nightsafe.client.blocking.sender import RawSender, Sender
from nightsafe.client.call import Place, given
from nightsafe.client.model import Deployment
from nightsafe.client.not_given import Omit, RequestOptions, omit
from nightsafe.client.params import AnnotationsParam, DeployedVersionParam


class Deployments:
    """Which versions of a script are served.

    Args:
        sender: what sends.
    """

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    @cached_property
    def with_raw_response(self) -> "DeploymentsWithRawResponse":
        """The same calls, with the answers as they came."""
        sender = self._sender
        return DeploymentsWithRawResponse(Deployments(RawSender(sender.settings, sender.transport, sender.rings)))

    def create(
        self,
        script_name: str,
        *,
        account_id: str,
        strategy: Literal["percentage"],
        versions: Iterable[DeployedVersionParam],
        force: bool | Omit = omit,
        annotations: AnnotationsParam | Omit = omit,
        **options: Unpack[RequestOptions],
    ) -> Deployment:
        """Serve one version, or share the traffic between two.

        Args:
            script_name: the script.
            account_id: 32 hex digits.
            strategy: always "percentage".
            versions: one or two, whose percentages make 100.
            force: also when secrets have changed since the version was served.
            annotations: a note, as `workers/message`.
            options: extra headers, query and body, and a timeout for this request.

        Raises:
            ScriptNotFoundError: there is no such script.
            BadRequestError: it is refused; `errors` says why.
            APIError: for any other reason.
        """
        place = Place(account_id, script_name)
        call = calls.create_deployment(place, strategy, versions, given(force=force), annotations, options)
        return self._sender.send(call)

    def list(
        self,
        script_name: str,
        *,
        account_id: str,
        page: int | Omit = omit,
        per_page: int | Omit = omit,
        since: str | dt.datetime | Omit = omit,
        until: str | dt.datetime | Omit = omit,
        **options: Unpack[RequestOptions],
    ) -> ItemsPage[Deployment]:
        """The deployments of a script; the first is the one that is served.

        Args:
            script_name: the script.
            account_id: 32 hex digits.
            page: which page, from 1.
            per_page: how many on a page.
            since: none that was made before.
            until: none that was made after.
            options: extra headers and query, and a timeout for this request.
        """
        query = given(page=page, per_page=per_page, since=since, until=until)
        call = calls.list_deployments(Place(account_id, script_name), query, options)
        return listing(self._sender, call, ItemsPage)

    def get(
        self, deployment_id: str, *, account_id: str, script_name: str, **options: Unpack[RequestOptions]
    ) -> Deployment:
        """One deployment.

        Raises:
            ScriptNotFoundError: there is no such script.
            NotFoundError: it has no such deployment.
            APIError: for any other reason.
        """
        place = Place(account_id, script_name)
        return self._sender.send(calls.get_deployment(place, deployment_id, options))


class DeploymentsWithRawResponse:
    """`Deployments` with the answers as they came.

    Args:
        deployments: one that sends raw.
    """

    def __init__(self, deployments: Deployments) -> None:
        self.create = raw(deployments.create)
        self.list = raw(deployments.list)
        self.get = raw(deployments.get)
