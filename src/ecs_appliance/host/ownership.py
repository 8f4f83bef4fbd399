"""What lies in the application's database belongs to the application's role, and the extension is there.

Both take the superuser, inside that database, though only after somebody has loaded or made something there as another
role. Its session looks up names in pg_catalog alone, and neither reads a row nor calls, sorts or casts by anything that
the database defines: it lists catalogs, changes owners, makes an extension in a schema of its own.
"""

import logging
import secrets

from psycopg import sql

from ecs_appliance.host.postgres import Connection, Server, application, has, superuser_inside

log = logging.getLogger(__name__)

# Catalogs of what has an owner: the columns of owner and schema, and which rows have one of their own.
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
# What PostgreSQL itself makes has lower numbers. What an extension made stays its own.
FOREIGN = """
    select o.type, o.identity from {catalog} x, pg_identify_object('{catalog}'::regclass, x.oid, 0) o
    where {owner} <> %(role)s::regrole and x.oid >= 16384 and {kind}
      and {schema} not in (select oid from pg_namespace where nspname like 'pg\\_%%')
      and not exists (select from pg_depend d where d.classid = '{catalog}'::regclass and d.objid = x.oid
                      and d.objsubid = 0 and (d.deptype = 'e' or {follows}))
    order by 1, 2
"""
# A sequence follows its column; partitions, which depend on their table alike, have owners of their own.
SEQUENCES = "(x.relkind = 'S' and d.deptype in ('a', 'i'))"
PUBLIC = """
    select 'schema', 'public' from pg_namespace
    where nspname = 'public' and nspowner not in (%(role)s::regrole, 'pg_database_owner'::regrole)
"""
# How PostgreSQL calls a kind, where the command calls it otherwise.
WORDS = {"statistics object": "statistics"}


def ensure_owner(server: Server, database: str, role: str) -> bool:
    """Give all that lies in `database` to `role`; returns whether anything changed.

    What belongs to an extension stays as it is. Raises ApplianceError where that takes too long, or cannot be.
    """
    # Looked up without any power first: hardly ever is there anything.
    with application(server, database) as connection:
        if not foreign_objects(connection, role):
            return False
    owner = sql.Identifier(role)
    with superuser_inside(server, database) as connection, connection.transaction():
        for kind, identity in foreign_objects(connection, role):
            log.info("%s %s is given to %s", kind, identity, role)
            # Kind and name come quoted from the server's own catalogs.
            change = sql.SQL("alter {} {} owner to {}")
            connection.execute(change.format(sql.SQL(WORDS.get(kind, kind)), sql.SQL(identity), owner))
    return True


def foreign_objects(connection: Connection, role: str) -> list[tuple[str, str]]:
    """Kind and quoted name of all that lies in the database of `connection` and belongs to another than `role`."""
    found = connection.execute(PUBLIC, {"role": role}).fetchall()
    for catalog, owner, schema, kind in OWNED:
        follows = SEQUENCES if catalog == "pg_class" else "d.deptype = 'i'"
        query = FOREIGN.format(catalog=catalog, owner=owner, schema=schema, kind=kind, follows=follows)
        found += connection.execute(query.encode(), {"role": role}).fetchall()
    return [(str(kind), str(identity)) for kind, identity in found]


def ensure_extension(server: Server, database: str, name: str) -> bool:
    """Make extension `name` in `database`; returns whether it was missing. Raises ApplianceError where it cannot be.

    Its script runs in a schema of this transaction's own, where nobody has planted what it would take for its own.
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
