"""Every path of the machine, below one root: `/` on a server, a temporary folder in tests."""

from dataclasses import dataclass
from pathlib import Path

# Version and name of the database server's cluster.
CLUSTER = ("17", "main")


@dataclass(frozen=True)
class Paths:
    """Paths of the operator's contract (docs/manual.md, chapter Runtime layout)."""

    root: Path = Path("/")

    def at(self, absolute: str) -> Path:
        """The absolute path `absolute` of the machine, below this root."""
        return self.root / absolute.lstrip("/")

    @property
    def app(self) -> Path:
        return self.at("/app")

    @property
    def env_yml(self) -> Path:
        return self.at("/app/env.yml")

    @property
    def active_env(self) -> Path:
        return self.at("/run/active-env.yml")

    @property
    def active_env_origin(self) -> Path:
        return self.at("/run/active-env.origin")

    @property
    def env_kind(self) -> Path:
        """How the environment that was active last reached the machine: a file, a drive, the network."""
        return self.at("/var/lib/ecs-appliance/environment")

    @property
    def latch(self) -> Path:
        return self.at("/run/appliance-failed")

    @property
    def run(self) -> Path:
        """Volatile state of the appliance itself."""
        return self.at("/run/appliance")

    @property
    def lock(self) -> Path:
        return self.at("/run/appliance/lock")

    @property
    def appliance(self) -> Path:
        """The active release: a symlink into `releases`."""
        return self.at("/app/appliance")

    @property
    def releases(self) -> Path:
        return self.at("/app/releases")

    @property
    def source(self) -> Path:
        """The application's git checkout."""
        return self.at("/app/ecs")

    @property
    def docs_source(self) -> Path:
        """The user manual's git checkout."""
        return self.at("/app/ecs-docs")

    @property
    def etc(self) -> Path:
        return self.at("/app/etc")

    @property
    def tags(self) -> Path:
        return self.at("/app/etc/tags")

    @property
    def flags(self) -> Path:
        return self.at("/app/etc/flags")

    @property
    def hooks(self) -> Path:
        return self.at("/app/etc/hooks")

    @property
    def compose(self) -> Path:
        """Folder of docker-compose.yml and of the containers' env files."""
        return self.at("/app/etc/ecs")

    @property
    def data(self) -> Path:
        return self.at("/data")

    @property
    def volatile(self) -> Path:
        return self.at("/volatile")

    @property
    def ecs_ca(self) -> Path:
        return self.at("/app/ecs-ca")

    @property
    def pgdump(self) -> Path:
        return self.at("/data/ecs-pgdump")

    @property
    def vault(self) -> Path:
        """The documents."""
        return self.at("/data/ecs-storage-vault")

    @property
    def archive(self) -> Path:
        """Backups and log of the database, pgBackRest's repository."""
        return self.at("/data/pgbackrest")

    @property
    def cluster(self) -> Path:
        """The files of the database server."""
        return self.at("/var/lib/postgresql") / "/".join(CLUSTER)

    @property
    def backup_record(self) -> Path:
        """What the next snapshot says of itself."""
        return self.at("/data/etc/backup/record.json")

    @property
    def backup_documents(self) -> Path:
        """What each document was when it was recorded, as `sha256sum --check` reads it in the vault's folder."""
        return self.at("/data/etc/backup/documents.sha256")

    @property
    def backup_repository(self) -> Path:
        """The id of the repository that this machine writes to."""
        return self.at("/data/etc/backup/repository")

    @property
    def backup_lock(self) -> Path:
        return self.at("/run/appliance/backup.lock")

    @property
    def rehearsal_lock(self) -> Path:
        """Held while a rehearsal reads from the backups: nothing is removed from them."""
        return self.at("/run/appliance/rehearsal.lock")

    @property
    def evidence(self) -> Path:
        """Reports of rehearsals; backups hold them too."""
        return self.at("/data/etc/backup/evidence")

    @property
    def recovery(self) -> Path:
        """How far a recovery has come; gone once it has ended."""
        return self.at("/var/lib/ecs-appliance/recovery.json")

    @property
    def rewind(self) -> Path:
        """How far a rewind of the database has come; gone once it has ended."""
        return self.at("/var/lib/ecs-appliance/rewind.json")

    @property
    def rewinds(self) -> Path:
        """The histories of the database that rewinds have left."""
        return self.at("/data/etc/backup/rewinds.json")

    @property
    def vault_keys(self) -> Path:
        """The keyring of the vault; root's."""
        return self.at("/data/ecs-gpg")

    @property
    def keyring(self) -> Path:
        """The copy of the vault's keyring that containers see, see containers/compose.yml."""
        return self.at("/run/appliance/keyring")

    @property
    def www(self) -> Path:
        """Root of what nginx serves by itself: the status page."""
        return self.at("/var/www/html")

    @property
    def nginx(self) -> Path:
        """What the appliance gives nginx."""
        return self.at("/etc/nginx/appliance")

    @property
    def certificates(self) -> Path:
        """Server certificates as nginx reads them: NAME.pem, key and chain."""
        return self.at("/etc/nginx/appliance/certificates")

    @property
    def server_certificate(self) -> Path:
        """The certificate that the domain is served with, its chain with it; no secret."""
        return self.at("/app/etc/server.cert.pem")

    @property
    def acme(self) -> Path:
        """Account, keys and certificates of the ACME client, which runs as the account app."""
        return self.at("/data/ecs-acme")

    @property
    def acme_challenges(self) -> Path:
        """What nginx answers an ACME server's questions with."""
        return self.at("/var/lib/dehydrated/acme-challenges")

    @property
    def state(self) -> Path:
        """What the appliance remembers over a boot, and can do without."""
        return self.at("/var/lib/ecs-appliance")

    @property
    def logs(self) -> Path:
        """The whole output of the last build and of the last migration."""
        return self.at("/var/log/ecs-appliance")

    @property
    def metrics(self) -> Path:
        """Metrics as text files, read by the node exporter."""
        return self.at("/var/lib/prometheus/node-exporter")

    @property
    def client_ca(self) -> Path:
        """The client CA and CRL as nginx reads them: always valid, the last good ones."""
        return self.at("/etc/nginx/client-ca")
