"""Run the command line as `python -m van`."""

from van.cli.main import main

if __name__ == "__main__":
    main()
