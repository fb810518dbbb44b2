"""How the tables of a store are made and changed: one file for each revision, run by Alembic."""
