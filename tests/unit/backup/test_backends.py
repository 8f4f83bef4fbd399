"""URLs of targets: how each is passed to restic, and which are refused."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from ecs_appliance.backup.backends import Backend, plan_backend, plan_remote
from ecs_appliance.core.errors import RefusedError
from ecs_appliance.env.model import Backup

FOLDER = Path("/run/appliance/backup-target-1")
KEYS = {"user": "AKIA", "secret": SecretStr("s/e+c=ret")}  # protects nothing


def plan(url: str, **values: Any) -> Backend:
    # Unvalidated: the contents of keys and certificates do not matter here.
    backup = Backup().model_copy(update={"url": SecretStr(url), **values})
    return plan_backend(backup, FOLDER, lambda secret: f"obscured({secret})")


def test_a_file_url_is_a_folder() -> None:
    assert plan("file:///volatile/ecs-backup-test/") == Backend("/volatile/ecs-backup-test/")
    assert plan("file:///mnt/a%20b").location == "/mnt/a b"


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("sftp://user@host:2222/folder/a", "sftp://user@host:2222/folder/a"),
        ("scp://user@host//srv/backup", "sftp://user@host//srv/backup"),
    ],
)
def test_an_sftp_url_has_a_folder_of_the_user_or_an_absolute_one(url: str, location: str) -> None:
    assert plan(url, host_keys=("ssh-ed25519 AAAA",)).location == location


def test_an_sftp_server_is_only_known_by_its_keys() -> None:
    with pytest.raises(RefusedError, match="the sftp server's host keys are not configured"):
        plan("sftp://user@host:2222/folder")
    store = plan("sftp://user@host:2222/folder", host_keys=("ssh-ed25519 AAAA",), ssh_key=SecretStr("a key"))
    assert store.files == {"known_hosts": "[host]:2222 ssh-ed25519 AAAA\n", "key": "a key\n"}
    assert f"-oIdentityFile={FOLDER}/key" in store.options[1].split()
    assert "-oStrictHostKeyChecking=yes" in store.options[1]


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("s3://host:9000/bucket/folder/", "s3:https://host:9000/bucket/folder"),
        ("s3:https://host/bucket", "s3:https://host/bucket"),
        ("s3:http://[::1]:9000/bucket/a/b", "s3:http://[::1]:9000/bucket/a/b"),
        ("S3://host/bucket", "s3:https://host/bucket"),
    ],
)
def test_an_s3_url_has_a_bucket_and_perhaps_a_folder(url: str, location: str) -> None:
    store = plan(url, **KEYS)
    assert store.location == location
    assert store.files == {"s3": "[default]\naws_access_key_id = AKIA\naws_secret_access_key = s/e+c=ret\n"}
    assert store.environment == {"AWS_SHARED_CREDENTIALS_FILE": f"{FOLDER}/s3"}


def test_an_s3_url_may_hold_the_keys_itself_and_keys_of_env_go_before() -> None:
    assert "= s/ret\n" in plan("s3://AKIA:s%2Fret@host/bucket").files["s3"]
    assert "= s/e+c=ret\n" in plan("s3://other:word@host/bucket", **KEYS).files["s3"]
    assert plan("s3://host/bucket", region="eu-1", **KEYS).options[-2:] == ("-o", "s3.region=eu-1")


@pytest.mark.parametrize(
    ("url", "location", "opening"),
    [
        ("rest:https://host:8000/a/b/", "rest:https://host:8000/a/b/", ""),
        ("rest://host", "rest:https://host/", ""),
        ("rest:https://me:w%40rd@host/a", "rest:https://host/a", "rest:https://me:w%40rd@host/a"),
        ("rest:http://me:word@127.0.0.1:8000/", "rest:http://127.0.0.1:8000/", "rest:http://me:word@127.0.0.1:8000/"),
    ],
)
def test_a_rest_url_shows_its_secrets_only_in_a_file(url: str, location: str, opening: str) -> None:
    store = plan(url)
    assert (store.location, store.opening) == (location, opening)
    assert store.environment == store.files == {}


def test_user_and_secret_of_a_rest_server_are_quoted() -> None:
    assert plan("rest:https://host/", **KEYS).opening == "rest:https://AKIA:s%2Fe%2Bc%3Dret@host/"


@pytest.mark.parametrize(
    ("url", "above", "location"),
    [
        ("webdavs://me:word@host/dav/of%20me/ecs/", "https://host/dav/of%20me", "rclone:target:ecs"),
        ("webdav://me:word@host:8080/a%20b", "http://host:8080", "rclone:target:a b"),
        ("webdav:https://me:word@host/ecs", "https://host", "rclone:target:ecs"),
    ],
)
def test_webdav_goes_by_rclone(url: str, above: str, location: str) -> None:
    store = plan(url)
    assert store.location == location
    assert store.files["rclone.conf"].splitlines() == [
        "[target]", "type = webdav", "vendor = other", f"url = {above}", "user = me", "pass = obscured(word)",
    ]  # fmt: skip
    assert store.environment["RCLONE_CONFIG"] == f"{FOLDER}/rclone.conf"


def test_other_servers_go_by_a_configuration_of_rclones() -> None:
    text = "[nas]\ntype = smb\n"
    store = plan("rclone:nas:share/ecs", rclone=SecretStr(text))
    assert (store.location, store.files) == ("rclone:nas:share/ecs", {"rclone.conf": text})
    with pytest.raises(RefusedError, match=r"has no section \[other\]"):
        plan("rclone:other:share", rclone=SecretStr(text))


def test_s3_goes_by_rclone_where_restic_is_not_the_one_to_read() -> None:
    url = SecretStr("s3://host:9000/bucket/a%20b")
    backup = Backup().model_copy(update={"url": url, "region": "eu", "authority": "the CA", **KEYS})
    store = plan_remote(backup, FOLDER, str.upper)
    assert store is not None
    assert store.location == "rclone:target:bucket/a b"
    assert {
        "endpoint = https://host:9000",
        "access_key_id = AKIA",
        "secret_access_key = s/e+c=ret",
        "region = eu",
    } < set(store.files["rclone.conf"].splitlines())
    assert store.environment["RCLONE_CA_CERT"] == f"{FOLDER}/authority.pem"
    assert plan_remote(backup.model_copy(update={"url": SecretStr("rest://host/a")}), FOLDER, str.upper) is None


def test_an_authority_of_ones_own_is_told_to_whoever_speaks_tls() -> None:
    file = str(FOLDER / "authority.pem")
    assert plan("s3://host/bucket", authority="a CA", **KEYS).options[-2:] == ("--cacert", file)
    assert plan("rest://host/", authority="a CA").options == ("--cacert", file)
    assert plan("webdavs://host/a", authority="a CA").environment["RCLONE_CA_CERT"] == file
    assert plan("webdavs://host/a", authority="a CA").files["authority.pem"] == "a CA"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("file://host/folder", "a file: URL needs an absolute path"),
        ("file:relative", "a file: URL needs an absolute path"),
        ("sftp://user:word@host/folder", "an sftp: URL must not contain a password"),
        ("sftp://user@host", "a host and a folder"),
        ("s3://host", "a host, a bucket"),
        ("s3:///bucket/folder", "s3: URLs need a host"),
        ("s3+http://bucket/folder", r"s3\+http: URLs are not supported"),
        ("s3://host/bucket", "needs an access key"),
        ("s3://host/bucket?a=b", "nothing after it"),
        ("s3://host/bucket/../other", "nothing after it"),
        ("rest:host/folder", "rest: URLs need a host"),
        ("rest:ftp://host/folder", "rest: URLs need a host"),
        ("webdavs://host", "a webdav: URL needs a host and a folder"),
        ("rclone:folder", "an rclone: URL needs a remote"),
        ("ftp://host/folder", "ftp: URLs are not supported for backups"),
    ],
)
def test_what_cannot_be_a_target_is_refused(url: str, reason: str) -> None:
    with pytest.raises(RefusedError, match=reason):
        plan(url)


def test_no_secret_shows_in_what_is_printed_of_a_store() -> None:
    for store in (plan("s3://host/b", **KEYS), plan("rest://host/", **KEYS), plan("webdavs://host/a", **KEYS)):
        assert "s/e+c" not in repr(store)
        assert "s%2Fe" not in repr(store)
