"""How Alembic runs our migrations: inside the one transaction that `central.setup` hands it."""

from alembic import context

from central.schema import METADATA


def run() -> None:
    """Run what is missing."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=METADATA,
        render_as_batch=True,
        transactional_ddl=False,
    )
    context.run_migrations()


if __name__ == "env_py":  # how Alembic names this file when it runs it
    run()
