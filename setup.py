"""Name the packages; everything else about the build is in pyproject.toml.

Folder ``patterns/`` ships as ``wfengine.patterns``, which setuptools' own discovery cannot
express. Both trees are searched here, so a new sub-package ships without being listed.
"""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["wfengine", "wfengine.*"]),
        *(f"wfengine.{name}" for name in find_packages(include=["patterns", "patterns.*"])),
    ],
)
