"""A PostgreSQL that was set up in no language keeps the bytes of text: ours is in UTF-8 there as well."""

import sqlalchemy
from sqlalchemy import make_url, text

from tests.databases import POSTGRES
from worker.records import Records


def test_text_is_text_in_a_database_without_an_encoding(postgres_url: str) -> None:
    url = make_url(postgres_url)
    name = f"{url.database}_ascii"
    server = sqlalchemy.create_engine(POSTGRES, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        made = "ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        connection.execute(text(f"CREATE DATABASE {name} {made}"))
    try:
        records = Records(url.set(database=name).render_as_string(hide_password=False))
        token = records.tokens.create("équipe 蓝")
        assert records.tokens.team(token) == "équipe 蓝"
        records.close()
    finally:
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        server.dispose()
