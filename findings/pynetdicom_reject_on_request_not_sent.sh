#!/usr/bin/env bash
# pynetdicom: an association that a handler of EVT_REQUESTED rejects is closed without the rejection.
#
# Version:   pynetdicom 3.0.4, pydicom 3.0.2, 2026-11-30
# Expected:  acse.send_reject in a handler of EVT_REQUESTED, a use that its own code names,
#            gives the caller an A-ASSOCIATE-RJ with its reason, as require_calling_aet does
# Seen:      the connection is closed before the rejection leaves: the caller sees an abort, and
#            learns no reason. It leaves where the handler waits half a second after send_reject.
#            No error, no warning.
# Output:    caller sees: rejected 1 of 10, aborted 9 of 10 (it varies, 0 and 10 mostly); with a wait
#            in the handler: rejected 10 of 10
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pynetdicom==3.0.4 pydicom==3.0.2
cd "$folder"
"$folder/venv/bin/python" - <<'EOF'
import time

from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification

TRIES = 10


def seen(seconds):
    def refuse(event):
        event.assoc.acse.send_reject(0x01, 0x01, 0x03)  # for good, by its user, unknown caller
        time.sleep(seconds)

    provider = AE()
    provider.add_supported_context(Verification)
    handlers = [(evt.EVT_REQUESTED, refuse)]
    server = provider.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    caller = AE()
    caller.add_requested_context(Verification)
    found = [caller.associate("127.0.0.1", server.server_address[1]) for _ in range(TRIES)]
    server.shutdown()
    return sum(each.is_rejected for each in found), sum(each.is_aborted for each in found)


at_once, waiting = seen(0.0), seen(0.5)
print(
    f"caller sees: rejected {at_once[0]} of {TRIES}, aborted {at_once[1]} of {TRIES}; "
    f"with a wait in the handler: rejected {waiting[0]} of {TRIES}"
)
if at_once[1] == 0 or waiting[0] < TRIES:
    raise SystemExit("This has changed: read the comment at the top of this script again.")
EOF
