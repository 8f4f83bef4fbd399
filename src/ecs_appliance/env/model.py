"""The model of env.yml: every key with its type, default and meaning.

Documentation and JSON Schema are generated from it (`appliance env reference`), including the docstrings of sections.
"""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, Strict, WithJsonSchema
from pydantic.config import JsonDict

from ecs_appliance.env import egress, formats, pem, pgp, pysettings, signers
from ecs_appliance.env.oncalendar import oncalendar

Rule = Callable[[str], str]


def _one_line(rule: Rule) -> Rule:
    """Return a rule that applies `rule` to a single line, stripped."""

    def check(text: str) -> str:
        line = text.strip()
        if "\n" in line or "\t" in line:
            raise ValueError("expected one line")
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
Signer = Annotated[str, AfterValidator(signers.signer)]
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
PgpKey = Annotated[SecretStr, _concealed(pgp.private_key)]
PythonText = Annotated[SecretStr, _concealed(pysettings.settings)]
# Its contents are checked where they are used.
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
    branch: GitName = Field("", description="branch; empty: the repository's default branch")
    commitid: GitName = Field("", description="commit or tag that is used instead of the branch's last, until removed")
    signers: Many[Signer] = Field(
        (), description="public keys, OpenSSH or armored OpenPGP; given, only what one of them signed is used"
    )


class ApplianceGit(GitTarget):
    """What the appliance updates itself from."""

    source: GitSource = Field("https://github.com/ecs-org/ecs-appliance.git", description="URL of the repository")


class EcsGit(GitTarget):
    """Where the application's source is."""

    source: GitSource = Field("https://github.com/ecs-org/ecs.git", description="URL of the repository")
    branch: GitName = Field("master", description="branch; empty: the repository's default branch")


class DocsGit(GitTarget):
    """Where the user manual's source is."""

    source: GitSource = Field("https://github.com/ecs-org/ecs-docs.git", description="URL of the repository")
    branch: GitName = Field("master", description="branch; empty: the repository's default branch")


class LetsEncrypt(Section):
    """The server certificate by ACME, from Let's Encrypt or any other authority that speaks it."""

    enabled: Flag = Field(True, description="get and renew the server certificate by ACME; false: snakeoil")
    directory: HttpsUrl = Field(
        "https://acme-v02.api.letsencrypt.org/directory", description="URL of the authority's ACME directory"
    )
    authority: Authorities = Field(
        "", description="certificates that the ACME server's own TLS is trusted by, PEM; empty: those of the system"
    )
    key_type: KeyType = Field("ecdsa", description="`ecdsa` (P-256) or `rsa` (3072 bits)")
    email: MailAddress = Field(
        "", description="where the authority may write to, told when the account is made; empty: nowhere"
    )


class Ssl(Section):
    letsencrypt: LetsEncrypt = LetsEncrypt()
    key: PemKey = Field(NONE, description="server key, used together with `cert` instead of ACME")
    cert: Certificates = Field("", description="server certificate, may be a full chain, the server's own first")
    client_certs_mandatory: Flag = Field(
        False, description="true: no client certificate, no site; false: optional, its verdict goes to the application"
    )


class Sentry(Section):
    dsn: SecretWebUrl = Field(NONE, description="where the appliance reports errors; empty: nowhere")


class Metric(Section):
    exporter: Flag = Field(False, description="start the exporters of metrics")
    server: Flag = Field(False, description="start Prometheus and Alertmanager")
    gui: Flag = Field(False, description="start Grafana")
    pghero: Flag = Field(False, description="start an inspector of PostgreSQL")


class ExtraFile(Section):
    """A file that is written at convergence and at every start."""

    path: FilePath = Field(description="absolute, without `..`; each path once")
    contents: SecretText = Field(NONE, description="what is in it (old name `content`)")
    owner: Owner = Field("root:root", description="`user:group`")
    permissions: Permissions = Field("0644", description="octal, in quotes")


class Extra(Section):
    files: Many[ExtraFile] = Field((), description="files written at convergence and at every start")
    packages: Many[Package] = Field((), description="Debian packages installed at convergence and at every start")
    states: SecretText = Field(NONE, description="a Salt SLS that is run at convergence")


class Update(Section):
    automatic: Flag = Field(True, description="false: the timer of updates is masked")
    oncalendar: Calendar = Field("*-*-* 06:30:00", description="when to update, as systemd writes calendars")


class StorageIgnore(Section):
    volatile: Flag = Field(False, description="true: no volume labelled `ecs-volatile`, use the root filesystem")
    data: Flag = Field(False, description="true: no volume labelled `ecs-data`, use the root filesystem")


class Storage(Section):
    setup: StorageSetup = Field(
        default_factory=dict, repr=False, description="how to make missing volumes, a mapping or its text"
    )
    ignore: StorageIgnore = StorageIgnore()
    grow_root: Flag = Field(False, description="grow the root partition to the disk's end at the next boot")
    proxy_cache: Flag = Field(False, description="a local HTTP cache for package and image downloads")


class Dkim(Section):
    key: RsaKey = Field(NONE, description="signs outgoing mail; empty: mail goes out unsigned")


