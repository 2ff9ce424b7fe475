"""Limits of operators. In a database that is made now the first script has made the table already."""

from smartsub_tui.data import models


def up(migrator, db):
    db.create_tables([models.AdminLimit])
