"""Numbers for a watching Prometheus: how much there is, what waits, how long pages take."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from ipaddress import ip_address

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db.models import Count, Min
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    generate_latest,
    multiprocess,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from covidlit.platform.counted import VARIABLE
from covidlit.platform.intake.models import Upload
from covidlit.platform.jobs.models import Job, JobState
from covidlit.platform.operation.alive import silence
from covidlit.platform.registry.models import Labelling, Patient, Scan


class _Database(Collector):
    """What the database and the disk say, asked when the numbers are."""

    def collect(self) -> Iterator[Metric]:
        for model in (Patient, Scan, Labelling):
            name = model._meta.model_name
            yield _gauge(f"covidlit_{name}s", f"Number of {name}s.", model.objects.count())
        jobs = GaugeMetricFamily("covidlit_jobs", "Number of jobs.", labels=["state"])
        found = dict(Job.objects.order_by().values_list("state").annotate(n=Count("pk")))
        for state in JobState.values:
            jobs.add_metric([state], found.get(state, 0))
        yield jobs
        waiting = Job.objects.filter(state=JobState.WAITING).aggregate(since=Min("waits_since"))
        running = Job.objects.filter(state=JobState.RUNNING).aggregate(since=Min("heartbeat_at"))
        yield _gauge(
            "covidlit_oldest_waiting_job_seconds", "Age of the job that waits longest; 0: none.",
            _seconds_since(waiting["since"]),
        )  # fmt: skip
        yield _gauge(
            "covidlit_silent_job_seconds",
            "Since the last sign of the running job that gave none for longest; 0: none runs.",
            _seconds_since(running["since"]),
        )  # fmt: skip
        yield _gauge(
            "covidlit_workers_silent_seconds", "Since the workers were seen to run.", silence()
        )
        open_ = Upload.objects.exclude(job__state=JobState.DONE).count()
        yield _gauge("covidlit_open_uploads", "Uploads that are not taken in.", open_)
        free = shutil.disk_usage(settings.FOLDER.root).free
        yield _gauge("covidlit_disk_free_bytes", "Free where the platform lies.", free)


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(name, words, value=value)


def _seconds_since(moment: object) -> float:
    return max(0.0, (timezone.now() - moment).total_seconds()) if moment else 0.0


@require_GET
@login_not_required
def metrics(request: HttpRequest) -> HttpResponse:
    """The numbers, for the addresses that `[operation] metrics_from` names; for others nothing."""
    if not _may_ask(request):
        raise Http404
    own = CollectorRegistry()
    own.register(_Database())
    if VARIABLE in os.environ:
        counted = CollectorRegistry()
        multiprocess.MultiProcessCollector(counted)
    else:
        counted = REGISTRY
    return HttpResponse(
        generate_latest(own) + generate_latest(counted), content_type=CONTENT_TYPE_LATEST
    )


metrics.is_public = True


def _may_ask(request: HttpRequest) -> bool:
    """Whether the address is one of those; behind a proxy it is the one that the proxy names."""
    address = request.META.get("REMOTE_ADDR", "")
    forwarded = request.headers.get("X-Forwarded-For")
    if forwarded is not None:
        if not settings.FOLDER.settings.https:
            return False  # a proxy that the settings do not know: anybody may be behind it
        address = forwarded.rpartition(",")[2].strip()
    try:
        asking = ip_address(address)
    except ValueError:
        return False
    return any(asking in network for network in settings.FOLDER.settings.operation.metrics_from)
