"""The model of env.yml: every key with its type, default and meaning.

Documentation and JSON Schema are generated from it (`appliance env reference`), including the docstrings of sections.
"""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, Strict, WithJsonSchema
from pydantic.config import JsonDict

from ecs_appliance.env import egress, formats, pem, pgp_keys, pysettings, signer_keys
from ecs_appliance.env.oncalendar import oncalendar

Rule = Callable[[str], str]


def _one_line(rule: Rule) -> Rule:
    """Return a rule that applies `rule` to a single line, stripped."""

    def check(text: str) -> str:
        line = text.strip()
        if "\n" in line or "\t" in line:
            raise ValueError("expected a single line")
        return rule(line)

    return check


def _line(rule: Rule = str) -> AfterValidator:
    return AfterValidator(_one_line(rule))


def _concealed(rule: Rule) -> AfterValidator:
    """Return a validator that applies `rule` to the text of a secret."""
    return AfterValidator(lambda secret: SecretStr(rule(secret.get_secret_value())))


Line = Annotated[str, _line()]
Domain = Annotated[str, _line(formats.domain)]
HostNames = Annotated[str, _line(formats.host_names)]
GitSource = Annotated[str, _line(formats.git_source)]
GitName = Annotated[str, _line(formats.git_name)]
Database = Annotated[str, _line(formats.database)]
FilePath = Annotated[str, _line(formats.absolute_path)]
Folder = Annotated[str, _line(formats.folder)]
Owner = Annotated[str, _line(formats.owner)]
Permissions = Annotated[str, _line(formats.permissions)]
Package = Annotated[str, _line(formats.package)]
SshKey = Annotated[str, AfterValidator(lambda text: formats.ssh_key(text.strip()))]
HostKey = Annotated[str, AfterValidator(lambda text: formats.host_key(text.strip()))]
Signer = Annotated[str, AfterValidator(signer_keys.signer)]
Calendar = Annotated[str, _line(oncalendar)]
Certificates = Annotated[str, AfterValidator(pem.certificates)]
HttpsUrl = Annotated[str, _line(formats.https_url)]
MailAddress = Annotated[str, _line(formats.optional_mail_address)]
KeyType = Annotated[str, _line(formats.key_type)]
Authorities = Annotated[str, AfterValidator(pem.authorities)]
Interval = Annotated[str, _line(formats.interval)]
Destination = Annotated[str, _line(egress.destination)]
SecretText = SecretStr
SecretLine = Annotated[SecretStr, _concealed(_one_line(str))]
SecretUrl = Annotated[SecretStr, _concealed(_one_line(formats.url))]
SecretWebUrl = Annotated[SecretStr, _concealed(_one_line(formats.web_url))]
PemKey = Annotated[SecretStr, _concealed(pem.private_key)]
RsaKey = Annotated[SecretStr, _concealed(pem.rsa_key)]
SshSecretKey = Annotated[SecretStr, _concealed(pem.ssh_key)]
PgpKey = Annotated[SecretStr, _concealed(pgp_keys.private_key)]
PythonText = Annotated[SecretStr, _concealed(pysettings.settings)]
# Its content is checked where it is used.
StorageSetup = Annotated[
    dict[str, Any],
    WithJsonSchema({"anyOf": [{"type": "object"}, {"type": "string"}]}),
]

NONE = SecretStr("")
NEEDED: JsonDict = {"needed": True}
Item = TypeVar("Item")
# A list in YAML is a tuple in Python.
Many = tuple[Item, ...]
# Quoted words are not booleans.
Flag = Annotated[bool, Strict()]
# Not strict: the tree passes numbers on as text.
Count = Annotated[int, Field(ge=0, le=10_000), BeforeValidator(formats.no_flag)]


class Section(BaseModel):
    """A mapping in env.yml. Frozen; unknown keys are reported by env.check and ignored here."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class GitTarget(Section):
    """A git repository and what to check out of it."""

    source: GitSource = Field(description="URL of the repository")
    branch: GitName = Field("", description="branch to use; empty: the repository's default branch")
    commitid: GitName = Field(
        "", description="commit or tag to use instead of the branch's latest commit, until removed"
    )
    signers: Many[Signer] = Field(
        (), description="public keys, OpenSSH or armored OpenPGP; if set, only code signed with one of them is used"
    )


class ApplianceGit(GitTarget):
    """The repository that the appliance updates itself from."""

    source: GitSource = Field("https://github.com/ecs-org/ecs-appliance.git", description="URL of the repository")


class EcsGit(GitTarget):
    """The repository with the application's source code."""

    source: GitSource = Field("https://github.com/ecs-org/ecs.git", description="URL of the repository")
    branch: GitName = Field("master", description="branch to use; empty: the repository's default branch")


class DocsGit(GitTarget):
    """The repository with the user manual's source."""

    source: GitSource = Field("https://github.com/ecs-org/ecs-docs.git", description="URL of the repository")
    branch: GitName = Field("master", description="branch to use; empty: the repository's default branch")


