"""DICOMweb of the platform (`/dicom-web/`): QIDO-RS, WADO-RS and STOW-RS for viewers and programs.

    gate            who calls, with which right, and errors as the API answers them
    models, index   which series and instances of the stored files there are, by their UIDs
    seen            what of it a caller sees, and by which UIDs
    search, query   QIDO-RS; `answers`: what it tells, in DICOM JSON
    retrieve        WADO-RS: files, metadata, frames; `rendered`: as pictures
    deidentify      headers for those who may not know who the patient is; `kept`: what stays
    encode          files and frames as they are sent
    accept          media types that a client takes
    store, taking   STOW-RS: an upload of the intake, its objects told apart
    parts           bodies of multipart/related, written and read

Source: DICOM PS3.18 (Web Services), sections 8 and 10; PS3.15, annex E (Basic Profile).
"""
