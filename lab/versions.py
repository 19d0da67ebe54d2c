"""Runs the unit and router tests with the lowest and the newest dependencies that van allows.

The lowest go with the oldest Python of this machine that van supports, the newest with the newest
one: `python -m lab.versions`. Each pair gets a virtual environment of its own under `build/`.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
OLDEST: Final = 11
NEWEST: Final = 30
"""Minor versions of Python 3 to look for."""
PROBE: Final = "import ensurepip, sys; print(sys.version_info[1])"
TESTS: Final = ("-m", "unit or network", "--ignore=tests/hostile", "tests")


def find_pythons() -> dict[int, str]:
    """Return the interpreters that can make environments, by minor version.

    They are sought on the PATH, and beside the one that runs this: tools such as pyenv keep their
    versions next to each other.
    """
    beside = Path(sys.base_prefix).parent
    found = {sys.version_info.minor: sys.executable}
    for minor in range(OLDEST, NEWEST):
        name = f"python3.{minor}"
        sought = [shutil.which(name), *map(str, beside.glob(f"*/bin/{name}"))]
        # A name on the PATH may stand for a version that is not installed.
        for python in filter(None, sought):
            if minor not in found and probe(python) == minor:
                found[minor] = python
    return found


def probe(python: str) -> int | None:
    """Return the minor version of an interpreter, or None when it does not work."""
    done = subprocess.run([python, "-c", PROBE], capture_output=True, text=True, check=False)
    return int(done.stdout) if done.returncode == 0 else None


def lowest(requirements: Sequence[str]) -> list[str]:
    """Return what holds each requirement to the lowest version that it allows."""
    found = []
    for requirement in requirements:
        parts = re.fullmatch(r"([\w.-]+)>=([\w.]+)", requirement)
        if parts is None:
            raise ValueError(f"requirement {requirement!r} is not valid here: use NAME>=VERSION")
        found.append(f"{parts[1]}=={parts[2]}")
    return found


def passes(python: str, name: str, constraints: Sequence[str], workers: int) -> bool:
    """Install van and its tools in a new environment, run the tests, and tell how they went."""
    place = ROOT / "build" / "versions" / name
    run(python, "-m", "venv", "--clear", str(place))
    listed = place / "constraints.txt"
    listed.write_text("".join(f"{each}\n" for each in constraints))
    inner = str(place / "bin" / "python")
    pip = (inner, "-m", "pip", "--quiet", "--disable-pip-version-check")
    run(*pip, "install", "--constraint", str(listed), "--editable", f"{ROOT}[dev]")
    print(f"\n{name}: {versions(inner)}", flush=True)
    tests = [inner, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS]
    return not subprocess.call([*tests, "--numprocesses", str(workers)], cwd=ROOT)


def versions(python: str) -> str:
    """Return which dependencies an environment has."""
    names = [re.split(r"[^\w.-]", each)[0] for each in requirements()]
    script = (
        "import importlib.metadata as m, platform, sys;"
        "print('Python', platform.python_version(), *(f'{n} {m.version(n)}' for n in sys.argv[1:]),"
        " sep=', ')"
    )
    done = subprocess.run(
        [python, "-c", script, *names], capture_output=True, text=True, check=True
    )
    return done.stdout.strip().replace("Python, ", "Python ", 1)


def requirements() -> list[str]:
    """Return what van depends on, as `pyproject.toml` says it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return list(project["dependencies"])


def run(*command: str) -> None:
    """Run a step without which the tests can't be run; raise when it fails."""
    subprocess.run(command, check=True, cwd=ROOT)


def main() -> int:
    """Run the tests with both, and return the exit code: 1 when either has failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--workers", type=int, default=4, help="How many tests run at once.")
    workers = parser.parse_args().workers
    pythons = find_pythons()
    oldest, newest = min(pythons), max(pythons)
    if oldest == newest:
        print(f"Python 3.{newest} is the only one that is there: both run on it")
    outcomes = [
        passes(pythons[oldest], f"lowest-3.{oldest}", lowest(requirements()), workers),
        passes(pythons[newest], f"newest-3.{newest}", (), workers),
    ]
    return 0 if all(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
