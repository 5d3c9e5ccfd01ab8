#!/usr/bin/env python3
"""Fetches one file of a Python package, by its name on the index, through pip. Runs no code of the package.

    package-file.py PACKAGE FILENAME TARGET

`pip download` does the same for a wheel, but it runs a source distribution's build to read its metadata, and has no
option against it. So this asks the two parts of pip that `pip download` is made of, which know the index, mirrors,
certificates and proxies that pip is set up with: the finder for the file's address, the session for its bytes. They are
no public interface of pip; pip 22.0 to 26.3 have them. Whoever calls this checks the checksum.
"""

import shutil
import sys

from pip._internal.commands import create_command


def fetch(package: str, filename: str, target: str) -> None:
    command = create_command("download")
    # pip would leave out files for other versions of Python, and those that its settings exclude.
    options, _ = command.parse_args(["--ignore-requires-python", "--no-binary=:none:", "--only-binary=:none:", package])
    with command.main_context():
        session = command.get_default_session(options)
        finder = command._build_package_finder(options=options, session=session, ignore_requires_python=True)
        links = {candidate.link.filename: candidate.link for candidate in finder.find_all_candidates(package)}
        if filename not in links:
            sys.exit(f"pip knows no {filename} of {package}: it needs a network, or a mirror that pip is set up with")
        # Compressed on the way it would be unpacked here, and its checksum another one.
        headers = {"Accept-Encoding": "identity"}
        with session.get(links[filename].url_without_fragment, headers=headers, stream=True) as response:
            response.raise_for_status()
            with open(target, "wb") as file:
                shutil.copyfileobj(response.raw, file)


fetch(*sys.argv[1:])
