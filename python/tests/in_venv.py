# SPDX-License-Identifier: Apache-2.0
"""Makes a virtual environment, installs the package there as a user would, runs its tests and the
example. Exits with 77 where PyPI cannot be reached. Needs nothing but Python."""

import argparse
import os
import pathlib
import subprocess
import sys
import venv

SKIPPED = 77


def run(*command, **options):
    print("+", *command, flush=True)
    subprocess.run([str(word) for word in command], check=True, **options)


def reach_pypi(python, directory):
    """None, or why not: asked for what the build needs anyway."""
    done = subprocess.run([python, "-m", "pip", "download", "-q", "--no-deps", "--dest", directory,
                           "scikit-build-core"], capture_output=True, text=True)
    lines = done.stderr.strip().splitlines() or ["pip failed"]
    return None if done.returncode == 0 else lines[-1]


def source_files(source):
    """What lies in the source tree, folders of builds and of git aside."""
    files = set()
    for folder, folders, names in os.walk(source):
        if pathlib.Path(folder) == source:
            folders[:] = [f for f in folders if f not in ("build", ".git", ".cache")]
        files.update(os.path.join(folder, name) for name in names)
    return files


def install(python, source, build, launcher):
    before = source_files(source)
    settings = [f"--config-settings=build-dir={build / 'wheel'}"]
    if launcher:
        settings += [f"--config-settings=cmake.define.CMAKE_{language}_COMPILER_LAUNCHER={launcher}"
                     for language in ("C", "CXX")]
    run(python, "-m", "pip", "install", "-q", *settings, f"{source}[test,example]")
    written = source_files(source) - before
    if written:
        raise SystemExit(f"the build wrote into the source tree: {sorted(written)}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", type=pathlib.Path, required=True)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--launcher", default="")
    arguments = parser.parse_args()
    source, build = arguments.source, arguments.build

    environment = build / "venv"
    venv.create(environment, clear=True, with_pip=True)
    python = environment / "bin" / "python"
    why = reach_pypi(python, build / "download")
    if why:
        print(f"skipped: PyPI cannot be reached: {why}")
        return SKIPPED
    install(python, source, build, arguments.launcher)

    here = {"cwd": build, "env": {**os.environ, "PYTHONDONTWRITEBYTECODE": "1",
                                  "CONVGEN_CACHE_DIR": "", "OUT": str(build)}}
    run(python, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", source / "python" / "tests",
        **here)
    run(python, source / "examples" / "09_python" / "filters.py", **here)
    for picture in ("filters.png", "share_of_peak.png"):
        if not (build / picture).stat().st_size:
            raise SystemExit(f"{picture} is empty")
    return 0


if __name__ == "__main__":
    sys.exit(main())
