"""What layouts of data sets and their splits are called: by readers, jobs and commands."""

from __future__ import annotations

from typing import Literal

LayoutName = Literal[
    "market1501",
    "duke",
    "msmt17",
    "cuhk03",
    "veri776",
    "ltcc",
    "prcc",
    "mars",
    "viper",
    "cuhk01",
    "prid2011",
    "ilids_vid",
    "randperson",
    "personx",
    "prepared",
    "imagefolder",
    "pattern",
]
SplitName = Literal["train", "query", "gallery", "multi_query"]
