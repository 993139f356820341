"""The addresses of DICOMweb.

Source: DICOM PS3.18, tables 10.4.1-1, 10.5.1-1 and 10.6.1-1.
"""

from __future__ import annotations

from django.urls import re_path

from covidlit.platform.dicomweb import retrieve, search, store
from covidlit.platform.dicomweb.gate import by_method, nothing
from covidlit.platform.dicomweb.rendered import rendered

_STUDY = r"^studies/(?P<study>[0-9.]{1,64})"
_SERIES = rf"{_STUDY}/series/(?P<series>[0-9.]{{1,64}})"
_INSTANCE = rf"{_SERIES}/instances/(?P<instance>[0-9.]{{1,64}})"

app_name = "dicomweb"
urlpatterns = [
    re_path(r"^studies$", by_method(GET=search.studies, POST=store.store), name="studies"),
    re_path(r"^series$", by_method(GET=search.series), name="all_series"),
    re_path(rf"{_STUDY}$", by_method(GET=retrieve.objects, POST=store.store), name="study"),
    re_path(rf"{_STUDY}/metadata$", by_method(GET=retrieve.metadata), name="study_metadata"),
    re_path(rf"{_STUDY}/series$", by_method(GET=search.series), name="series_of_study"),
    re_path(rf"{_STUDY}/instances$", by_method(GET=search.instances), name="instances_of_study"),
    re_path(rf"{_SERIES}$", by_method(GET=retrieve.objects), name="series"),
    re_path(rf"{_SERIES}/metadata$", by_method(GET=retrieve.metadata), name="series_metadata"),
    re_path(rf"{_SERIES}/instances$", by_method(GET=search.instances), name="instances"),
    re_path(rf"{_INSTANCE}$", by_method(GET=retrieve.objects), name="instance"),
    re_path(rf"{_INSTANCE}/metadata$", by_method(GET=retrieve.metadata), name="metadata"),
    re_path(rf"{_INSTANCE}/rendered$", by_method(GET=rendered), name="rendered"),
    re_path(
        rf"{_INSTANCE}/frames/(?P<frames>[0-9,]{{1,8000}})$", by_method(GET=retrieve.frames),
        name="frames",
    ),
    re_path(
        rf"{_INSTANCE}/frames/(?P<frame>[0-9]{{1,9}})/rendered$", by_method(GET=rendered),
        name="rendered_frame",
    ),
    re_path("", nothing),
]  # fmt: skip
