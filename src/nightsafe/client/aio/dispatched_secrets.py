# Made from aio/secrets.py by tools/generate_client.py: edit that one.
"""`client.workers_for_platforms.dispatch.namespaces.scripts.secrets`: the secrets of a script in a namespace."""

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import Any, Literal, Unpack, overload

from nightsafe.client import calls
from nightsafe.client.aio.base import AsyncResource
from nightsafe.client.aio.listing import AsyncPaginator, listing
from nightsafe.client.aio.page import AsyncSinglePage
from nightsafe.client.aio.response import raw
from nightsafe.client.call import location_in_namespace, without_omitted
from nightsafe.client.model import KeyFormat, Secret, Usage
from nightsafe.client.not_given import Omit, RequestOptions, omit
from nightsafe.client.params import SecretParam


class AsyncDispatchedSecrets(AsyncResource):
    """The secret bindings of a script in a dispatch namespace. No method returns a value."""

    @cached_property
    def with_raw_response(self) -> "AsyncDispatchedSecretsWithRawResponse":
        """Return the same methods, but with whole answers as results."""
        return AsyncDispatchedSecretsWithRawResponse(AsyncDispatchedSecrets(self._raw_sender()))

    @overload
    async def update(
        self,
        script_name: str,
        *,
        account_id: str,
        dispatch_namespace: str,
        name: str,
        text: str,
        type: Literal["secret_text"],
        **options: Unpack[RequestOptions],
    ) -> Secret: ...

    @overload
    async def update(
        self,
        script_name: str,
        *,
        account_id: str,
        dispatch_namespace: str,
        algorithm: object,
        format: KeyFormat,
        name: str,
        type: Literal["secret_key"],
        usages: Sequence[Usage],
        key_base64: str | Omit = omit,
        key_jwk: object | Omit = omit,
        **options: Unpack[RequestOptions],
    ) -> Secret: ...

    async def update(
        self,
        script_name: str,
        *,
        account_id: str,
        dispatch_namespace: str,
        name: str,
        type: Literal["secret_text", "secret_key"],
        text: str | Omit = omit,
        algorithm: object | Omit = omit,
        format: KeyFormat | Omit = omit,
        usages: Sequence[Usage] | Omit = omit,
        key_base64: str | Omit = omit,
        key_jwk: object | Omit = omit,
        **options: Unpack[RequestOptions],
    ) -> Secret:
        """Create or replace one secret. This makes a new version of the script and deploys it.

        Args:
            script_name: the script.
            account_id: 32 hex digits.
            dispatch_namespace: the namespace of the script.
            name: the name of the secret in `env`.
            type: `secret_text` or `secret_key`.
            text: the value of a `secret_text`, at most 5 KB.
            algorithm: the algorithm of a key, as `crypto.subtle.importKey` accepts it.
            format: the format of a key: `raw`, `pkcs8`, `spki` or `jwk`.
            usages: the operations that the script may do with a key.
            key_base64: a key in `raw`, `pkcs8` or `spki`.
            key_jwk: a key in `jwk`.
            options: extra headers, query and body, and a timeout for this request.

        Raises:
            ScriptNotFoundError: the script does not exist.
            NameTakenError: a binding of another kind has this name.
            APIError: for any other reason.
        """
        fields = without_omitted(
            name=name,
            text=text,
            type=type,
            algorithm=algorithm,
            format=format,
            usages=usages,
            key_base64=key_base64,
            key_jwk=key_jwk,
        )
        location = location_in_namespace(account_id, dispatch_namespace, script_name)
        return await self._sender.send_sealed(location, partial(calls.put_secret, location, fields, options))

    def list(
        self, script_name: str, *, account_id: str, dispatch_namespace: str, **options: Unpack[RequestOptions]
    ) -> AsyncPaginator[AsyncSinglePage[Secret], Secret]:
        """List the secrets of a script, sorted by name.

        Raises:
            ScriptNotFoundError: the script does not exist.
            APIError: for any other reason.
        """
        return listing(
            self._sender,
            calls.list_secrets(location_in_namespace(account_id, dispatch_namespace, script_name), options),
            AsyncSinglePage,
        )

    async def get(
        self,
        secret_name: str,
        *,
        account_id: str,
        dispatch_namespace: str,
        script_name: str,
        url_encoded: bool | Omit = omit,
        **options: Unpack[RequestOptions],
    ) -> Secret:
        """Return the name and kind of a secret. A result means that the secret exists.

        Args:
            secret_name: any name. The client encodes it once.
            account_id: 32 hex digits.
            dispatch_namespace: the namespace of the script.
            script_name: the script.
            url_encoded: a query parameter for the server. It does not change the encoding.
            options: extra headers and query, and a timeout for this request.

        Raises:
            ScriptNotFoundError: the script does not exist.
            SecretNotFoundError: the script does not have this secret.
            APIError: for any other reason.
        """
        location = location_in_namespace(account_id, dispatch_namespace, script_name)
        return await self._sender.send(
            calls.get_secret(location, secret_name, without_omitted(url_encoded=url_encoded), options)
        )

    async def delete(
        self,
        secret_name: str,
        *,
        account_id: str,
        dispatch_namespace: str,
        script_name: str,
        url_encoded: bool | Omit = omit,
        **options: Unpack[RequestOptions],
    ) -> None:
        """Remove one secret. This makes a new version of the script and deploys it.

        Raises:
            ScriptNotFoundError: the script does not exist.
            SecretNotFoundError: the script does not have this secret.
            APIError: for any other reason.
        """
        location = location_in_namespace(account_id, dispatch_namespace, script_name)
        await self._sender.send(
            calls.delete_secret(location, secret_name, without_omitted(url_encoded=url_encoded), options)
        )

    async def bulk_update(
        self,
        script_name: str,
        *,
        account_id: str,
        dispatch_namespace: str,
        secrets: Mapping[str, SecretParam | None] | Omit = omit,
        version_tags: Mapping[str, Any] | Omit = omit,
        **options: Unpack[RequestOptions],
    ) -> dict[str, Secret]:
        """Set and remove several secrets in one version. Either all changes take effect, or none.

        Args:
            script_name: the script.
            account_id: 32 hex digits.
            dispatch_namespace: the namespace of the script.
            secrets: by name: a secret to set, or None to remove it. Other secrets stay.
            version_tags: tags for the new version.
            options: extra headers, query and body, and a timeout for this request.

        Raises:
            ScriptNotFoundError: the script does not exist.
            APIError: for any other reason; `errors` names each faulty secret.
        """
        fields = without_omitted(secrets=secrets, version_tags=version_tags)
        location = location_in_namespace(account_id, dispatch_namespace, script_name)
        return await self._sender.send_sealed(location, partial(calls.patch_secrets, location, fields, options))


class AsyncDispatchedSecretsWithRawResponse:
    """`AsyncDispatchedSecrets` with whole answers as results.

    Args:
        secrets: the resource, with a sender that returns whole answers.
    """

    def __init__(self, secrets: AsyncDispatchedSecrets) -> None:
        self.update = raw(secrets.update)
        self.list = raw(secrets.list)
        self.get = raw(secrets.get)
        self.delete = raw(secrets.delete)
        self.bulk_update = raw(secrets.bulk_update)
