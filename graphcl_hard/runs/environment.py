"""The environment of a run: versions, platform and commit."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

PACKAGES = (
    "graphcl_hard",
    "torch",
    "torch-geometric",
    "torch-scatter",
    "lightning-fabric",
    "scikit-learn",
    "scipy",
    "numpy",
)


def environment() -> dict[str, Any]:
    """Return the versions of the packages, the platform, the number of cores and the git commit of the checkout."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "versions": versions,
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "git_commit": git_commit(Path(__file__).parent),
    }


def git_commit(folder: Path) -> str | None:
    """Return the commit of the checkout that tracks `folder`, with "-dirty" if tracked files differ, or None."""

    def git(*words: str) -> str:
        # `git status` would lock the index to refresh it, and leave the lock behind if it is killed.
        command = ["git", "--no-optional-locks", "-C", str(folder), *words]
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=20
        ).stdout.strip()

    try:
        # An installed package may be inside an unrelated repository, which does not track it.
        git("ls-files", "--error-unmatch", "__init__.py")
        return git("rev-parse", "HEAD") + (
            "-dirty" if git("status", "--porcelain", "--untracked-files=no") else ""
        )
    except (OSError, subprocess.SubprocessError):
        return None
