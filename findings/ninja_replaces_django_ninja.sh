#!/usr/bin/env bash
# pip installs the build tool ninja over django-ninja, whose files it replaces, and says nothing.
#
# Version:   ninja 1.13.2, django-ninja 1.7.1, 2026-11-30; nncf 3.4.0 requires ninja
# Expected:  of two packages with the same files the second is refused, or pip names the files
# Seen:      both install and `pip check` is content, but `ninja/__init__.py` is that of the second
#            one: who installs nncf beside a site of django-ninja has no site any more.
# Output:    django-ninja alone: NinjaAPI is there; with ninja: no NinjaAPI; No broken requirements
#            found.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip=("$folder/venv/bin/python" -m pip --disable-pip-version-check)
has() { if grep -q "import NinjaAPI" "$folder"/venv/lib/python*/site-packages/ninja/__init__.py; then
    echo "NinjaAPI is there"; else echo "no NinjaAPI"; fi; }
"${pip[@]}" install --quiet django-ninja==1.7.1
before=$(has)
said=$("${pip[@]}" install --quiet ninja==1.13.2 2>&1 | grep -v "is ignored" || true)
after=$(has)
echo "django-ninja alone: $before; with ninja: $after; $("${pip[@]}" check 2>&1 | tail -n 1)"
if [ "$after" != "no NinjaAPI" ] || [ -n "$said" ]; then
    echo "This has changed: read the comment at the top of this script again." >&2
    exit 1
fi
