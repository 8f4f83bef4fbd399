"""Debian packages of the machine, by the state that installs them."""

COMMON = (
    "apparmor",
    "bash-completion",
    "ca-certificates",
    "cron",
    "curl",
    "git",
    "gnupg",
    "gnupg1",
    "gosu",
    "jq",
    "less",
    "locales",
    "mmdebstrap",
    "nftables",
    "openssh-server",
    "openssl",
    "python3-venv",
    "rsync",
    "sudo",
    "tzdata",
    "unattended-upgrades",
)
DOCKER = ("docker-buildx", "docker-cli", "docker-compose", "docker.io", "iptables")
POSTGRESQL = ("postgresql-17", "postgresql-client-17")
NGINX = ("nginx-light",)
ACME = ("dehydrated",)
BACKUP = ("fuse3", "pgbackrest", "restic")
# Only for targets that need it.
RCLONE = ("rclone",)
