#!/usr/bin/env bash
# django-ninja takes parameters of a query that no operation has, and says nothing.
#
# Version:   django-ninja 1.7.1 (Django 5.2.19, pydantic 2), 2026-11-30
# Expected:  a request with a parameter that the operation does not have (?center=north for
#            ?centre=north) is refused, or can be by a setting of the API, as a value that is wrong
#            is (422)
# Seen:      200 and the unfiltered list: a filter that is misspelt finds everything. The same with
#            the parameters as a Schema with extra="forbid", which forbids more in a body: ninja
#            gives the model the parameters that it knows alone.
# Output:    ?centre=north: 200 ['a']; ?center=north: 200 ['a', 'b']; as a schema that forbids more:
#            200 ['a', 'b']; a body that has more: 422
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check django-ninja==1.7.1 Django==5.2.19
cd "$folder"
"$folder/venv/bin/python" - <<'EOF'
import django
from django.conf import settings
from django.test import Client
from django.urls import path

settings.configure(
    ROOT_URLCONF=__name__, SECRET_KEY="x", ALLOWED_HOSTS=["testserver"], DEBUG=False
)
django.setup()

from ninja import NinjaAPI, Query, Schema  # noqa: E402

SCANS = {"a": "north", "b": "south"}


class Filter(Schema):
    model_config = {"extra": "forbid"}
    centre: str | None = None


def of(centre):
    return [name for name, own in SCANS.items() if centre in (None, own)]


api = NinjaAPI()


@api.get("/scans")
def scans(request, centre: str | None = None):
    return of(centre)


@api.get("/forbidding")
def forbidding(request, wanted: Query[Filter]):
    return of(wanted.centre)


@api.post("/body")
def body(request, wanted: Filter):
    return of(wanted.centre)


urlpatterns = [path("", api.urls)]
client = Client()
right = client.get("/scans?centre=north")
wrong = client.get("/scans?center=north")
forbidden = client.get("/forbidding?center=north")
sent = client.post("/body", {"center": "north"}, content_type="application/json")
print(
    f"?centre=north: {right.status_code} {right.json()}; "
    f"?center=north: {wrong.status_code} {wrong.json()}; as a schema that forbids more: "
    f"{forbidden.status_code} {forbidden.json()}; a body that has more: {sent.status_code}"
)
if (wrong.status_code, wrong.json(), forbidden.status_code) != (200, ["a", "b"], 200):
    raise SystemExit("This has changed: read the comment at the top of this script again.")
EOF
