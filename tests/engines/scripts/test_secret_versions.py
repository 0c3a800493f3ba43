"""Secret versions: the last version that gave each secret its value, not versions that only kept it."""

import json

import msgspec
from tests.engines.tools.changes import REF, dropping, plain, secret, setting, upload

from nightsafe.store.changes import Change
from nightsafe.store.interface import Store
from nightsafe.store.references import SecretVersion
from nightsafe.store.scripts import ScriptRef


def tagged(edit: Change, tag: str) -> tuple[Change, SecretVersion]:
    """Return a change whose version has a tag, and the expected entry of a secret `A` that it sets."""
    assert edit.edit is not None
    assert edit.edit.stamp is not None
    annotations = json.dumps({"version_tags": {"tag": tag}}).encode()
    made = msgspec.structs.replace(edit.edit.stamp, annotations=annotations)
    change = msgspec.structs.replace(edit, edit=msgspec.structs.replace(edit.edit, stamp=made))
    return change, SecretVersion("A", made.version_id, annotations, change.at, made.author_email, made.source)


async def test_the_last_write_is_the_version_of_a_secret(store: Store) -> None:
    """Each write of a name changes its version; writes of other names and uploads that keep it do not."""
    await store.commit(upload(plain("PLAIN")))
    assert [] == await store.secret_versions(REF)

    first, by_first = tagged(setting(secret("A"), secret("B")), "first")
    await store.commit(first)
    assert [by_first, msgspec.structs.replace(by_first, name="B")] == await store.secret_versions(REF)

    other, by_other = tagged(setting(secret("B")), "other")
    await store.commit(other)
    await store.commit(upload(plain("NEW"), keep=("secret_text", "secret_key"), bodies=(b"other code",)))
    assert [by_first, msgspec.structs.replace(by_other, name="B")] == await store.secret_versions(REF)

    again, by_again = tagged(setting(secret("A", "secret_key")), "again")
    await store.commit(again)
    await store.commit(dropping("B"))
    assert [by_again] == await store.secret_versions(REF)


async def test_an_upload_is_the_version_of_its_secrets(store: Store) -> None:
    """An upload with values is the version of the secrets that it brings."""
    await store.commit(upload(secret("A")))
    brings, by_upload = tagged(upload(secret("A")), "upload")
    await store.commit(brings)

    assert [by_upload] == await store.secret_versions(REF)


async def test_each_script_has_its_own_secret_versions(store: Store) -> None:
    """Scripts of other accounts and names do not mix; an absent script has no entries."""
    refs = [REF, ScriptRef("b" * 32, "worker"), ScriptRef(REF.account_id, "other")]
    made = []
    for ref in refs:
        change, origin = tagged(upload(secret("A"), ref=ref), ref.name + ref.account_id)
        await store.commit(change)
        made.append([origin])

    assert made == [await store.secret_versions(ref) for ref in refs]
    assert [] == await store.secret_versions(ScriptRef(REF.account_id, "absent"))
