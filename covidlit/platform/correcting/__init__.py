"""Lesions corrected by people: a draft of edits becomes a new version, and none is written over.

    models      a correction and its edits; a draft until it is saved
    drafts      what one does with a draft: begin, edit, undo, drop, save, apply on a newer version
    labels      what labels are after the edits, for a slice or the whole scan
    labeller    gives `covidlit quantify` the corrected labels of a scan, and the model's of others

A correction stays the newest version of its scan: a model that is set later does not label the scan
again. Whoever prefers what it says corrects the correction.
"""
