"""Give all objects in the application's database to the application's role, and create the extension.

Both need a superuser session in that database, though only if another role has loaded or created something there. The
session resolves names in pg_catalog only, and neither reads rows nor calls, sorts or casts by anything that the
database defines: it lists catalogs, changes owners and creates an extension in a schema of its own.
"""

import logging
import secrets

from psycopg import sql

from ecs_appliance.host.postgres import Connection, Server, application, has, superuser_inside

log = logging.getLogger(__name__)

# Catalogs of objects with owners: the columns of owner and schema, and which rows have an owner of their own.
OWNED = (
    ("pg_namespace", "nspowner", "oid", "x.nspname not like 'pg\\_%%'"),
    ("pg_class", "relowner", "relnamespace", "x.relkind in ('r', 'p', 'v', 'm', 'f', 'S')"),
    ("pg_proc", "proowner", "pronamespace", "true"),
    (
        "pg_type",
        "typowner",
        "typnamespace",
        "x.typtype in ('b', 'c', 'd', 'e', 'r') and (x.typrelid = 0 or exists (select from pg_class r "
        "where r.oid = x.typrelid and r.relkind = 'c')) "
        "and not exists (select from pg_type e where e.typarray = x.oid)",
    ),
    ("pg_operator", "oprowner", "oprnamespace", "true"),
    ("pg_opclass", "opcowner", "opcnamespace", "true"),
    ("pg_opfamily", "opfowner", "opfnamespace", "true"),
    ("pg_collation", "collowner", "collnamespace", "true"),
    ("pg_conversion", "conowner", "connamespace", "true"),
    ("pg_statistic_ext", "stxowner", "stxnamespace", "true"),
    ("pg_ts_config", "cfgowner", "cfgnamespace", "true"),
    ("pg_ts_dict", "dictowner", "dictnamespace", "true"),
    ("pg_largeobject_metadata", "lomowner", "0::oid", "true"),
)
# Built-in objects have lower oids. Objects of an extension keep their owner.
FOREIGN = """
    select o.type, o.identity from {catalog} x, pg_identify_object('{catalog}'::regclass, x.oid, 0) o
    where {owner} <> %(role)s::regrole and x.oid >= 16384 and {kind}
      and {schema} not in (select oid from pg_namespace where nspname like 'pg\\_%%')
      and not exists (select from pg_depend d where d.classid = '{catalog}'::regclass and d.objid = x.oid
                      and d.objsubid = 0 and (d.deptype = 'e' or {follows}))
    order by 1, 2
"""
# A sequence follows its column; partitions, which depend on their table in the same way, have owners of their own.
SEQUENCES = "(x.relkind = 'S' and d.deptype in ('a', 'i'))"
PUBLIC = """
    select 'schema', 'public' from pg_namespace
    where nspname = 'public' and nspowner not in (%(role)s::regrole, 'pg_database_owner'::regrole)
"""
# Kinds whose name in the command differs from the one in the catalogs.
WORDS = {"statistics object": "statistics"}


def ensure_owner(server: Server, database: str, role: str) -> bool:
    """Give all objects in `database` to `role`, except those of extensions; return whether anything changed.

    Raise ApplianceError if that fails or takes too long.
    """
    # Checked without superuser rights first, since there is hardly ever anything to do.
    with application(server, database) as connection:
        if not foreign_objects(connection, role):
            return False
    owner = sql.Identifier(role)
    with superuser_inside(server, database) as connection, connection.transaction():
        for kind, identity in foreign_objects(connection, role):
            log.info("changing the owner of %s %s to %s", kind, identity, role)
            # Kind and identity are quoted by pg_identify_object.
            change = sql.SQL("alter {} {} owner to {}")
            connection.execute(change.format(sql.SQL(WORDS.get(kind, kind)), sql.SQL(identity), owner))
    return True


def foreign_objects(connection: Connection, role: str) -> list[tuple[str, str]]:
    """Return kind and quoted name of all objects in the database of `connection` that do not belong to `role`."""
    found = connection.execute(PUBLIC, {"role": role}).fetchall()
    for catalog, owner, schema, kind in OWNED:
        follows = SEQUENCES if catalog == "pg_class" else "d.deptype = 'i'"
        query = FOREIGN.format(catalog=catalog, owner=owner, schema=schema, kind=kind, follows=follows)
        found += connection.execute(query.encode(), {"role": role}).fetchall()
    return [(str(kind), str(identity)) for kind, identity in found]


def ensure_extension(server: Server, database: str, name: str) -> bool:
    """Create extension `name` in `database` if missing; return whether it was. Raise ApplianceError if that fails.

    Its script runs in a schema that this transaction creates, where nobody can have planted objects for it to use.
    """
    with application(server, database) as connection:
        if has(connection, "select 1 from pg_extension where extname = %s", name):
            return False
    extension, schema = sql.Identifier(name), sql.Identifier(f"appliance_{secrets.token_hex(8)}")
    with superuser_inside(server, database) as connection, connection.transaction():
        connection.execute(sql.SQL("create schema {}").format(schema))
        connection.execute(sql.SQL("create extension {} schema {}").format(extension, schema))
        connection.execute(sql.SQL("alter extension {} set schema public").format(extension))
        connection.execute(sql.SQL("drop schema {}").format(schema))
    return True
