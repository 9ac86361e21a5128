"""Uploads one large file to an Amazon Glacier vault by multipart upload."""

__version__ = "1.0.0"
