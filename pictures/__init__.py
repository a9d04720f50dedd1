"""The one door through which pictures enter: what is a picture, and which RGB pixels it shows.

Requests, data sets, training, evaluation, generation and the command line all read pictures here,
so that the same file is the same pixels everywhere, and what one refuses all refuse. `formats` is
the one list of formats, `headers` judges before anything is decoded, `colors` makes RGB, `budget`
bounds what is decoded at once. Needs Pillow and numpy alone, and no other room.
"""

from dgnet.pictures.any_form import (
    AnyPicture,
    AnyPictures,
    as_list,
    is_single,
    name_of,
    pixels_of,
    web_file,
)
from dgnet.pictures.budget import FILE_BUDGET, PixelBudget
from dgnet.pictures.door import (
    OpenedPicture,
    PreparedPicture,
    open_file,
    open_picture,
    read_file,
)
from dgnet.pictures.formats import (
    FORMATS,
    PICTURE_SUFFIXES,
    WEB_FORMATS,
    FormatName,
    sniff,
)
from dgnet.pictures.limits import FILE_LIMITS, Limits
from dgnet.pictures.refusal import PictureRefused, Reason

__all__ = [
    "FILE_BUDGET",
    "FILE_LIMITS",
    "FORMATS",
    "PICTURE_SUFFIXES",
    "WEB_FORMATS",
    "AnyPicture",
    "AnyPictures",
    "FormatName",
    "Limits",
    "OpenedPicture",
    "PictureRefused",
    "PixelBudget",
    "PreparedPicture",
    "Reason",
    "as_list",
    "is_single",
    "name_of",
    "open_file",
    "open_picture",
    "pixels_of",
    "read_file",
    "sniff",
    "web_file",
]
