"""Install the course from this folder, with no network: python install.py

Makes an environment in .venv beside this file, from the wheels beside it, and says how to begin.
"""

import os
import subprocess
import sys
import venv

HERE = os.path.dirname(os.path.abspath(__file__))


def main():
    wheels = os.path.join(HERE, "wheels")
    if not os.path.isdir(wheels):
        sys.exit("There is no folder `wheels` beside install.py: unpack the archive again, whole.")
    python = os.path.join(HERE, ".venv", "Scripts" if os.name == "nt" else "bin", "python")
    venv.create(os.path.join(HERE, ".venv"), with_pip=True, clear=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--no-index", "--find-links", wheels, "--no-cache-dir"]
    # No setting of this machine, of another index for instance, has a say.
    quiet = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    quiet.update(PIP_CONFIG_FILE=os.devnull, PIP_DISABLE_PIP_VERSION_CHECK="1")
    course = ["-c", "constraints.txt", "--no-build-isolation", "-e", "."]
    steps = [pip + ["--upgrade", "setuptools", "wheel"], pip + course]
    for step in steps:
        done = subprocess.run(step, cwd=HERE, env=quiet, capture_output=True, text=True)
        if done.returncode:
            sys.exit(
                f"The wheels in this archive do not fit this machine or Python {sys.version_info[0]}."
                f"{sys.version_info[1]}; the archive's name says what they fit.\npip said: {done.stderr.strip()[-500:]}"
            )
    well = subprocess.run([python, "-m", "helpers.course"], cwd=HERE).returncode == 0
    print(f"\nTo begin:  {os.path.relpath(python)} -m jupyterlab --notebook-dir notebooks")
    print(f"To read:   open {os.path.join('read', 'index.html')}")
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