class BackupMount(Section):
    """Mounted before a backup or restore and unmounted after."""

    type: Line = Field("", description="filesystem, as `mount -t` has it")
    source: Line = Field("", description="what to mount")
    target: Folder = Field("", description="where to mount it, absolute")
    options: SecretLine = Field(NONE, description="as `mount -o` has them")


class Egress(Section):
    """Where packets may go out to. A list here replaces its default."""

    containers: Many[Destination] = Field(
        (),
        description="what the application's containers may reach, besides name servers, this machine and its own site: "
        "`internet`, names, addresses, networks, each with `:port` or for all ports",
    )
    builds: Many[Destination] = Field(
        ("internet:80", "internet:443"), description="what builds of images and the download cache may reach, likewise"
    )


class Network(Section):
    egress: Egress = Egress()


class Backup(Section):
    url: SecretUrl = Field(
        SecretStr("file:///volatile/ecs-backup-test/"),
        description="where backups go: file, sftp, s3, rest, webdav, webdavs, rclone, or a folder of `mount`",
    )
    options: SecretLine = Field(NONE, description="extra options for the backup engine")
    host_keys: Many[HostKey] = Field((), description="public keys of the sftp server, as `ssh-keyscan` prints them")
    ssh_key: SshSecretKey = Field(NONE, description="private key that opens the sftp server; empty: those of root")
    user: Line = Field("", description="who we are to the server: user of rest and webdav, id of the access key of s3")
    secret: SecretLine = Field(NONE, description="password of that user, secret of that access key")
    region: Line = Field("", description="region of s3, where its server wants one")
    authority: Authorities = Field(
        "", description="certificates that the server's TLS is trusted by, PEM; empty: those of the system"
    )
    rclone: SecretText = Field(NONE, description="configuration of rclone, for URLs of the kind `rclone:REMOTE:folder`")
    append_only: Flag = Field(
        False, description="true: the server keeps what it has, so old backups are removed there and never from here"
    )
    mount: BackupMount = BackupMount()
    password: SecretLine = Field(
        NONE, description="opens the backups; empty: a password that is derived from `encrypt`, see the manual"
    )
    encrypt: PgpKey = Field(
        NONE,
        description="the backup key: opens backups made without `password`",
        json_schema_extra=NEEDED,
    )
    interval: Interval = Field("15min", description="time between two backups, 5min to 24h")
    oncalendar: Calendar = Field("*-*-* 22:30:00", description="when to dump, thin out and check, once a day")
    rehearsal: Calendar = Field("Sat *-*-* 10:00:00", description="when to rehearse a recovery")
    ping_url: SecretWebUrl = Field(
        NONE, description="told of each backup that succeeded; whoever listens there raises the alarm when it is silent"
    )
    keep_last: Count = Field(96, description="backups that are kept whatever their age")
    keep_daily: Count = Field(35, description="days of which the last backup is kept")
    keep_weekly: Count = Field(16, description="weeks of which the last backup is kept")
    keep_monthly: Count = Field(24, description="months of which the last backup is kept")
    keep_floor_days: Count = Field(7, description="days of which no backup is ever removed")

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

    standby: Flag = Field(False, description="true: read the environment, show the standby page, start nothing else")
    domain: Domain = Field(
        "", description="full host name of machine, certificate and site, or localhost", json_schema_extra=NEEDED
    )
    allowed_hosts: HostNames = Field(
        "", description="names the site answers for, separated by spaces; empty: the domain"
    )
    contact: Line = Field(
        "", description="whom visitors ask while the site is away, shown to everybody; empty: the commission's office"
    )
    security_contact: MailAddress = Field(
        "",
        description="who hears of holes in the site, told in `/.well-known/security.txt`; empty: there is no such file",
    )
    ssl: Ssl = Ssl()
    sentry: Sentry = Sentry()
    metric: Metric = Metric()
    git: ApplianceGit = Field(ApplianceGit(), description="what the appliance updates itself from")
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
    git: DocsGit = Field(DocsGit(), description="the user manual, served at /static/help")


class Migrate(Section):
    auto: Flag = Field(True, description="run migrations on update")


class Userswitcher(Section):
    enabled: Flag = Field(False, description="test instances: anyone logged in may become a test user")
    parameter: Line = Field("", description="passed to the application")


class Ecs(Section):
    """The application."""

    git: EcsGit = Field(EcsGit(), description="the application's source")
    docs: Docs = Docs()
    database: Database = Field("ecs", description="name of the PostgreSQL database")
    migrate: Migrate = Migrate()
    userswitcher: Userswitcher = Userswitcher()
    settings: PythonText = Field(
        NONE, description="Python text, passed verbatim to the application as ECS_SETTINGS", json_schema_extra=NEEDED
    )
    vault_encrypt: PgpKey = Field(NONE, description="encrypts the document vault", json_schema_extra=NEEDED)
    vault_sign: PgpKey = Field(NONE, description="signs the document vault", json_schema_extra=NEEDED)


class Env(Section):
    """One env.yml."""

    ssh_authorized_keys: Many[SshKey] = Field((), description="may log in as root and app")
    ssh_deprecated_keys: Many[SshKey] = Field((), description="must no longer log in")
    disable_root: Flag = Field(False, description="for cloud-init")
    appliance: Appliance = Appliance()
    ecs: Ecs = Ecs()
