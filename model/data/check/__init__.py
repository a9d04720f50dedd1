"""Reads every picture of a data set and reports what is in it and what is suspicious.

`files` opens pictures, `content` and `people` hold the rules, `report` what comes out. Nothing is
changed or removed.
"""

from dgnet.model.data.check.content import content_findings
from dgnet.model.data.check.files import ReportProgress, inspect_files
from dgnet.model.data.check.findings import RULES, Finding, RuleName, Severity
from dgnet.model.data.check.people import people_findings
from dgnet.model.data.check.report import DatasetReport
from dgnet.model.data.layouts import DataSet

__all__ = ["RULES", "DatasetReport", "Finding", "RuleName", "Severity", "check_dataset"]


def check_dataset(dataset: DataSet, progress: ReportProgress | None = None) -> DatasetReport:
    """Opens each file once; `progress` is called with the files done and the files there are."""
    paths = (picture.path for split in dataset.splits.values() for picture in split)
    facts = inspect_files(paths, progress)
    findings = [*content_findings(dataset, facts), *people_findings(dataset)]
    return DatasetReport.of(dataset, facts, findings)
