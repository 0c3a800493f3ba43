"""Uses of the client, for type checkers alone: nothing here is run."""

from typing import assert_type

from nightsafe.client import (
    Account,
    APIResponse,
    ArrayPage,
    AsyncAPIResponse,
    AsyncNightsafe,
    AsyncSinglePage,
    Deployment,
    ItemsPage,
    Nightsafe,
    NotFoundError,
    Script,
    Secret,
    SecretKey,
    SecretText,
    SinglePage,
    TokenStatus,
    Version,
)


def secrets(client: Nightsafe) -> None:
    """Results are typed, and a secret's kind is known from its `type` or its class."""
    of = client.workers.scripts.secrets
    secret = of.get("S", account_id="a", script_name="s", url_encoded=True, timeout=3)
    assert_type(secret, Secret)
    if secret.type == "secret_key":
        assert_type(secret, SecretKey)
    else:
        assert_type(secret, SecretText)
    match secret:
        case SecretText(name=name):
            assert_type(name, str)
        case SecretKey(usages=usages):
            assert_type(usages[0] == "sign", bool)
    assert_type(of.update("s", account_id="a", name="S", text="x", type="secret_text"), Secret)
    of.update("s", account_id="a", name="K", type="secret_key", algorithm="HMAC", format="raw", usages=["sign"])
    of.update("s", account_id="a", name="K", type="secret_key", text="x")  # type: ignore[call-overload]
    of.update("s", account_id="a", name="K", type="none", text="x")  # type: ignore[call-overload]
    assert_type(of.list("s", account_id="a"), SinglePage[Secret])
    assert_type([secret.name for secret in of.list("s", account_id="a")], list[str])
    assert_type(of.bulk_update("s", account_id="a", secrets={"A": None}), dict[str, Secret])
    of.bulk_update("s", account_id="a", secrets={"A": {"name": "A", "type": "secret_text", "text": "x"}})
    in_namespace = client.workers_for_platforms.dispatch.namespaces.scripts.secrets
    assert_type(in_namespace.get("S", account_id="a", dispatch_namespace="n", script_name="s"), Secret)


def others(client: Nightsafe) -> None:
    """The other resources are typed too."""
    scripts = client.workers.scripts
    files = [("worker.js", b"export default {}", "application/javascript+module")]
    assert_type(scripts.update("s", account_id="a", metadata={"main_module": "worker.js"}, files=files), Script)
    assert_type(scripts.versions.list("s", account_id="a"), ItemsPage[Version])
    served = scripts.deployments.create(
        "s", account_id="a", strategy="percentage", versions=[{"version_id": "v", "percentage": 100}]
    )
    assert_type(served, Deployment)
    assert_type(client.accounts.list(), ArrayPage[Account])
    assert_type(client.user.tokens.verify(), TokenStatus)
    assert_type(client.with_options(timeout=None, max_retries=0, seal=False), Nightsafe)


def raw(client: Nightsafe) -> None:
    """A raw response knows the type that it parses to."""
    of = client.workers.scripts.secrets.with_raw_response
    answer = of.get("S", account_id="a", script_name="s")
    assert_type(answer, APIResponse[Secret])
    assert_type(answer.parse(), Secret)
    assert_type(of.list("s", account_id="a").parse(), SinglePage[Secret])
    of.get("S", account="a")  # type: ignore[call-arg]


async def asynchronous(client: AsyncNightsafe) -> None:
    """The asynchronous client has the same types, to be awaited."""
    of = client.workers.scripts.secrets
    assert_type(await of.get("S", account_id="a", script_name="s"), Secret)
    assert_type(await of.list("s", account_id="a"), AsyncSinglePage[Secret])
    async for listed in of.list("s", account_id="a"):
        assert_type(listed, Secret)
    answer = await of.with_raw_response.get("S", account_id="a", script_name="s")
    assert_type(answer, AsyncAPIResponse[Secret])
    assert_type(await answer.parse(), Secret)
    async with client as entered:
        assert_type(entered, AsyncNightsafe)


def refused(error: NotFoundError) -> None:
    """An error says what is wrong, and where."""
    assert_type(error.errors[0].code, int)
    assert_type(error.errors[0].pointer, str | None)
    assert_type(error.status_code, int)
