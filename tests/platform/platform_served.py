"""A platform filled and served: `python platform_served.py FOLDER PORT`; see tokens.json."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def main(root: Path, port: str) -> None:
    """Fill a new platform, then become its server."""
    from covidlit.platform.setup import make_platform

    make_platform(root)
    from platform_world import PASSWORD, hospital

    from covidlit.platform.accounts.people import give_role, make_user
    from covidlit.platform.accounts.rights import Role
    from covidlit.platform.api.models import TOKEN_SCOPES
    from covidlit.platform.api.tokens import make_token
    from covidlit.platform.registry.models import Patient

    own = hospital("north")
    names = [f"Q{number:03}" for number in range(250)]
    Patient.objects.bulk_create(Patient(pseudonym=name, centre=own.centre) for name in names)
    tokens = {}
    for role in (Role.PHYSICIAN, Role.READER):
        user = make_user(role.name.lower(), PASSWORD)
        give_role(user, role)
        scopes = TOKEN_SCOPES if role is Role.PHYSICIAN else ["read"]
        tokens[role.name] = make_token(user, "test", [s for s in scopes if s != "audit"], 1)[1]
    (root / "tokens.json").write_text(json.dumps(tokens))
    server = ["-m", "gunicorn", "covidlit.platform.wsgi", "--bind", f"127.0.0.1:{port}"]
    os.execv(sys.executable, [sys.executable, *server, "--threads", "4"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
