"""A platform with a stored scan, served: `dicomweb_served.py FOLDER PORT`; see tokens.json."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def main(root: Path, port: str) -> None:
    """Fill a new platform, then become its server, as `covidlit platform serve` starts it."""
    from covidlit.platform.setup import make_platform

    make_platform(root)
    from dicomweb_world import stored_dicom
    from platform_world import PASSWORD, hospital

    from covidlit.platform.accounts.people import give_role, make_user
    from covidlit.platform.accounts.rights import Role
    from covidlit.platform.api.tokens import make_token
    from covidlit.platform.serving import _pages

    own = hospital("north")
    stored_dicom(own)
    tokens = {}
    for role, scopes in ((Role.PHYSICIAN, ["read", "upload", "identify"]), (Role.READER, ["read"])):
        user = make_user(role.name.lower(), PASSWORD)
        give_role(user, role, own.centre, own.group)
        tokens[role.name] = make_token(user, "test", scopes, 1)[1]
    (root / "tokens.json").write_text(json.dumps(tokens))
    command = _pages("127.0.0.1", int(port))
    os.execv(command[0], command)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
