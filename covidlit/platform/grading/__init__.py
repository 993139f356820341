"""Two levels of graders: the first grades or excludes a scan, the second verifies or corrects.

Grades are added and never changed; the newest of each level stand, and what became of a scan since
(a changed first grade, lesions measured anew) sends it to the second grader again.

Source: the severity paper, "CT image labeling and quality control".
"""