class LetsEncrypt(Section):
    """How to get the server certificate by ACME, from Let's Encrypt or another certificate authority."""

    enabled: Flag = Field(
        True, description="get and renew the server certificate by ACME; false: self-signed (snakeoil)"
    )
    directory: HttpsUrl = Field(
        "https://acme-v02.api.letsencrypt.org/directory",
        description="URL of the certificate authority's ACME directory",
    )
    authority: Authorities = Field(
        "",
        description="CA certificates that verify the TLS certificate of the ACME server, PEM; empty: the system's",
    )
    key_type: KeyType = Field("ecdsa", description="type of the server key: `ecdsa` (P-256) or `rsa` (3072 bits)")
    email: MailAddress = Field(
        "", description="contact address for the authority, registered when the account is created; empty: none"
    )


class Ssl(Section):
    letsencrypt: LetsEncrypt = LetsEncrypt()
    key: PemKey = Field(NONE, description="private key of the server, used together with `cert` instead of ACME")
    cert: Certificates = Field("", description="server certificate, optionally with its chain, the server's own first")
    client_certs_mandatory: Flag = Field(
        False,
        description="true: require a client certificate; false: optional, the verification result is passed to the "
        "application",
    )


class Sentry(Section):
    dsn: SecretWebUrl = Field(
        NONE, description="Sentry DSN that the appliance reports errors to; empty: errors are not reported"
    )


class Metric(Section):
    exporter: Flag = Field(False, description="start the metrics exporters")
    server: Flag = Field(False, description="start Prometheus and Alertmanager")
    gui: Flag = Field(False, description="start Grafana")
    pghero: Flag = Field(False, description="start PgHero, a dashboard for PostgreSQL")


class ExtraFile(Section):
    """A file that is written at convergence and at every start."""

    path: FilePath = Field(description="absolute path, without `..`; each path only once")
    contents: SecretText = Field(NONE, description="content of the file (old name `content`)")
    owner: Owner = Field("root:root", description="`user:group`")
    permissions: Permissions = Field("0644", description="octal, in quotes")


class Extra(Section):
    files: Many[ExtraFile] = Field((), description="files to write at convergence and at every start")
    packages: Many[Package] = Field((), description="Debian packages to install at convergence and at every start")
    states: SecretText = Field(NONE, description="a Salt SLS to apply at convergence")


class Update(Section):
    automatic: Flag = Field(True, description="true: update automatically; false: mask the update timer")
    oncalendar: Calendar = Field("*-*-* 06:30:00", description="when to update, as a systemd calendar expression")


class StorageIgnore(Section):
    volatile: Flag = Field(
        False, description="true: require no volume labelled `ecs-volatile`, use the root filesystem"
    )
    data: Flag = Field(False, description="true: require no volume labelled `ecs-data`, use the root filesystem")


class Storage(Section):
    setup: StorageSetup = Field(
        default_factory=dict,
        repr=False,
        description="how to create missing volumes: a mapping, or the same as YAML text",
    )
    ignore: StorageIgnore = StorageIgnore()
    grow_root: Flag = Field(False, description="grow the root partition to the end of the disk at the next boot")
    proxy_cache: Flag = Field(False, description="run a local HTTP cache for package and image downloads")


class Dkim(Section):
    key: RsaKey = Field(NONE, description="private key that signs outgoing mail; empty: mail is sent unsigned")


class BackupMount(Section):
    """A filesystem that is mounted before a backup or restore and unmounted afterwards."""

    type: Line = Field("", description="filesystem type, as in `mount -t`")
    source: Line = Field("", description="device or network share to mount")
    target: Folder = Field("", description="mount point, an absolute path")
    options: SecretLine = Field(NONE, description="mount options, as in `mount -o`")


class Egress(Section):
    """Allowed destinations of outgoing connections. A list set here replaces its default."""

    containers: Many[Destination] = Field(
        (),
        description="what the application's containers may reach, in addition to name servers, this machine and its "
        "own site: `internet`, names, addresses or networks, each with `:port` or, without it, for all ports",
    )
    builds: Many[Destination] = Field(
        ("internet:80", "internet:443"),
        description="what image builds and the download cache may reach, written likewise",
    )


class Network(Section):
    egress: Egress = Egress()


