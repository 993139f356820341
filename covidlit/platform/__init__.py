"""The web platform: log in, see patients' scans, lesions, factors and trends, as far as one may.

A Django project (`pip install 'covidlit[platform]'`). It measures nothing itself: its jobs call
what `covidlit quantify`, `predict` and `trend` call, and its database holds what they return.

    folder      the folder of a platform: secret, database, scans
    options     what can be set in its platform.toml
    settings    Django's settings, made from these
    accounts    people, centres, study groups, roles, and what a role may do
    diseases    what patients are followed for: lesions, factors, models and words of each
    registry    patients, their identities apart, scans, labellings of a disease, factors
    audit       who did what, chained by hashes
    directory   accounts of the hospital's own directory, by OIDC or LDAP
    intake      uploads, taken in scan by scan
    jobs        long work, done by workers in processes of their own
    measuring   scans measured by `covidlit quantify`
    viewing     slices as pictures, figures, who looked at what
    patients    pages of patients and scans
    clinical    laboratory values, events, and scores of severity
    correcting  lesions corrected by people, as further versions
    exporting   corrected scans as training sets
    operation   backups, metrics, logs, what is over removed
    pacs        archives of the hospital: their settings, DICOMweb and DIMSE
    sending     results sent to them after a person's confirmation, and as FHIR
    dicom_in    scans received by C-STORE, and fetched by DICOMweb
    grading     scans excluded or graded by a first grader, verified or corrected by a second
    api         what the pages show, for programs, by tokens
    dicomweb    stored scans and results for viewers, by QIDO-RS, WADO-RS and STOW-RS
    client      calls it, where Django is not installed too

Source: the severity paper, "Building the AI lung image recognition processing technological
platform".
"""
