"""What is stored: models, database, filters, queries, migrations, import and demo data."""
