"""`python -m holdtime`, and the console script `holdtime`."""

from holdtime import allocator


def main() -> None:
    """Run the command that the arguments name."""
    allocator.make_room()  # before whatever takes long to import: this starts the process again
    from holdtime.cli import main as run  # noqa: PLC0415

    run()


if __name__ == "__main__":
    main()
