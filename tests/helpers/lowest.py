"""The lowest versions that setup.cfg allows, as constraints for pip: what `make test-lowest` installs.

PyTorch is left out: an older one is gigabytes of its own, and the one of constraints.txt is taken. So are the tools of
the extra [dev], which no user of the package needs.
"""

import configparser
import re
from pathlib import Path

SETUP = Path(__file__).resolve().parents[2] / "setup.cfg"
LEFT_OUT = {"torch", "torch-scatter"}


def lowest():
    """Lines `name==version`, of what the package and its extras require."""
    parser = configparser.ConfigParser()
    parser.read(SETUP)
    extras = parser["options.extras_require"]
    texts = [
        parser["options"]["install_requires"],
        *(text for extra, text in extras.items() if extra != "dev"),
    ]
    wanted = {line for text in texts for line in text.split()}
    found = {
        match[1]: match[2]
        for match in (re.fullmatch(r"([\w.-]+)>=([\w.]+)", line) for line in wanted)
    }
    return [f"{name}=={version}" for name, version in sorted(found.items()) if name not in LEFT_OUT]


if __name__ == "__main__":
    print("\n".join(lowest()))
