"""All paths on the machine, below one root: `/` on a server, a temporary folder in tests."""

from dataclasses import dataclass
from pathlib import Path

# Version and name of the PostgreSQL cluster.
CLUSTER = ("17", "main")


@dataclass(frozen=True)
class Paths:
    """Paths that operators rely on (docs/manual.md, chapter Runtime layout), and internal ones."""

    root: Path = Path("/")

    def at(self, absolute: str) -> Path:
        """Return the machine's path `absolute` below this root."""
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
        """Where the active environment was found, for people."""
        return self.at("/run/active-env.origin")

    @property
    def env_kind(self) -> Path:
        """Kind of source of the last active environment: file or drive."""
        return self.at("/var/lib/ecs-appliance/environment")

    @property
    def latch(self) -> Path:
        """Stops all stages and updates until a person removes it."""
        return self.at("/run/appliance-failed")

    @property
    def run(self) -> Path:
        """Volatile state of the appliance itself."""
        return self.at("/run/appliance")

    @property
    def lock(self) -> Path:
        """Held by stages and by commands that change the machine."""
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
        """The application's client CA and its CRL."""
        return self.at("/app/ecs-ca")

    @property
    def pgdump(self) -> Path:
        """Dumps of the database."""
        return self.at("/data/ecs-pgdump")

    @property
    def vault(self) -> Path:
        """The documents."""
        return self.at("/data/ecs-storage-vault")

    @property
    def archive(self) -> Path:
        """pgBackRest's repository: backups and WAL of the database."""
        return self.at("/data/pgbackrest")

    @property
    def cluster(self) -> Path:
        """The data directory of the PostgreSQL cluster."""
        return self.at("/var/lib/postgresql") / "/".join(CLUSTER)

    @property
    def backup_record(self) -> Path:
        """The manifest of the next snapshot."""
        return self.at("/data/etc/backup/record.json")

    @property
    def backup_documents(self) -> Path:
        """Checksums of the documents when they were recorded; for `sha256sum --check` in the vault's folder."""
        return self.at("/data/etc/backup/documents.sha256")

    @property
    def backup_repository(self) -> Path:
        """ID of the repository that this machine writes to."""
        return self.at("/data/etc/backup/repository")

    @property
    def backup_lock(self) -> Path:
        """Held by backups, checks, prunes and recoveries."""
        return self.at("/run/appliance/backup.lock")

    @property
    def rehearsal_lock(self) -> Path:
        """Held while a rehearsal reads the backups, so that none are removed meanwhile."""
        return self.at("/run/appliance/rehearsal.lock")

    @property
    def evidence(self) -> Path:
        """Reports of rehearsals; included in backups."""
        return self.at("/data/etc/backup/evidence")

    @property
    def recovery(self) -> Path:
        """Progress of a recovery; removed once it has ended."""
        return self.at("/var/lib/ecs-appliance/recovery.json")

    @property
    def rewind(self) -> Path:
        """Progress of a rewind of the database; removed once it has ended."""
        return self.at("/var/lib/ecs-appliance/rewind.json")

    @property
    def rewinds(self) -> Path:
        """The timelines of the database that rewinds have abandoned."""
        return self.at("/data/etc/backup/rewinds.json")

    @property
    def vault_keys(self) -> Path:
        """The vault's keyring; belongs to root."""
        return self.at("/data/ecs-gpg")

    @property
    def keyring(self) -> Path:
        """The copy of the vault's keyring that is mounted into containers, see containers/compose.yml."""
        return self.at("/run/appliance/keyring")

    @property
    def www(self) -> Path:
        """Document root of nginx: the status page."""
        return self.at("/var/www/html")

    @property
    def nginx(self) -> Path:
        """nginx configuration written by the appliance."""
        return self.at("/etc/nginx/appliance")

    @property
    def certificates(self) -> Path:
        """Server certificates as nginx reads them: NAME.pem, key and chain."""
        return self.at("/etc/nginx/appliance/certificates")

    @property
    def server_certificate(self) -> Path:
        """The certificate that is served for the domain, with its chain; not secret."""
        return self.at("/app/etc/server.cert.pem")

    @property
    def acme(self) -> Path:
        """ACME account, keys and certificates; the client runs as the account app."""
        return self.at("/data/ecs-acme")

    @property
    def acme_challenges(self) -> Path:
        """HTTP-01 challenges that nginx serves to the ACME server."""
        return self.at("/var/lib/dehydrated/acme-challenges")

    @property
    def state(self) -> Path:
        """State that survives a reboot and that the appliance can recreate."""
        return self.at("/var/lib/ecs-appliance")

    @property
    def logs(self) -> Path:
        """Full output of the last build and the last migration."""
        return self.at("/var/log/ecs-appliance")

    @property
    def metrics(self) -> Path:
        """Metrics as text files, read by the node exporter."""
        return self.at("/var/lib/prometheus/node-exporter")

    @property
    def client_ca(self) -> Path:
        """The last valid client CA and CRL, as nginx reads them."""
        return self.at("/etc/nginx/client-ca")
