"""Offices, keys and PINs of admins. In a database that is made now the first script has made the tables already."""

from smartsub_tui.data import models


def up(migrator, db):
    db.create_tables([models.AdminOffice, models.AdminKey, models.AdminPin])
