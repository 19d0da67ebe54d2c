"""The `van` program; also runs as `python -m van`."""

import signal


def main() -> None:
    """Run the command line."""
    # While modules are loaded, Ctrl-C ends the process as it ends any other, without a traceback.
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    from van.cli.main import main as run  # noqa: PLC0415

    signal.signal(signal.SIGINT, before)
    run()


if __name__ == "__main__":
    main()
