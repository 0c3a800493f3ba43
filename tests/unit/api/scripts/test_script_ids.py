"""Script IDs as other scripts' names: a script named like another's ID receives nothing meant for that one."""

from tests.unit.api.tools.driver import ACCOUNT, Api

HERE = f"/client/v4/accounts/{ACCOUNT}/workers"
SECRET = {"type": "secret_text", "name": "KEY", "text": "x"}
MERGE = (b"content-type", b"application/merge-patch+json")


def names_of(api: Api, script: str) -> list[str]:
    """Return the names of a script's secrets."""
    return [secret["name"] for secret in api.send("GET", f"{HERE}/scripts/{script}/secrets").result]


def test_a_script_id_wins_over_another_scripts_equal_name(own_api: Api) -> None:
    """Reads and writes by a script's ID reach that script, even if another script's name equals the ID."""
    api = own_api
    assert api.upload("mine").status == 200
    script_id = api.send("GET", f"{HERE}/workers/mine").result["id"]
    assert api.upload(script_id).status == 200
    at = f"{HERE}/workers/{script_id}"

    assert api.send("GET", at).result["name"] == "mine"
    patched = api.send(
        "PATCH", f"{at}/versions/latest", b'{"env":{"KEY":{"type":"secret_text","text":"x"}}}', [MERGE]
    )
    assert patched.status == 200
    assert api.json("PATCH", at, {"tags": ["meant for mine"]}).status == 200
    assert (
        api.json("PATCH", f"{at}/previews/main/deployments/latest", {"env": {"P": SECRET | {"name": "P"}}}).status
        == 200
    )
    assert [["KEY"], []] == [names_of(api, name) for name in ("mine", script_id)]
    assert [["meant for mine"], []] == [
        api.send("GET", f"{HERE}/scripts/{name}/script-settings").result.get("tags") or []
        for name in ("mine", script_id)
    ]
    [mine, other] = [
        api.send("GET", f"{HERE}/scripts/{name}/versions").result["items"] for name in ("mine", script_id)
    ]
    assert (2, 1) == (len(mine), len(other))
    assert api.send("DELETE", at).status == 200
    assert api.send("GET", f"{HERE}/scripts/{script_id}/settings").status == 200
    assert api.send("GET", at).result["name"] == script_id
