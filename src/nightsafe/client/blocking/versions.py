# Made from aio/versions.py by tools/generate_client.py: edit that one.
"""`client.workers.scripts.versions`: the versions of a script."""

from collections.abc import Sequence
from functools import cached_property, partial
from typing import Literal, Unpack

from nightsafe.client import calls
from nightsafe.client.blocking.base import Resource
from nightsafe.client.blocking.listing import listing
from nightsafe.client.blocking.page import ItemsPage
from nightsafe.client.blocking.response import raw
from nightsafe.client.call import ScriptLocation, without_omitted
from nightsafe.client.form import File
from nightsafe.client.model import Version
from nightsafe.client.not_given import Omit, RequestOptions, omit
from nightsafe.client.params import Metadata


class Versions(Resource):
    """The versions of a script."""

    @cached_property
    def with_raw_response(self) -> "VersionsWithRawResponse":
        """Return the same methods, but with whole answers as results."""
        return VersionsWithRawResponse(Versions(self._raw_sender()))

    def create(
        self,
        script_name: str,
        *,
        account_id: str,
        metadata: Metadata,
        bindings_inherit: Literal["strict"] | Omit = omit,
        files: Sequence[File] | Omit = omit,
        **options: Unpack[RequestOptions],
    ) -> Version:
        """Upload a version without deploying it.

        Args:
            script_name: the script.
            account_id: 32 hex digits.
            metadata: the name of the main file (`main_module` or `body_part`), bindings and settings.
            bindings_inherit: with "strict", a binding that cannot be inherited is an error.
            files: the modules, each as bytes, path or open file, or as `(name, content, media type)`.
            options: extra headers, query and metadata, and a timeout for this request.

        Raises:
            ScriptNotFoundError: the script does not exist.
            BadRequestError: the upload is faulty; `errors` gives the reasons.
            APIError: for any other reason.
        """
        location = ScriptLocation(account_id, script_name)
        upload = calls.Upload(metadata, bindings_inherit, () if isinstance(files, Omit) else files)
        return self._sender.send_sealed(location, partial(calls.upload_version, location, upload, options))

    def list(
        self,
        script_name: str,
        *,
        account_id: str,
        deployable: bool | Omit = omit,
        page: int | Omit = omit,
        per_page: int | Omit = omit,
        **options: Unpack[RequestOptions],
    ) -> ItemsPage[Version]:
        """List the versions of a script, newest first.

        Args:
            script_name: the script.
            account_id: 32 hex digits.
            deployable: list only versions that can be deployed.
            page: the number of the page, from 1.
            per_page: the number of items on a page.
            options: extra headers and query, and a timeout for this request.
        """
        query = without_omitted(deployable=deployable, page=page, per_page=per_page)
        call = calls.list_versions(ScriptLocation(account_id, script_name), query, options)
        return listing(self._sender, call, ItemsPage)

    def get(
        self, version_id: str, *, account_id: str, script_name: str, **options: Unpack[RequestOptions]
    ) -> Version:
        """Return one version with its bindings, code and settings.

        Raises:
            ScriptNotFoundError: the script does not exist.
            NotFoundError: the script does not have this version.
            APIError: for any other reason.
        """
        return self._sender.send(calls.get_version(ScriptLocation(account_id, script_name), version_id, options))


class VersionsWithRawResponse:
    """`Versions` with whole answers as results.

    Args:
        versions: the resource, with a sender that returns whole answers.
    """

    def __init__(self, versions: Versions) -> None:
        self.create = raw(versions.create)
        self.list = raw(versions.list)
        self.get = raw(versions.get)
