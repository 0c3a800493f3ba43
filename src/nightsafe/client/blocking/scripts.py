# Made from aio/scripts.py by tools/generate_client.py: edit that one.
"""`client.workers.scripts`: the Workers of an account."""

from collections.abc import Sequence
from functools import cached_property, partial
from typing import Literal, Unpack

from nightsafe.client import calls
from nightsafe.client.blocking.base import Resource
from nightsafe.client.blocking.deployments import Deployments
from nightsafe.client.blocking.listing import listing
from nightsafe.client.blocking.page import SinglePage
from nightsafe.client.blocking.response import raw
from nightsafe.client.blocking.secrets import Secrets
from nightsafe.client.blocking.versions import Versions
from nightsafe.client.call import ScriptLocation
from nightsafe.client.form import File
from nightsafe.client.model import Script
from nightsafe.client.not_given import Omit, RequestOptions, omit
from nightsafe.client.params import Metadata


class Scripts(Resource):
    """The Workers of an account."""

    @cached_property
    def secrets(self) -> Secrets:
        """Return their secret bindings."""
        return Secrets(self._sender)

    @cached_property
    def versions(self) -> Versions:
        """Return their versions."""
        return Versions(self._sender)

    @cached_property
    def deployments(self) -> Deployments:
        """Return their deployments."""
        return Deployments(self._sender)

    @cached_property
    def with_raw_response(self) -> "ScriptsWithRawResponse":
        """Return the same methods, but with whole answers as results."""
        return ScriptsWithRawResponse(Scripts(self._raw_sender()))

    def update(
        self,
        script_name: str,
        *,
        account_id: str,
        metadata: Metadata,
        bindings_inherit: Literal["strict"] | Omit = omit,
        files: Sequence[File] | Omit = omit,
        **options: Unpack[RequestOptions],
    ) -> Script:
        """Upload a script and deploy it.

        Args:
            script_name: the name of the script.
            account_id: 32 hex digits.
            metadata: the name of the main file (`main_module` or `body_part`), bindings and settings.
            bindings_inherit: with "strict", a binding that cannot be inherited is an error.
            files: the modules, each as bytes, path or open file, or as `(name, content, media type)`.
            options: extra headers, query and metadata, and a timeout for this request.

        Raises:
            BadRequestError: the upload is faulty; `errors` gives the reasons.
            APIError: for any other reason.
        """
        location = ScriptLocation(account_id, script_name)
        upload = calls.Upload(metadata, bindings_inherit, () if isinstance(files, Omit) else files)
        return self._sender.send_sealed(location, partial(calls.upload_script, location, upload, options))

    def list(
        self, *, account_id: str, tags: str | Omit = omit, **options: Unpack[RequestOptions]
    ) -> SinglePage[Script]:
        """List the scripts of an account.

        Args:
            account_id: 32 hex digits.
            tags: list only scripts with or without certain tags, such as `production:yes,staging:no`.
            options: extra headers and query, and a timeout for this request.
        """
        return listing(self._sender, calls.list_scripts(account_id, tags, options), SinglePage)

    def get(self, script_name: str, *, account_id: str, **options: Unpack[RequestOptions]) -> str:
        """Return a script's code: a single module as it is, several as a form.

        Raises:
            ScriptNotFoundError: the script does not exist.
            APIError: for any other reason.
        """
        return self._sender.send(calls.get_script(ScriptLocation(account_id, script_name), options))

    def delete(
        self, script_name: str, *, account_id: str, force: bool | Omit = omit, **options: Unpack[RequestOptions]
    ) -> None:
        """Remove a script with its versions and secrets.

        Raises:
            ScriptNotFoundError: the script does not exist.
            APIError: for any other reason.
        """
        self._sender.send(calls.delete_script(ScriptLocation(account_id, script_name), {"force": force}, options))


class ScriptsWithRawResponse:
    """`Scripts` with whole answers as results.

    Args:
        scripts: the resource, with a sender that returns whole answers.
    """

    def __init__(self, scripts: Scripts) -> None:
        self.update = raw(scripts.update)
        self.list = raw(scripts.list)
        self.get = raw(scripts.get)
        self.delete = raw(scripts.delete)
        self.secrets = scripts.secrets.with_raw_response
        self.versions = scripts.versions.with_raw_response
        self.deployments = scripts.deployments.with_raw_response