class Backup(Section):
    url: SecretUrl = Field(
        SecretStr("file:///volatile/ecs-backup-test/"),
        description="where backups are stored: file (also for `mount`), sftp, s3, rest, webdav, webdavs or rclone URL",
    )
    options: SecretLine = Field(NONE, description="extra options for the backup engine")
    host_keys: Many[HostKey] = Field((), description="host keys of the sftp server, as `ssh-keyscan` prints them")
    ssh_key: SshSecretKey = Field(NONE, description="private key for the sftp server; empty: those in `/root/.ssh`")
    user: Line = Field("", description="user name on the backup server (rest, webdav), or ID of the access key (s3)")
    secret: SecretLine = Field(NONE, description="password of that user, or secret of that access key")
    region: Line = Field("", description="region of s3, if its server requires one")
    authority: Authorities = Field(
        "",
        description="CA certificates that verify the TLS certificate of the backup server, PEM; empty: the system's",
    )
    rclone: SecretText = Field(NONE, description="configuration of rclone, for URLs of the form `rclone:REMOTE:folder`")
    append_only: Flag = Field(
        False, description="true: the server only accepts new data; old backups are removed there and never from here"
    )
    mount: BackupMount = BackupMount()
    password: SecretLine = Field(
        NONE, description="password that decrypts the backups; empty: derived from `encrypt`, see the manual"
    )
    encrypt: PgpKey = Field(
        NONE,
        description="OpenPGP private key; decrypts the predecessor's backups; an empty `password` is derived from it",
        json_schema_extra=NEEDED,
    )
    interval: Interval = Field("15min", description="time between two backups, 5min to 24h")
    oncalendar: Calendar = Field(
        "*-*-* 22:30:00", description="when to dump the database, remove old backups and check the others, once a day"
    )
    rehearsal: Calendar = Field("Sat *-*-* 10:00:00", description="when to rehearse a recovery")
    ping_url: SecretWebUrl = Field(
        NONE, description="URL that is called after each successful backup (dead man's switch)"
    )
    keep_last: Count = Field(96, description="number of latest backups to keep, whatever their age")
    keep_daily: Count = Field(35, description="number of days for which the last backup is kept")
    keep_weekly: Count = Field(16, description="number of weeks for which the last backup is kept")
    keep_monthly: Count = Field(24, description="number of months for which the last backup is kept")
    keep_floor_days: Count = Field(7, description="age in days below which no backup is ever removed")

    @property
    def scheme(self) -> str:
        """The scheme of `url`, in lower case."""
        return self.url.get_secret_value().partition(":")[0].lower()

    @property
    def by_rclone(self) -> bool:
        """Whether the target is accessed through rclone."""
        return self.scheme in ("webdav", "webdavs", "rclone")


class Appliance(Section):
    """The machine."""

    standby: Flag = Field(
        False, description="true: only read the environment and show the standby page, start nothing else"
    )
    domain: Domain = Field(
        "",
        description="full host name of the machine, its certificate and the site, or localhost",
        json_schema_extra=NEEDED,
    )
    allowed_hosts: HostNames = Field(
        "", description="host names that the site accepts, separated by spaces; empty: the domain"
    )
    contact: Line = Field(
        "", description="whom visitors can ask while the site is down, shown publicly; empty: the commission's office"
    )
    security_contact: MailAddress = Field(
        "",
        description="where to report vulnerabilities, published in `/.well-known/security.txt`; empty: no such file",
    )
    ssl: Ssl = Ssl()
    sentry: Sentry = Sentry()
    metric: Metric = Metric()
    git: ApplianceGit = Field(ApplianceGit(), description="repository that the appliance updates itself from")
    extra: Extra = Extra()
    update: Update = Update()
    storage: Storage = Storage()
    network: Network = Network()
    dkim: Dkim = Dkim()
    backup: Backup = Backup()

    @property
    def server_names(self) -> tuple[str, ...]:
        """The names of the site, in lower case, the domain first."""
        return tuple(dict.fromkeys(name.lower() for name in (self.domain or "localhost", *self.allowed_hosts.split())))


class Docs(Section):
    git: DocsGit = Field(DocsGit(), description="repository with the user manual, served at /static/help")


class Migrate(Section):
    auto: Flag = Field(True, description="run database migrations on update")


class Userswitcher(Section):
    enabled: Flag = Field(False, description="for test instances: any logged-in user may switch to a test user")
    parameter: Line = Field("", description="passed to the application")


class Ecs(Section):
    """The application."""

    git: EcsGit = Field(EcsGit(), description="repository with the application's source code")
    docs: Docs = Docs()
    database: Database = Field("ecs", description="name of the PostgreSQL database")
    migrate: Migrate = Migrate()
    userswitcher: Userswitcher = Userswitcher()
    settings: PythonText = Field(
        NONE, description="Python code, passed verbatim to the application as ECS_SETTINGS", json_schema_extra=NEEDED
    )
    vault_encrypt: PgpKey = Field(
        NONE, description="OpenPGP private key for encrypting the document vault", json_schema_extra=NEEDED
    )
    vault_sign: PgpKey = Field(
        NONE, description="OpenPGP private key for signing the document vault", json_schema_extra=NEEDED
    )


class Env(Section):
    """One env.yml."""

    ssh_authorized_keys: Many[SshKey] = Field((), description="public keys that may log in as root and app")
    ssh_deprecated_keys: Many[SshKey] = Field((), description="public keys that may no longer log in")
    disable_root: Flag = Field(False, description="read by cloud-init, not by the appliance")
    appliance: Appliance = Appliance()
    ecs: Ecs = Ecs()
