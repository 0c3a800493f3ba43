# Made from aio/deployments.py by tools/generate_client.py: edit that one.
"""`client.workers.scripts.deployments`: the deployments of a script."""

import datetime as dt
from collections.abc import Iterable
from functools import cached_property
from typing import Literal, Unpack

from nightsafe.client import calls
from nightsafe.client.blocking.base import Resource
from nightsafe.client.blocking.listing import listing
from nightsafe.client.blocking.page import ItemsPage
from nightsafe.client.blocking.response import raw
from nightsafe.client.call import ScriptLocation, without_omitted
from nightsafe.client.model import Deployment
from nightsafe.client.not_given import Omit, RequestOptions, omit
from nightsafe.client.params import AnnotationsParam, DeployedVersionParam


class Deployments(Resource):
    """The deployments of a script: the versions that are served."""

    @cached_property
    def with_raw_response(self) -> "DeploymentsWithRawResponse":
        """Return the same methods, but with whole answers as results."""
        return DeploymentsWithRawResponse(Deployments(self._raw_sender()))

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
            versions: one or two versions. Their percentages must sum to 100.
            force: whether to deploy even if secrets have changed since the version was served.
            annotations: notes, such as `workers/message`.
            options: extra headers, query and body, and a timeout for this request.

        Raises:
            ScriptNotFoundError: the script does not exist.
            BadRequestError: the deployment is refused; `errors` gives the reasons.
            APIError: for any other reason.
        """
        location = ScriptLocation(account_id, script_name)
        call = calls.create_deployment(
            location, strategy, versions, without_omitted(force=force), annotations, options
        )
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
        """List the deployments of a script. The first one is served.

        Args:
            script_name: the script.
            account_id: 32 hex digits.
            page: the number of the page, from 1.
            per_page: the number of items on a page.
            since: leave out deployments made before this time.
            until: leave out deployments made after this time.
            options: extra headers and query, and a timeout for this request.
        """
        query = without_omitted(page=page, per_page=per_page, since=since, until=until)
        call = calls.list_deployments(ScriptLocation(account_id, script_name), query, options)
        return listing(self._sender, call, ItemsPage)

    def get(
        self, deployment_id: str, *, account_id: str, script_name: str, **options: Unpack[RequestOptions]
    ) -> Deployment:
        """Return one deployment.

        Raises:
            ScriptNotFoundError: the script does not exist.
            NotFoundError: the script does not have this deployment.
            APIError: for any other reason.
        """
        location = ScriptLocation(account_id, script_name)
        return self._sender.send(calls.get_deployment(location, deployment_id, options))


class DeploymentsWithRawResponse:
    """`Deployments` with whole answers as results.

    Args:
        deployments: the resource, with a sender that returns whole answers.
    """

    def __init__(self, deployments: Deployments) -> None:
        self.create = raw(deployments.create)
        self.list = raw(deployments.list)
        self.get = raw(deployments.get)
