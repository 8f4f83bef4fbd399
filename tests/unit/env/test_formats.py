"""The formats of single values."""

from collections.abc import Callable

import pytest

from ecs_appliance.env import formats

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBmIyAfPkvbe5Wdne7OmyQVVTMStI0qbNjuFFOvIN0Qv"


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (formats.domain, "localhost"),
        (formats.domain, "ecs.example.org"),
        (formats.domain, "xn--klner-jua.example.org"),
        (formats.host_names, "ecs.example.org *.example.org 192.0.2.1 [2001:db8::1] intranet"),
        (formats.url, "s3:https://s3.example.org/bucket"),
        (formats.url, "sftp://user:word@host:22/folder"),
        (formats.url, ""),
        (formats.web_url, "https://key@sentry.example.org/1"),
        (formats.git_source, "https://git.example.org/ecs.git"),
        (formats.git_source, "git@git.example.org:ecs/ecs.git"),
        (formats.git_source, "/srv/ecs.git"),
        (formats.git_source, "file:///srv/ecs.git"),
        (formats.git_name, "feature/x-1.2"),
        (formats.git_name, "0123456789abcdef0123456789abcdef01234567"),
        (formats.database, "ecs_test"),
        (formats.absolute_path, "/etc/motd"),
        (formats.folder, ""),
        (formats.owner, "www-data:1000"),
        (formats.permissions, "0600"),
        (formats.package, "libstdc++6:amd64"),
        (formats.ssh_key, KEY),
        (formats.ssh_key, f'command="echo \\"a b\\"",no-pty {KEY} with a comment'),
    ],
)
def test_a_good_text_is_returned(rule: Callable[[str], str], text: str) -> None:
    assert rule(text) == text


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (formats.domain, "ecs.example.org."),
        (formats.domain, "-ecs.example.org"),
        (formats.domain, f"{'a' * 64}.example.org"),
        (formats.domain, ".".join(["a" * 60] * 5)),
        (formats.domain, "ecs.example.org\n"),
        (formats.host_names, "a;b"),
        (formats.url, "no url"),
        (formats.url, "http://host:port/"),
        (formats.web_url, "file:///etc/passwd"),
        (formats.git_source, "ext::sh"),
        (formats.git_source, "-oProxyCommand=x:y"),
        (formats.git_source, "https://host/$(reboot) x"),
        (formats.git_source, ""),
        (formats.git_name, "-x"),
        (formats.git_name, "a..b"),
        (formats.git_name, "a b"),
        (formats.git_name, "main.lock"),
        (formats.database, "1ecs"),
        (formats.database, ""),
        (formats.absolute_path, "/"),
        (formats.absolute_path, "/a/../b"),
        (formats.owner, "root"),
        (formats.owner, "root:root:root"),
        (formats.permissions, "9"),
        (formats.package, "-y"),
        (formats.package, "a b"),
        (formats.ssh_key, ""),
        (formats.ssh_key, f"{KEY[:-4]} cut"),
        (formats.ssh_key, f"{KEY}\n{KEY}"),
    ],
)
def test_a_bad_text_is_refused(rule: Callable[[str], str], text: str) -> None:
    with pytest.raises(ValueError):
        rule(text)
