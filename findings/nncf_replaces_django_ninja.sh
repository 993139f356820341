#!/usr/bin/env bash
# NNCF in an environment with django-ninja replaces the package that the latter is imported as.
#
# Version:   django-ninja 1.7.1 (Django 5.2.19), ninja 1.13.2 (a requirement of nncf 3.4.0), 2026-11-30
# Expected:  packages of different names live side by side, or pip refuses the second
# Seen:      both install the folder `ninja`: the build tool that NNCF asks for writes its
#            __init__.py over django-ninja's. pip reports success and `pip check` finds nothing, but
#            a web API and int8 quantisation for OpenVINO cannot share an environment. Removing the
#            build tool takes the file along, so that django-ninja has to be installed anew.
# Output:    nncf 3.4.0 asks for ninja: True; NinjaAPI before: True, after: False; pip check: 0;
#            NinjaAPI once the build tool is removed: False
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cd "$folder"
pip() { venv/bin/pip --disable-pip-version-check "$@"; }
has_api() { grep -q NinjaAPI venv/lib/python3*/site-packages/ninja/__init__.py 2>/dev/null && echo True || echo False; }
pip install --quiet django-ninja==1.7.1 Django==5.2.19
before=$(has_api)
# Without its other requirements, which are gigabytes; what it asks for stands in its metadata.
pip install --quiet --no-deps --target only nncf==3.4.0
asks=$(grep -q "^Requires-Dist: ninja" only/nncf-3.4.0.dist-info/METADATA && echo True || echo False)
pip install --quiet ninja==1.13.2
after=$(has_api)
check=0
pip check >/dev/null || check=$?
pip uninstall --quiet --yes ninja
removed=$(has_api)
echo "nncf 3.4.0 asks for ninja: $asks; NinjaAPI before: $before, after: $after; pip check: $check;" \
  "NinjaAPI once the build tool is removed: $removed"
if [ "$asks $before $after $check $removed" != "True True False 0 False" ]; then
  echo "This has changed: read the comment at the top of this script again." >&2
  exit 1
fi
