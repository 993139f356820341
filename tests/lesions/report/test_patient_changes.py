"""What the patient's report says of changes between scans, and of the names of lesions."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import patient_pages

from covidlit.dicom.tracking import tracking_identifier


def test_the_verdict_is_that_of_the_limits_of_agreement(tmp_path: Path) -> None:
    now = {"lung_volume_ml": 4000.0, "mean_density_hu": -512.4}
    earlier = [
        patient_pages.factors(
            scan_id="scan-a", acquisition_date="2020-03-01", total_volume_ml=9.0, **now
        ),
        patient_pages.factors(
            scan_id="scan-0", acquisition_date="2020-03-01", total_volume_ml=11.0, **now
        ),
    ]
    this = patient_pages.factors(total_volume_ml=90.0, **(now | {"lung_volume_ml": 2000.0}))
    page = patient_pages.Page(
        patient_pages.write(tmp_path, factors=this, history=pd.DataFrame([*earlier, this]))
    )
    (said,) = [line for line in page.text if line.startswith("Total volume +")]
    assert "+80.0 mL: more than before" in said
    assert "mean density: within the limits" in said
    assert "volume of the lungs: less than before. The lungs were not filled alike" in said
    assert "the mean counts" in said
    assert page.text.count("another scan on this day") == 2
    small = patient_pages.factors(total_volume_ml=10.5, **now)
    page = patient_pages.Page(
        patient_pages.write(tmp_path, factors=small, history=pd.DataFrame([*earlier, small]))
    )
    assert any(line.startswith("Total volume +0.5 mL: within the limits") for line in page.text)


def test_changes_of_single_lesions_are_said_to_be_uncorrected(tmp_path: Path) -> None:
    this = patient_pages.factors(total_volume_ml=90.0)
    earlier = patient_pages.factors(
        scan_id="scan-a", acquisition_date="2020-03-01", total_volume_ml=9.0
    )
    change = {
        "patient_id": this["patient_id"], "scan_before": "scan-a", "scan_after": this["scan_id"],
        "change": "gone", "lesions_before": "2", "lesions_after": "", "volume_before_ml": 0.4,
        "volume_after_ml": 0.0, "tracking_uid": "2.25.1", "by_limits_of_total": "within limits",
    }  # fmt: skip
    history = pd.DataFrame([earlier, this])
    given = {"factors": this, "history": history, "changes": pd.DataFrame([change])}
    page = patient_pages.Page(patient_pages.write(tmp_path, **given))
    assert "within limits" in page.text
    assert "By the limits of the total" in page.text
    assert any("Changes of single lesions are uncorrected" in line for line in page.text)
    alone = patient_pages.Page(patient_pages.write(tmp_path, factors=this, history=history))
    assert not any("uncorrected:" in line for line in alone.text)


def test_lesions_have_the_name_that_they_have_in_dicom(tmp_path: Path) -> None:
    lesions = patient_pages.lesions()
    plain = patient_pages.Page(
        patient_pages.write(tmp_path, lesions=lesions.drop(columns="tracking_uid"))
    )
    assert "In DICOM" not in plain.text
    uids = [f"2.25.{number}" for number in range(1, len(lesions) + 1)]
    page = patient_pages.Page(
        patient_pages.write(tmp_path, lesions=lesions.assign(tracking_uid=uids))
    )
    assert "In DICOM" in page.text
    assert all(tracking_identifier(uid) in page.text for uid in uids)
