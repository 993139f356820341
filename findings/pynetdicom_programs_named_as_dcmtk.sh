#!/usr/bin/env bash
# pynetdicom: its programs have the names of DCMTK's, and take other options.
#
# Version:   pynetdicom 3.0.4, pydicom 3.0.2, 2026-11-29
# Expected:  a Python library of DICOM messages leaves the programs of a machine alone, so that
#            storescu stays DCMTK's after it is installed
# Seen:      the installation puts storescu, storescp, echoscu, findscu, getscu and movescu into the
#            environment's bin, which comes first in the search path. They are other programs:
#            DCMTK's storescu sends the files of a folder with +sd, this one knows no such option
#            and ends with an error of its command line. A script that calls DCMTK by name works or
#            not by whether an environment is active; its whole path works always.
# Output:    6 programs; +sd: exit 2
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check pynetdicom==3.0.4 pydicom==3.0.2

count=0
for name in storescu storescp echoscu findscu getscu movescu; do
  [ -x "env/bin/$name" ] && count=$((count + 1))
done
mkdir files
set +e
env/bin/storescu +sd 127.0.0.1 11112 files >said 2>&1
code=$?
set -e
echo "$count programs; +sd: exit $code"
[ "$count" = 6 ] && [ "$code" = 2 ]
