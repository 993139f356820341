"""New scans and labellings looked into by the process that stores them."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from covidlit.platform.dicomweb.index import look_into
from covidlit.platform.dicomweb.models import Waiting
from covidlit.platform.registry.models import Labelling, Scan


@receiver(post_save, sender=Scan)
def scan_saved(sender: Any, instance: Scan, **_: Any) -> None:
    """Its series; what fails here is made up for by `look_into_new`."""
    Waiting.objects.create(scan=instance)
    transaction.on_commit(partial(look_into, instance), robust=True)


@receiver(post_save, sender=Labelling)
def labelling_saved(sender: Any, instance: Labelling, **_: Any) -> None:
    """The objects of a new version, or those that a version has got anew."""
    scan_saved(Scan, instance.scan)


@receiver(post_delete, sender=Labelling)
def labelling_deleted(sender: Any, instance: Labelling, **_: Any) -> None:
    """The objects of the version before it."""
    scan_saved(Scan, instance.scan)
